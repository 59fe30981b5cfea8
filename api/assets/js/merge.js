// Merge fields of the texts that people write: text areas show them as pills, and a dialog asks which
// one to insert, and what to say where a contact has none.

import { asText, insert, showPills } from "./pills.js";

const merge = (name) => document.getElementById(`merge-${name}`);
// A text area whose dialog is gone is drawn once more.
const option = (name) => [...(merge("name")?.options ?? [])].find((one) => name && one.value === name);
const called = (name) => option(name)?.label ?? name;
let asked = null; // the text area, and the merge field in it that is changed

function askField(area, field = null) {
  asked = { area, field };
  if (field && !option(field.name)) addVariable(field.name);
  merge("title").textContent = field ? "Change the field" : "Insert a field";
  merge("done").textContent = field ? "Change" : "Insert";
  merge("remove").hidden = !field;
  merge("name").value = field?.name ?? "first_name";
  merge("key").value = "";
  merge("format").value = field?.format === "long" ? "" : (field?.format ?? "");
  merge("fallback").value = field ? field.fallback : (merge("name").selectedOptions[0].dataset.fallback ?? "");
  showChoice();
  document.getElementById("merge").showModal();
  merge("name").focus();
}

/** Offer a name that is no field's. */
function addVariable(name) {
  const made = new Option(name, name);
  made.dataset.dated = "";
  merge("name").lastElementChild.prepend(made);
}

function showChoice() {
  const [chosen] = merge("name").selectedOptions;
  merge("variable").hidden = Boolean(chosen.value);
  merge("dates").hidden = !("dated" in chosen.dataset);
  merge("blank").textContent = "own" in chosen.dataset ? merge("blank").dataset.own : merge("blank").dataset.others;
}

/** The key that somebody means by the name of a variable: "Start date" is start_date. */
const asKey = (words) =>
  words
    .trim()
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "");

/** Write the merge field once the dialog is closed: it gives the focus back first. */
function writeField(text) {
  const { area, field } = asked;
  document.getElementById("merge").addEventListener(
    "close",
    () => {
      area.focus();
      if (field) area.setSelectionRange(field.from, field.to);
      insert(area, text);
    },
    { once: true },
  );
}

/** Show the merge fields of a text area as pills, which the dialog changes; see `showPills`. */
export function writePills(area, blanks = []) {
  showPills(area, { called, edit: askField, blanks });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-insert-field]");
  if (button) askField(button.closest(".field").querySelector("textarea"));
  if (event.target.id !== "merge-remove") return;
  writeField("");
  document.getElementById("merge").close();
});

document.addEventListener("change", (event) => {
  if (event.target.id !== "merge-name") return;
  merge("fallback").value = merge("name").selectedOptions[0].dataset.fallback ?? "";
  showChoice();
  if (!merge("name").value) merge("key").focus();
});

document.addEventListener("submit", (event) => {
  if (event.target.id !== "merge-form") return;
  const name = merge("name").value || asKey(merge("key").value);
  if (!name) {
    event.preventDefault();
    merge("key").focus();
    return;
  }
  if (!option(name)) addVariable(name);
  const fallback = merge("fallback").value.replace(/[{}|]/g, "").trim();
  writeField(asText({ name, fallback, format: merge("dates").hidden ? "" : merge("format").value }));
});

function show(within) {
  for (const area of within.querySelectorAll("textarea[data-pills]:not(.pill-frame *)")) writePills(area);
}
show(document);
document.addEventListener("htmx:afterSwap", (event) => show(event.target));
