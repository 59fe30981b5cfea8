// Filters of lists: dropdowns say how many of their boxes are ticked or filled, the button of the
// sheet how many filters there are; addresses stay short.

/** Read what of a form is a filter, in use, and not how the list is shown. */
export function filtersOf(form) {
  const others = form.dataset.noFilters.split(" ");
  return [...new FormData(form)].filter(([name, value]) => value && !others.includes(name));
}

document.addEventListener("change", (event) => {
  const chosen = event.target.closest("[data-chosen]");
  if (chosen) {
    const used = [...chosen.querySelectorAll("[name]")].filter((box) =>
      box.type === "checkbox" ? box.checked : box.value,
    );
    chosen.querySelector("[data-chosen-count]").textContent = used.length || "";
  }
  showClear(event.target.closest("form"));
});
// What is typed is searched for while it is typed. Were the list loaded once more when the box is
// left, it would change under the very click that leaves it, and the click would be lost.
document.addEventListener(
  "change",
  (event) => {
    if (event.target.matches("[data-search]")) event.stopPropagation();
  },
  true,
);
document.addEventListener("input", (event) => showClear(event.target.closest("form")));

/** Offer to clear the filters once there are any, and say how many are in the sheet. */
function showClear(form) {
  const clear = form?.querySelector("[data-clear-filters]");
  if (!clear) return;
  const used = filtersOf(form);
  clear.hidden = used.length === 0;
  const folded = new Set(used.map(([name]) => name));
  for (const name of ["search", "outcome_step"]) folded.delete(name);
  const count = form.querySelector("[data-filters-count]");
  if (count) count.textContent = folded.size ? ` (${folded.size})` : "";
}
showClear(document.getElementById("filters"));

// Chips that are folded away, and unfolded by the last one.
document.addEventListener("click", (event) => {
  const unfold = event.target.closest("[data-unfold]");
  if (!unfold) return;
  const opened = document.getElementById(unfold.dataset.unfold).classList.toggle("is-open");
  unfold.setAttribute("aria-expanded", String(opened));
});

// A sheet that is open says so on its button, as menus do (floating.js).
document.addEventListener(
  "toggle",
  (event) => {
    if (!event.target.matches?.(".filters-sheet")) return;
    const button = document.querySelector('[popovertarget="filters-sheet"]');
    button?.setAttribute("aria-expanded", String(event.newState === "open"));
  },
  true,
);

// An empty field filters nothing, so it is no part of the address.
document.addEventListener("htmx:configRequest", (event) => {
  const { verb, formData } = event.detail;
  if (verb !== "get") return;
  for (const name of new Set(formData.keys())) {
    const kept = formData.getAll(name).filter((value) => value !== "");
    formData.delete(name);
    for (const value of kept) formData.append(name, value);
  }
});
