// Lists of people: whom one selected, and what may be done to them.

import { filtersOf } from "./filters.js";

const LIMIT_WORDS = (most) => `You can message up to ${most} contacts at once.`;
const BOX = "#selection .people-tick input[name]";
const count = (number) => number.toLocaleString("en-US");

let last = null; // the box ticked last, for shift-click

const boxes = () => [...document.querySelectorAll(BOX)];
const place = () => document.getElementById("place")?.dataset ?? {};
const matching = () => Number(place().matching ?? 0);
const many = () => place().many ?? "0"; // in words: "10,000+" where only so many are counted

/** Show the toolbar as it fits what is ticked now. */
function show() {
  const toolbar = document.getElementById("toolbar");
  if (!toolbar) return;
  const all = boxes();
  const ticked = all.filter((box) => box.checked);
  const everyone = document.getElementById("everyone");
  const pickPage = document.getElementById("pick-page");
  const pickEveryone = document.getElementById("pick-everyone");
  const wholePage = all.length > 0 && ticked.length === all.length;
  if (!wholePage) everyone.value = "";
  const picked = everyone.value ? matching() : ticked.length;
  const contacts = everyone.value ? picked : new Set(ticked.map((box) => box.dataset.contact ?? box.value)).size;
  if (pickPage) {
    pickPage.checked = wholePage;
    pickPage.indeterminate = ticked.length > 0 && !wholePage;
  }
  toolbar.hidden = picked === 0;
  document.getElementById("toolbar-count").textContent = `${everyone.value ? many() : count(picked)} selected`;
  pickEveryone.hidden = !wholePage || Boolean(everyone.value) || matching() <= all.length;
  pickEveryone.textContent = `Select all ${many()} that match`;
  for (const button of toolbar.querySelectorAll("[data-most]")) {
    const tooMany = contacts > Number(button.dataset.most);
    button.setAttribute("aria-disabled", String(tooMany));
    if (tooMany) button.dataset.tip = LIMIT_WORDS(button.dataset.most);
    else delete button.dataset.tip;
  }
  for (const box of all) box.closest("tr, li").classList.toggle("is-ticked", box.checked);
}

/** The filters' and, if asked, the selection's part of an address; filters with the list's order. */
function asQuery(withSelection) {
  const form = document.getElementById("filters");
  const chosen = new URLSearchParams();
  const everyone = document.getElementById("everyone")?.value;
  if (withSelection && !everyone) {
    for (const box of boxes()) if (box.checked) chosen.append(box.name, box.value);
  } else {
    for (const [name, value] of filtersOf(form)) chosen.append(name, value);
    if (form.elements.sort?.value) chosen.append("sort", form.elements.sort.value);
  }
  return String(chosen);
}

document.addEventListener("change", (event) => {
  if (event.target.id === "pick-page") {
    for (const box of boxes()) box.checked = event.target.checked;
  }
  if (event.target.closest("#selection")) show();
});

document.addEventListener("click", (event) => {
  const box = event.target.closest(BOX);
  if (box) {
    const all = boxes();
    if (event.shiftKey && all.includes(last)) {
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
      for (const between of all.slice(from, to + 1)) between.checked = box.checked;
    }
    last = box;
    show();
    return;
  }
  if (event.target.closest("#pick-everyone")) {
    document.getElementById("everyone").value = "true";
    show();
  } else if (event.target.closest("#pick-nobody")) {
    for (const each of boxes()) each.checked = false;
    show();
  }
  const link = event.target.closest("a[data-export]");
  if (link) {
    const query = new URLSearchParams(asQuery(link.dataset.export === "selection"));
    for (const [name, value] of new URLSearchParams(link.dataset.exportWithin)) query.set(name, value);
    link.search = query;
  }
});

// What is over its limit says so on hover; it does nothing.
document.addEventListener(
  "click",
  (event) => {
    if (!event.target.closest('#toolbar [aria-disabled="true"]')) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  },
  true,
);

// Other filters, other people: what was picked before is no longer meant.
document.addEventListener("htmx:beforeRequest", (event) => {
  const everyone = document.getElementById("everyone");
  if (event.target.id === "filters" && everyone) everyone.value = "";
});

// Other people on screen: what their workflows say is asked anew. Polling shows the same ones.
document.addEventListener("htmx:afterSwap", (event) => {
  if (!event.target.matches?.("#people, #list, #talk-list")) return;
  show();
  if (event.detail.requestConfig.elt.id === "place") return;
  document.body.dispatchEvent(new CustomEvent("people-shown"));
});
