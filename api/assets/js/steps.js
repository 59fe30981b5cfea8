// The Steps editor: steps are added, moved and deleted on the page and saved together. Until then
// what is written is kept as a draft, on the server, and on this device until the server has it.

import htmx from "./htmx.js";
import { writePills } from "./merge.js";
import { insert } from "./pills.js";

const form = document.getElementById("steps-form");
const list = document.getElementById("steps");

/** Tell the preview that something is different; it waits until one stops typing. */
function changed() {
  document.body.dispatchEvent(new CustomEvent("steps-changed"));
  if (!form) return;
  keep();
  document.body.dispatchEvent(new CustomEvent("steps-edited"));
  showUnsaved();
}

// For whom the texts are filled in.
document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-see-as]");
  if (!choice) return;
  document.getElementById("see-as").value = choice.dataset.seeAs;
  document.getElementById("see-as-name").textContent = choice.dataset.seeAs ? choice.dataset.name : "Sample contact";
  document.getElementById("see-as-menu").hidePopover();
  document.body.dispatchEvent(new CustomEvent("steps-changed"));
});

const asQuery = (fields) =>
  new URLSearchParams(fields.filter(([name]) => !["key", "version", "draft", "contact_id"].includes(name))).toString();
const fields = () => [...new FormData(form)];
const written = () => asQuery(fields());
const saved = form && !("unsaved" in form.dataset) ? written() : null;
let leaves = false;

function showUnsaved() {
  const unsaved = written() !== saved;
  document.getElementById("steps-unsaved").hidden = !unsaved;
  document.getElementById("steps-discard").hidden = !unsaved;
  form.querySelector("[data-saves]").disabled = !unsaved;
}

const cards = () => [...list.querySelectorAll("[data-step]")];

function say(words) {
  document.getElementById("steps-said").textContent = words;
}

/** Number the steps, and switch off what cannot be done to them. */
function number() {
  const all = cards();
  all.forEach((card, index) => {
    card.setAttribute("aria-label", `Step ${index + 1}`);
    card.querySelector("[data-number]").textContent = index + 1;
    card.querySelector('[data-move="up"]').disabled = index === 0;
    card.querySelector('[data-move="down"]').disabled = index === all.length - 1;
    card.querySelector("[data-remove]").disabled = all.length === 1;
  });
  document.getElementById("add-step").disabled = all.length >= Number(list.dataset.most);
}

function move(card, up) {
  const other = up ? card.previousElementSibling : card.nextElementSibling;
  if (!other) return;
  const focused = document.activeElement;
  if (up) other.before(card);
  else other.after(card);
  number();
  const target = focused?.disabled ? card.querySelector(`[data-move="${up ? "down" : "up"}"]`) : focused;
  target?.focus();
  card.scrollIntoView({ block: "nearest" });
  say(`Now step ${cards().indexOf(card) + 1} of ${cards().length}.`);
  changed();
}

/** Put a step at the end, with the values of its fields, by name. */
function append(key, values = {}) {
  const made = document.createElement("div");
  made.innerHTML = document.getElementById("step-blank").innerHTML.replaceAll("KEY", key);
  const card = made.firstElementChild;
  for (const [name, value] of Object.entries(values)) {
    const field = card.querySelector(`[name="${name}"]`);
    if (name === "unit" && value === "seconds") field.add(new Option("seconds", "seconds"));
    if (field) field.value = value;
  }
  list.append(card);
  prepare(card);
  htmx.process(card);
  return card;
}

function showFitting(card) {
  const unit = card.querySelector("[data-unit]");
  if (unit) card.querySelector("[data-at]").hidden = unit.value !== "days";
  const late = card.querySelector("[data-late]").value;
  card.querySelector("[data-late-hours]").hidden = late !== "expire";
}

function prepare(card) {
  showFitting(card);
  writePills(card.querySelector("[data-body]"), JSON.parse(form.dataset.blanks));
}

function add() {
  const card = append(`n${Date.now().toString(36)}${list.childElementCount}`);
  number();
  card.querySelector("[data-body]").focus();
  say(`Step ${cards().length} was added.`);
  changed();
}

function remove(card) {
  const at = cards().indexOf(card);
  // A preview under way would measure the text of this step too, and find no place to show it.
  htmx.trigger("#phone", "htmx:abort");
  card.remove();
  number();
  cards()[Math.min(at, cards().length - 1)].querySelector("[data-body]").focus();
  say(`Step ${at + 1} was deleted. ${cards().length} left.`);
  changed();
}

// What is kept on this device: what the server has not got yet.
const KEPT_AS = form?.dataset.keptAs;
let known = saved ?? (form && !document.querySelector(".field-error, .alert-danger") ? written() : null);
let sent = null;

const read = (name) => JSON.parse(localStorage.getItem(name) ?? "null");

function keep() {
  if (written() === known) localStorage.removeItem(KEPT_AS);
  else localStorage.setItem(KEPT_AS, JSON.stringify({ at: Date.now(), fields: fields() }));
}

/** Offer what an earlier visit left here, unless it is what is shown. */
function offerKept() {
  const before = `${KEPT_AS}:before`;
  const left = [read(KEPT_AS), read(before)].find((one) => one && asQuery(one.fields) !== written());
  localStorage.removeItem(KEPT_AS);
  localStorage.removeItem(before);
  if (!left) return;
  localStorage.setItem(before, JSON.stringify(left)); // until one has decided
  const offer = document.getElementById("kept-here");
  const today = new Date(left.at).toDateString() === new Date().toDateString();
  const time = { hour: "numeric", minute: "2-digit" };
  const shown = today ? time : { month: "short", day: "numeric", ...time };
  document.getElementById("kept-here-at").textContent = new Date(left.at).toLocaleString("en-US", shown);
  offer.hidden = false;
  const decided = () => {
    localStorage.removeItem(before);
    offer.hidden = true;
    cards()[0].querySelector("[data-body]").focus();
  };
  document.getElementById("kept-here-drop").addEventListener("click", decided, { once: true });
  document.getElementById("kept-here-restore").addEventListener(
    "click",
    () => {
      restore(left.fields);
      decided();
    },
    { once: true },
  );
}

function restore(kept) {
  const steps = [];
  for (const [name, value] of kept) {
    if (name === "key") steps.push({ key: value, values: {} });
    else if (steps.length) steps.at(-1).values[name] = value;
    // Steps that began with an older version must not replace a newer one unasked.
    else if (name === "version") form.elements.version.value = Math.min(value, form.elements.version.value);
  }
  list.replaceChildren();
  for (const { key, values } of steps) append(key, values);
  for (const urls of list.querySelectorAll("[data-picture-urls]")) urls.dispatchEvent(new Event("input", { bubbles: true }));
  number();
  changed();
}

/** Send what the server has not got yet as the page goes away; no answer can be waited for. */
function sendLast() {
  if (leaves || written() === known) return;
  navigator.sendBeacon(form.dataset.draft, new URLSearchParams(fields()));
}

if (form) {
  for (const card of cards()) prepare(card);
  number();
  offerKept();
  showUnsaved();
  if (known === null) changed();

  document.getElementById("add-step").addEventListener("click", add);

  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const card = button.closest("[data-step]");
    const body = card.querySelector("[data-body]");
    if (button.dataset.move) move(card, button.dataset.move === "up");
    else if ("remove" in button.dataset) remove(card);
    else if ("plain" in button.dataset) {
      const plain = JSON.parse(form.dataset.plainMap);
      const text = [...card.querySelector("[name=body]").value].map((char) => plain[char] ?? char).join("");
      body.focus();
      body.select();
      insert(body, text);
    }
  });

  list.addEventListener("keydown", (event) => {
    // Enter in a field must not publish what one is still writing.
    if (event.key === "Enter" && event.target.matches("input")) event.preventDefault();
    if (!event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    // In a closed dropdown these keys open it.
    if (event.target.matches("select")) return;
    event.preventDefault();
    move(event.target.closest("[data-step]"), event.key === "ArrowUp");
  });

  form.addEventListener("input", changed);
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-unit], [data-late]")) {
      showFitting(event.target.closest("[data-step]"));
    }
    changed();
  });

  const state = document.getElementById("draft-state");
  state.addEventListener("htmx:beforeRequest", () => (sent = written()));
  state.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful) return;
    known = sent;
    keep();
  });
  // Nothing was kept by the server while nobody was signed in.
  document.addEventListener("signed-in", () => changed());

  form.addEventListener("submit", () => {
    leaves = true;
    htmx.trigger(state, "htmx:abort");
  });
  document.getElementById("discard-form").addEventListener("submit", () => {
    leaves = true;
    htmx.trigger(state, "htmx:abort");
    localStorage.removeItem(KEPT_AS);
  });
  addEventListener("pageshow", () => {
    leaves = false; // back from another page
    showUnsaved();
  });
  addEventListener("pagehide", sendLast);
  document.addEventListener("visibilitychange", () => document.hidden && sendLast());
}
