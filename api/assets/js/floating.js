// Menus and tooltips: native popovers, put beside what they belong to.

const GAP = 6;

/** Put a popover below its anchor, above where there is no room, never beyond the window. */
function place(popover, anchor, { centred = false } = {}) {
  const box = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = popover;
  const roomBelow = innerHeight - box.bottom;
  const top = roomBelow < height + GAP && box.top > roomBelow ? box.top - height - GAP : box.bottom + GAP;
  const endsRight = popover.dataset.align === "end";
  let left = endsRight ? box.right - width : box.left;
  if (centred) left = box.left + box.width / 2 - width / 2;
  popover.style.top = `${Math.max(GAP, top)}px`;
  popover.style.left = `${Math.max(GAP, Math.min(left, innerWidth - width - GAP))}px`;
}

// Menus: <button popovertarget="id"> and <div popover id="id" class="menu">.
document.addEventListener(
  "toggle",
  (event) => {
    const menu = event.target;
    if (!menu.matches?.(".menu[popover]")) return;
    const button = document.querySelector(`[popovertarget="${menu.id}"]`);
    const opened = event.newState === "open";
    button?.setAttribute("aria-expanded", String(opened));
    if (opened && button) place(menu, button);
  },
  true,
);

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(".menu[popover]");
  if (!menu || !["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) return;
  if (event.target.matches("input")) return; // radios and text fields have arrows of their own
  const items = [...menu.querySelectorAll("a[href], button:not(:disabled)")];
  const at = items.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  items.at(next % items.length)?.focus();
  event.preventDefault();
});

// A letter leads to the next item that begins with it.
document.addEventListener("keydown", (event) => {
  const menu = event.target.matches("button") && event.target.closest(".menu[popover]");
  if (!menu || event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) return;
  const items = [...menu.querySelectorAll("a[href], button:not(:disabled)")];
  const at = items.indexOf(event.target) + 1;
  const begins = (item) => item.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase());
  [...items.slice(at), ...items.slice(0, at)].find(begins)?.focus();
});

// Tooltips: data-tip="words" on anything. Hover, keyboard focus or a tap shows them, Escape hides
// them, and the pointer may rest on them (WCAG 1.4.13).
const tip = document.createElement("div");
tip.id = "tip";
tip.role = "tooltip";
tip.popover = "manual";
let shownFor = null;
let hiding = 0;

function show(anchor) {
  clearTimeout(hiding);
  if (!anchor.dataset.tip || shownFor === anchor) return;
  hide();
  shownFor = anchor;
  tip.textContent = anchor.dataset.tip;
  (anchor.closest("dialog[open], main, aside") ?? document.body).append(tip);
  tip.showPopover();
  place(tip, anchor, { centred: true });
  anchor.setAttribute("aria-describedby", tip.id);
}

function hide() {
  clearTimeout(hiding);
  if (!shownFor) return;
  shownFor.removeAttribute("aria-describedby");
  shownFor = null;
  if (tip.matches(":popover-open")) tip.hidePopover();
}

document.addEventListener("pointerover", (event) => {
  const anchor = event.target.closest("[data-tip]");
  if (anchor) show(anchor);
  else if (event.target.closest("#tip")) clearTimeout(hiding);
  else if (shownFor) {
    clearTimeout(hiding);
    hiding = setTimeout(hide, 120);
  }
});
document.addEventListener("focusin", (event) => {
  const anchor = event.target.closest("[data-tip]");
  if (anchor?.matches(":focus-visible")) show(anchor);
  else hide();
});
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
addEventListener("scroll", hide, true);
