// Replies that wait: their number in the title, and a notification of the latest to whoever asked for it.
// The menu's count says how many there are and, once it polls, who wrote last.

const WANTED = "notify-of-replies";
const SEEN = "latest-reply-seen";

const badge = document.querySelector('[data-count="count_conversations"]');
const button = document.querySelector("[data-notify]");
const title = document.querySelector("title");

/** Put the number before the page's own title, whoever has just changed that. */
function entitle() {
  const count = badge.querySelector("[data-replies]")?.dataset.replies;
  const own = document.title.replace(/^\(\d+\+?\) /, "");
  const wanted = count ? `(${count}) ${own}` : own;
  if (document.title !== wanted) document.title = wanted;
}

const isOn = () => globalThis.Notification?.permission === "granted" && localStorage.getItem(WANTED) === "yes";

/** Say whether it is on, and let the count be asked for while nobody looks only if it is. */
function show() {
  if (isOn()) badge.dataset.asksHidden = "";
  else delete badge.dataset.asksHidden;
  if (!button || !("Notification" in globalThis)) return;
  const isBlocked = Notification.permission === "denied";
  button.hidden = false;
  button.disabled = isBlocked;
  button.setAttribute("aria-pressed", String(isOn()));
  button.querySelector("span").textContent = isBlocked
    ? "Notifications are blocked by your browser"
    : isOn()
      ? "Notifications are on"
      : "Notify me of replies";
}

/** Note that all replies up to then are seen; false if that is known. */
function see(moment) {
  const at = Date.parse(moment);
  if (at <= Number(localStorage.getItem(SEEN))) return false;
  localStorage.setItem(SEEN, String(at));
  return true;
}

/** Tell of the latest reply once, in one of this browser's tabs, unless somebody is looking. */
function tell() {
  const latest = badge.querySelector("[data-latest]")?.dataset;
  if (!latest || !see(latest.latest) || !isOn() || (!document.hidden && document.hasFocus())) return;
  const notification = new Notification(`New reply from ${latest.from}`, { tag: latest.latest });
  notification.addEventListener("click", () => {
    window.focus();
    location.assign(latest.path);
  });
}

if (badge) {
  badge.addEventListener("htmx:afterSwap", () => {
    entitle();
    tell();
  });
  entitle();
  see(badge.dataset.countedAt);
  new MutationObserver(entitle).observe(title, { childList: true });
  show();
}

button?.addEventListener("click", async () => {
  if (isOn()) localStorage.removeItem(WANTED);
  else if ((await Notification.requestPermission()) === "granted") localStorage.setItem(WANTED, "yes");
  show();
});
