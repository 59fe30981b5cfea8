// Runs before anything is painted: the theme that was chosen, else the system's.

const KEY = "segue-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Paint in the chosen theme. */
function apply() {
  const chosen = localStorage.getItem(KEY) ?? "auto";
  const isDark = chosen === "dark" || (chosen === "auto" && dark.matches);
  document.documentElement.dataset.theme = chosen;
  document.documentElement.dataset.bsTheme = isDark ? "dark" : "light";
}

apply();
dark.addEventListener("change", apply);
addEventListener("storage", apply); // another tab has chosen
addEventListener("DOMContentLoaded", () => {
  for (const radio of document.querySelectorAll("input[name=theme]")) {
    radio.checked = radio.value === document.documentElement.dataset.theme;
    radio.addEventListener("change", () => {
      localStorage.setItem(KEY, radio.value);
      apply();
    });
  }
});
