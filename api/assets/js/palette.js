// The command palette: Ctrl+K opens it; focus stays in its box, the arrows choose among what is found.

import htmx from "./htmx.js";

const palette = document.getElementById("palette");
const box = document.getElementById("palette-input");

const list = () => document.getElementById("palette-list");
const options = () => [...list().querySelectorAll("[role=option]")];
const chosen = () => list().querySelector('[aria-selected="true"]');

let wanted = false; // Enter was pressed before what is typed now was found

/** Whether what is shown was found for what is typed now. */
const isCurrent = () => list().dataset.search === box.value.trim();

function open() {
  if (document.querySelector("dialog[open]")) return;
  box.value = "";
  palette.showModal();
  htmx.trigger(box, "palette-opened");
}

/** Choose an option: its look, and what is read out. */
function choose(option) {
  chosen()?.setAttribute("aria-selected", "false");
  if (!option) return box.removeAttribute("aria-activedescendant");
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", option.id);
}

/** What may be done with the rows that are selected on the page: the buttons of its toolbar. */
function acts() {
  const toolbar = document.querySelector('main [role="toolbar"]:not([hidden])');
  return [...(toolbar?.querySelectorAll("button, a") ?? [])].filter(
    (one) => (one.hasAttribute("hx-get") || one.hasAttribute("hx-post") || one.href) && one.getAttribute("aria-disabled") !== "true",
  );
}

function addActs() {
  const words = box.value.trim().toLowerCase();
  const blank = document.getElementById("palette-act").content.firstElementChild;
  const fitting = acts().filter((one) => one.textContent.toLowerCase().includes(words));
  for (const act of fitting.reverse()) {
    const option = blank.cloneNode(true);
    option.querySelector(".palette-words").textContent = act.textContent.trim();
    option.addEventListener("click", () => act.click());
    list().prepend(option);
    list().hidden = false;
  }
}

if (palette) {
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-palette]")) open();
  });

  // Before an option does what it does: another dialog may open, or the page come back later.
  palette.addEventListener("click", (event) => event.target.closest("[role=option]") && palette.close(), true);

  document.addEventListener("keydown", (event) => {
    if (event.key?.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    if (palette.open) palette.close();
    else open();
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "palette-found") return;
    addActs();
    options().forEach((option, number) => (option.id = `palette-${number}`));
    box.setAttribute("aria-expanded", String(options().length > 0));
    choose(options()[0]);
    if (!wanted || !isCurrent()) return;
    wanted = false;
    chosen()?.click();
  });

  palette.addEventListener("keydown", (event) => {
    const all = options();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && all.length) {
      event.preventDefault();
      choose(all.at((all.indexOf(chosen()) + step) % all.length));
    }
    if (event.key === "Enter" && event.target === box) {
      event.preventDefault();
      if (isCurrent()) chosen()?.click();
      else wanted = true;
    }
  });

  palette.addEventListener("close", () => {
    wanted = false;
    box.setAttribute("aria-expanded", "false");
  });
}
