// The Steps editor: steps are added, moved and deleted on the page and saved together.

import htmx from "./htmx.js";

const form = document.getElementById("steps-form");
const list = document.getElementById("steps");

/** Tell the preview that something is different; it waits until one stops typing. */
function changed() {
  document.body.dispatchEvent(new CustomEvent("steps-changed"));
  if (form) showUnsaved();
}

// For whom the texts are filled in.
document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-see-as]");
  if (!choice) return;
  document.getElementById("see-as").value = choice.dataset.seeAs;
  document.getElementById("see-as-name").textContent = choice.dataset.seeAs ? choice.dataset.name : "Nobody in particular";
  document.getElementById("see-as-menu").hidePopover();
  document.body.dispatchEvent(new CustomEvent("steps-changed"));
});

const written = () =>
  new URLSearchParams([...new FormData(form)].filter(([name]) => !["key", "version", "contact_id"].includes(name))).toString();
const saved = form && !("dirty" in form.dataset) ? written() : null;
let leaves = false;

const isUnsaved = () => !leaves && written() !== saved;

function showUnsaved() {
  const unsaved = isUnsaved();
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

function add() {
  const key = `n${Date.now().toString(36)}${list.childElementCount}`;
  const made = document.createElement("div");
  made.innerHTML = document.getElementById("step-blank").innerHTML.replaceAll("KEY", key);
  const card = made.firstElementChild;
  list.append(card);
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

/** Put text where the cursor is, so that undo takes it back. */
function insert(area, text) {
  area.focus();
  // setRangeText would lose what was typed before from the browser's undo.
  if (!document.execCommand("insertText", false, text)) {
    area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

// Merge fields: what to say where a contact has none is asked first.
const dialog = document.getElementById("merge");
let area = null;
let field = "";

function askFallback(button) {
  field = button.dataset.merge;
  area = button.closest("[data-step]").querySelector("[data-body]");
  const known = dialog.querySelector(`data[value="${field}"]`);
  document.getElementById("merge-words").textContent = known.dataset.words;
  document.getElementById("merge-blank").textContent = known.dataset.blank;
  const fallback = document.getElementById("merge-fallback");
  fallback.value = known.dataset.fallback;
  dialog.showModal();
  fallback.select();
}

if (form) {
  number();

  document.getElementById("add-step").addEventListener("click", add);

  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const card = button.closest("[data-step]");
    if (button.dataset.move) move(card, button.dataset.move === "up");
    else if ("remove" in button.dataset) remove(card);
    else if (button.dataset.merge) askFallback(button);
    else if ("plain" in button.dataset) {
      const body = card.querySelector("[data-body]");
      const plain = JSON.parse(form.dataset.plainMap);
      const text = [...body.value].map((char) => plain[char] ?? char).join("");
      body.focus();
      body.select();
      insert(body, text);
    }
  });

  list.addEventListener("keydown", (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    // In a closed dropdown these keys open it.
    if (event.target.matches("select")) return;
    event.preventDefault();
    move(event.target.closest("[data-step]"), event.key === "ArrowUp");
  });

  form.addEventListener("input", changed);
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-unit]")) {
      const at = event.target.closest("[data-step]").querySelector("[data-at]");
      at.hidden = event.target.value !== "days";
    }
    changed();
  });

  document.getElementById("merge-form").addEventListener("submit", () => {
    const fallback = document.getElementById("merge-fallback").value.replace(/[{}|]/g, "").trim();
    const text = fallback ? `{{${field}|${fallback}}}` : `{{${field}}}`;
    // Once the dialog is closed it gives the focus back; only then can be written.
    dialog.addEventListener("close", () => insert(area, text), { once: true });
  });

  form.addEventListener("submit", () => {
    leaves = true;
  });
  document.getElementById("steps-discard").addEventListener("click", () => {
    leaves = true;
  });
  addEventListener("pageshow", () => {
    leaves = false; // back from another page
    showUnsaved();
  });
  addEventListener("beforeunload", (event) => {
    if (isUnsaved()) event.preventDefault();
  });
}
