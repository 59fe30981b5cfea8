// Enrolling: contacts are picked one by one; what was foreseen is for what is chosen now.

const chosen = document.getElementById("enroll-chosen");
const form = document.getElementById("enroll-form");
const summary = document.getElementById("summary");

const chipOf = (id) => chosen.querySelector(`[data-chosen-one="${id}"]`);

function count() {
  const picked = chosen.childElementCount;
  document.getElementById("enroll-count").textContent = picked ? `${picked} selected` : "No contacts selected";
  summary.replaceChildren();
}

function pick(box) {
  const chip = document.getElementById("enroll-chip").content.firstElementChild.cloneNode(true);
  chip.dataset.chosenOne = box.dataset.choose;
  chip.querySelector("input").value = box.dataset.choose;
  chip.querySelector("span").textContent = box.dataset.name;
  chip.querySelector("button").setAttribute("aria-label", `Leave out ${box.dataset.name}`);
  chosen.append(chip);
}

/** Tick those who are picked, whatever was searched for. */
function tick() {
  for (const box of document.querySelectorAll("#enroll-found [data-choose]")) {
    box.checked = Boolean(chipOf(box.dataset.choose));
  }
}

if (chosen) {
  document.addEventListener("change", (event) => {
    const box = event.target.closest("#enroll-found [data-choose]");
    if (!box) return;
    if (box.checked) pick(box);
    else chipOf(box.dataset.choose)?.remove();
    count();
  });

  chosen.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-unpick]")?.parentElement;
    if (!chip) return;
    const next = chip.nextElementSibling ?? chip.previousElementSibling;
    chip.remove();
    (next?.querySelector("button") ?? document.getElementById("enroll-search")).focus();
    tick();
    count();
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "enroll-found") tick();
  });
}

if (form) {
  // Before htmx hears of it: another file has other columns, another text other numbers.
  const forget = (event) => {
    if (!event.target.matches("[data-stays]")) summary.replaceChildren();
  };
  form.addEventListener("input", forget, true);
  form.addEventListener("change", forget, true);
}
