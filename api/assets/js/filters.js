// Filters of lists: dropdowns say how many of their boxes are ticked or filled; addresses stay short.

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

/** Offer to clear the filters once there are any. */
function showClear(form) {
  const clear = form?.querySelector("[data-clear-filters]");
  if (!clear) return;
  const values = [...new FormData(form)].filter(([name, value]) => value && name !== "sort");
  clear.hidden = values.length === 0;
}

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
