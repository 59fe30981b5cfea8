// Saved replies: "/" at the beginning of a line of the reply offers them, filtered as one types. The
// list has each text as the contact would get it; what is blank stays a merge field, and is marked.

const area = () => document.querySelector("#reply textarea[name=body]");
const box = () => document.getElementById("saved-replies");
const options = () => [...(box()?.querySelectorAll(".saved-option") ?? [])];
const shown = () => options().filter((one) => !one.hidden);
let left = null; // where the line begins in which the list was closed
let put = ""; // what the button wrote to open the list; it goes if nothing is chosen

/** Read what is typed after "/" at the beginning of the caret's line; null if there is none. */
function asked() {
  const text = area();
  if (!text || text.selectionStart !== text.selectionEnd) return null;
  const before = text.value.slice(0, text.selectionStart);
  const start = before.lastIndexOf("\n") + 1;
  const line = before.slice(start);
  return line.startsWith("/") ? { start, words: line.slice(1).trim().toLowerCase() } : null;
}

/** Show the list where it is asked for, and only what has the words typed. */
function offer() {
  const wanted = asked();
  if (!wanted || wanted.start !== left) left = null;
  if (!wanted || left !== null) return close();
  for (const one of options()) one.hidden = !one.dataset.name.includes(wanted.words);
  const none = box().querySelector("[data-saved-none]");
  if (none) none.hidden = shown().length > 0;
  box().hidden = false;
  const text = area();
  text.setAttribute("aria-autocomplete", "list");
  text.setAttribute("aria-controls", "saved-list");
  choose(shown().find((one) => one.ariaSelected === "true") ?? shown()[0]);
}

function choose(chosen) {
  for (const one of options()) one.ariaSelected = String(one === chosen);
  if (chosen) area().setAttribute("aria-activedescendant", chosen.id);
  else area().removeAttribute("aria-activedescendant");
  chosen?.scrollIntoView({ block: "nearest" });
}

function close() {
  put = "";
  if (!box()) return;
  box().hidden = true;
  for (const name of ["aria-autocomplete", "aria-controls", "aria-activedescendant"]) area()?.removeAttribute(name);
}

/** Close the list without a choice: what the button wrote, and the words typed behind it, go too. */
function leave() {
  const wanted = asked();
  const text = area();
  if (wanted && put) {
    text.setRangeText("", wanted.start + 1 - put.length, text.selectionStart, "end");
    close();
    text.dispatchEvent(new Event("input", { bubbles: true }));
    return;
  }
  left = wanted?.start ?? null;
  close();
}

/** Put a reply in the place of what was typed, and mark the first that is blank in it. */
function insert(chosen) {
  const text = area();
  const { start } = asked();
  text.setRangeText(chosen.dataset.text, start, text.selectionStart, "end");
  close();
  const warning = document.querySelector("[data-saved-missing]");
  const { missing } = chosen.dataset;
  warning.hidden = !missing;
  warning.querySelector("span").textContent = missing ? `Blank for this contact: ${missing}. Fill in what is marked.` : "";
  const open = missing ? text.value.indexOf("{{", start) : -1;
  if (open >= 0) text.setSelectionRange(open, text.value.indexOf("}}", open) + 2);
  text.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("input", (event) => {
  if (event.target !== area()) return;
  offer();
  if (!event.target.value.includes("{{")) document.querySelector("[data-saved-missing]").hidden = true;
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target === box()) offer();
});

// Before the others: an open list takes the keys.
document.addEventListener(
  "keydown",
  (event) => {
    if (event.target !== area() || !box() || box().hidden || event.ctrlKey || event.metaKey) return;
    const some = shown();
    const at = some.findIndex((one) => one.ariaSelected === "true");
    if (event.key === "Escape") {
      leave();
    } else if (event.key === "ArrowDown") choose(some[(at + 1) % some.length]);
    else if (event.key === "ArrowUp") choose(some.at(at - 1));
    else if ((event.key === "Enter" || event.key === "Tab") && some[at]) insert(some[at]);
    else if (event.key === "Enter" && !box().childElementCount) event.stopPropagation(); // it is still being loaded
    else return;
    event.preventDefault();
    event.stopPropagation();
  },
  true,
);

// The pointer leaves the caret where it is.
document.addEventListener("pointerdown", (event) => {
  if (event.target.closest(".saved-option")) event.preventDefault();
});
document.addEventListener("click", (event) => {
  const chosen = event.target.closest(".saved-option");
  if (chosen) return insert(chosen);
  if (event.target.closest("[data-saved-open]")) {
    const text = area();
    text.focus();
    const before = text.value.slice(0, text.selectionStart);
    const slash = before && !before.endsWith("\n") ? "\n/" : "/";
    const isNew = !asked();
    if (isNew) text.setRangeText(slash, text.selectionStart, text.selectionEnd, "end");
    left = null;
    offer();
    if (isNew) put = slash;
    return undefined;
  }
  if (!event.target.closest("#saved-replies, #reply textarea") && put) leave();
  else if (!event.target.closest("#saved-replies, #reply textarea")) close();
  return undefined;
});
