// The frame: the menu at phone width, forms that must not be sent twice.

const menu = document.getElementById("sidebar");
const button = document.getElementById("sidebar-button");

function open(isOpen) {
  menu.classList.toggle("is-open", isOpen);
  button.setAttribute("aria-expanded", String(isOpen));
}

button?.addEventListener("click", () => open(!menu.classList.contains("is-open")));
document.addEventListener("click", (event) => {
  if (menu?.classList.contains("is-open") && !event.target.closest("#sidebar, #sidebar-button")) open(false);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu?.classList.contains("is-open")) {
    open(false);
    button.focus();
  }
});

// A second click on "Save" must not save twice. htmx has hx-disabled-elt for its own forms.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.matches("[hx-post], [hx-patch], [hx-delete]")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "true";
  event.submitter?.setAttribute("aria-busy", "true");
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const busy of document.querySelectorAll("[type=submit][aria-busy]")) busy.removeAttribute("aria-busy");
});

// Tabs that do not all fit: the one that one is on is in sight.
const tab = document.querySelector(".tabs [aria-current]");
if (tab) {
  // By hand: scrollIntoView also moves where the first Tab starts (Chromium 150), past the skip link.
  const strip = tab.closest(".tabs");
  const [inner, outer] = [tab.getBoundingClientRect(), strip.getBoundingClientRect()];
  strip.scrollLeft += inner.left + inner.width / 2 - (outer.left + outer.width / 2);
}

// A token or the like: <button data-copy="#id"> copies that element's text.
document.addEventListener("click", async (event) => {
  const copier = event.target.closest("[data-copy]");
  if (!copier) return;
  const source = document.querySelector(copier.dataset.copy);
  await navigator.clipboard.writeText(source.value ?? source.textContent.trim());
  copier.querySelector("[data-copied]")?.replaceChildren("Copied");
});
