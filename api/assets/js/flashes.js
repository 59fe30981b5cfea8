// Flash messages: they can be closed, and those that only say that all is well go by themselves; one
// that offers to undo, or a link, later than others. They lie over nothing that can be used, nor over
// the newest text of a conversation, of which they may speak.

const SHOWN_MS = 6000;
const LASTING_MS = 20000;

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest(".flash")?.remove();
});

// What was undone is not undone again.
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful && event.target.matches("[data-undo]")) event.target.closest(".flash")?.remove();
});

function goLater(flash) {
  const shown = "lasting" in flash.dataset ? LASTING_MS : SHOWN_MS;
  let waiting = setTimeout(() => flash.remove(), shown);
  const stay = () => clearTimeout(waiting);
  const go = () => {
    stay();
    waiting = setTimeout(() => flash.remove(), shown);
  };
  flash.addEventListener("pointerenter", stay);
  flash.addEventListener("focusin", stay);
  flash.addEventListener("pointerleave", go);
  flash.addEventListener("focusout", go);
}

const flashes = document.getElementById("flashes");
const UNCOVERED = "a[href], button, input:not([type=hidden]), select, textarea, summary, label, .bubble:last-child";
const EDGE = 16;
const STEP = 8;

/** Where that is which a person sees and messages leave alone. */
function uncovered() {
  const seen = [...document.querySelectorAll(UNCOVERED)].filter((one) => !flashes.contains(one) && one.checkVisibility());
  return seen.map((one) => one.getBoundingClientRect());
}

const isOver = (box, other) =>
  box.left < other.right && other.left < box.left + box.width && box.top < other.bottom && other.top < box.top + box.height;

/** Put the messages where they lie over none of that, from the right bottom up; else over as few as can be. */
function place() {
  if (!flashes.childElementCount || flashes.matches(":hover, :focus-within")) return;
  const { left, top, width, height } = flashes.getBoundingClientRect();
  const others = uncovered();
  const over = (box) => others.filter((other) => isOver(box, other)).length;
  const { clientWidth, clientHeight } = document.documentElement;
  const columns = [clientWidth - EDGE - width, (clientWidth - width) / 2, EDGE];
  let best = { left: columns[0], top: clientHeight - EDGE - height };
  let least = over({ left, top, width, height });
  if (!least && top >= 0 && top + height <= clientHeight) return;
  least = over({ ...best, width, height });
  for (const x of columns) {
    for (let y = clientHeight - EDGE - height; least && y >= EDGE; y -= STEP) {
      const count = over({ left: x, top: y, width, height });
      if (count < least) [best, least] = [{ left: x, top: y }, count];
    }
  }
  flashes.style.left = `${best.left}px`;
  flashes.style.bottom = `${clientHeight - best.top - height}px`;
}

if (flashes) {
  const watch = () => {
    for (const flash of flashes.querySelectorAll(".flash-success:not([data-watched])")) {
      flash.dataset.watched = "";
      goLater(flash);
    }
    place();
  };
  watch();
  new MutationObserver(watch).observe(flashes, { childList: true });
  // Once what the event brings is shown.
  const later = () => requestAnimationFrame(place);
  addEventListener("resize", later);
  for (const what of ["htmx:afterSettle", "scrollend", "focusin", "change", "close"]) document.addEventListener(what, later, true);
}
