// The send window of a sequence: presets, and days that are closed or open at any time.

const PRESETS = {
  careful: (day) => [day === "sun" ? "12:00" : "09:00", "20:00"],
  weekdays: (day) => (["sat", "sun"].includes(day) ? null : ["09:00", "17:00"]),
};

/** Grey out what does not count. */
function show(week) {
  const anyTime = week.querySelector("[data-any-time]").checked;
  week.querySelector(".week").hidden = anyTime;
  for (const day of week.querySelectorAll(".week-day")) {
    const isOpen = day.querySelector("[name=open]").checked;
    // Read-only rather than disabled: the order of all seven says which day a time is of.
    for (const time of day.querySelectorAll("[type=time]")) time.readOnly = !isOpen;
  }
}

document.addEventListener("change", (event) => {
  const week = event.target.closest("[data-week]");
  if (week) show(week);
});

document.addEventListener("click", (event) => {
  const preset = PRESETS[event.target.closest("[data-preset]")?.dataset.preset];
  if (!preset) return;
  const week = event.target.closest("[data-week]");
  week.querySelector("[data-any-time]").checked = false;
  for (const day of week.querySelectorAll(".week-day")) {
    const open = day.querySelector("[name=open]");
    const hours = preset(open.value);
    open.checked = hours !== null;
    if (hours) [day.querySelector("[name=opens]").value, day.querySelector("[name=closes]").value] = hours;
  }
  show(week);
});

for (const week of document.querySelectorAll("[data-week]")) show(week);
