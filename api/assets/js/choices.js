// Long dropdowns: a box above them leaves those that hold what is typed.

const all = new WeakMap();

/** Without case and accents, as searches for people are. */
const folded = (words) => words.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** Leave out the options that do not fit; what is chosen, and the blank one, stay. */
function narrowSelect(select, fits) {
  if (!all.has(select)) all.set(select, [...select.options]);
  const options = all.get(select);
  const found = options.filter((one) => one.value && fits(one.textContent));
  const kept = options.filter((one) => !one.value || one.selected || found.includes(one));
  select.replaceChildren(...kept);
  return found;
}

/** Hide the tick boxes that do not fit; what is ticked stays. */
function narrowBoxes(menu, fits) {
  const labels = [...menu.querySelectorAll("label.form-check")];
  const found = labels.filter((one) => fits(one.textContent));
  for (const one of labels) {
    one.hidden = !found.includes(one) && !one.querySelector("input").checked;
  }
  return found;
}

function narrow(box) {
  const target = document.getElementById(box.dataset.narrow);
  const sought = folded(box.value.trim());
  const fits = (words) => folded(words).includes(sought);
  const found = target instanceof HTMLSelectElement ? narrowSelect(target, fits) : narrowBoxes(target, fits);
  box.nextElementSibling.textContent = sought ? `${found.length} found` : "";
  return { target, found };
}

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-narrow]")) narrow(event.target);
});

// It is no field of the form that it stands in: nothing loads anew for it.
document.addEventListener(
  "change",
  (event) => {
    if (event.target.matches("[data-narrow]")) event.stopPropagation();
  },
  true,
);

// Enter takes the first that is left.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("[data-narrow]")) return;
  event.preventDefault();
  if (!event.target.value.trim()) return;
  const { target, found } = narrow(event.target);
  if (!found.length) return;
  if (target instanceof HTMLSelectElement) {
    target.value = found[0].value;
    target.dispatchEvent(new Event("change", { bubbles: true }));
    target.focus();
  } else found[0].click();
});
