// Flash messages: they can be closed, and those that only say that all is well go by themselves.

const SHOWN_MS = 6000;

document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest(".flash")?.remove();
});

function goLater(flash) {
  let waiting = setTimeout(() => flash.remove(), SHOWN_MS);
  const stay = () => clearTimeout(waiting);
  const go = () => {
    stay();
    waiting = setTimeout(() => flash.remove(), SHOWN_MS);
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
