// Keeps "in 2 hr 13 min" true while a page stays open; the same rule as api/pages/times.py.

const EVERY_MS = 10_000;
const UNITS = [
  ["day", 86_400],
  ["hr", 3_600],
  ["min", 60],
  ["sec", 1],
];

/** Say how far off a moment is: two units if it is to come, one if it is past. */
function relative(moment, now) {
  const seconds = Math.trunc((moment - now) / 1000);
  const far = Math.abs(seconds);
  if (far < 1) return "now";
  const at = UNITS.findIndex(([, size]) => far >= size);
  const words = [];
  let rest = far;
  for (const [name, size] of UNITS.slice(at, at + (seconds > 0 && far >= 3_600 ? 2 : 1))) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count) words.push(`${count} ${name}${name === "day" && count > 1 ? "s" : ""}`);
  }
  return seconds > 0 ? `in ${words.join(" ")}` : `${words.join(" ")} ago`;
}

setInterval(() => {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const moment = Date.parse(time.dateTime);
    const { past } = time.dataset;
    time.textContent = past && moment <= Date.now() ? past : relative(moment, Date.now());
  }
}, EVERY_MS);
