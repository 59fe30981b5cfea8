// Flash messages: they can be closed, and those that only say that all is well go by themselves; one
// that offers to undo, or a link, later than others.

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
if (flashes) {
  const watch = () => {
    for (const flash of flashes.querySelectorAll(".flash-success:not([data-watched])")) {
      flash.dataset.watched = "";
      goLater(flash);
    }
  };
  watch();
  new MutationObserver(watch).observe(flashes, { childList: true });
}
