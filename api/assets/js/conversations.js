// Conversations: which one is open, where the focus is, a line between days only once, Enter in the
// time to send schedules, Ctrl+Enter sends, with Shift marks done too, what is typed stays, phones.

const thread = () => document.getElementById("thread");
const heading = () => document.getElementById("thread-heading");

/** Mark the open conversation in the list, which does not load anew for it. */
function markOpen() {
  const id = thread()?.querySelector(":scope > input")?.value;
  for (const row of document.querySelectorAll(".talks-row")) {
    if (row.parentElement.id === `talk-${id}`) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

/** Earlier texts may end on the day on which the later ones begin. */
function showDaysOnce() {
  let last = null;
  for (const line of document.querySelectorAll("#thread [data-day]")) {
    line.hidden = line.dataset.day === last;
    last = line.dataset.day;
  }
}

/** Go to who is shown; on a phone, where the list is alone, to that. */
function goToHeading() {
  const shown = heading()?.offsetParent ? heading() : document.getElementById("talk-list");
  shown?.focus({ preventScroll: true });
}

let held = false; // the focus is in what is about to be replaced

document.addEventListener("htmx:beforeSwap", (event) => {
  held = Boolean(thread()?.contains(event.target) && event.detail.target.contains(document.activeElement));
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (!thread()?.contains(event.target)) return;
  showDaysOnce();
  if (event.target === thread()) {
    markOpen();
    goToHeading();
  } else if (held && !thread().contains(document.activeElement)) goToHeading();
  if (event.target.id === "reply-box") document.getElementById("field-body")?.focus();
  restore();
});

// What is typed and not sent stays while one looks at others, until the tab is closed or one signs
// out; whoever signs in next in the tab does not see it.
const typed = () => document.querySelector("#reply textarea[name=body]");
const place = (form) => form.dataset.keptAs;

function restore() {
  const text = typed();
  const kept = text && sessionStorage.getItem(place(text.form));
  if (!kept || text.value) return;
  text.value = kept;
  text.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("input", (event) => {
  if (event.target !== typed()) return;
  if (event.target.value) sessionStorage.setItem(place(event.target.form), event.target.value);
  else sessionStorage.removeItem(place(event.target.form));
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const sent = event.detail.requestConfig?.elt;
  if (!sent?.matches("#reply, [data-and-done]") || event.detail.xhr.status !== 200) return;
  sessionStorage.removeItem(place(sent.closest("#reply")));
});

// A reply is in its place from the moment it is sent; what the server then shows of it takes that.
let sending = null;
document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, parameters } = event.detail.requestConfig;
  const talk = document.querySelector("#texts .talk");
  if (elt.id !== "reply" || !talk || !parameters.body?.trim() || parameters.send_next || parameters.schedule) return;
  sending = document.createElement("li");
  sending.className = "bubble is-outbound";
  const [words, foot] = ["p", "span"].map((name) => sending.appendChild(document.createElement(name)));
  words.textContent = parameters.body;
  foot.className = "bubble-foot";
  foot.textContent = "Sending …";
  talk.append(sending);
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.requestConfig?.elt.id === "reply" && !event.detail.successful) sending?.remove();
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-signs-out]")) sessionStorage.clear();
});
restore();

// Escape leaves the reply, so that what follows is keys again and no text.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target === typed()) goToHeading();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  if (event.target.matches("#reply [name=send_at]")) {
    // By itself it would press Send, which sends at once.
    event.preventDefault();
    document.querySelector("#reply [name=schedule]").click();
    return;
  }
  if (!event.ctrlKey && !event.metaKey) return;
  const form = event.target.closest("form[data-ctrl-enter]");
  if (!form) return;
  event.preventDefault();
  const onward = event.shiftKey && form.querySelector("[data-and-done]");
  if (onward) onward.click();
  else form.requestSubmit();
});

// On a phone, what can be done about a conversation is behind a button.
document.addEventListener("click", (event) => {
  const more = event.target.closest("[data-thread-more]");
  if (!more) return;
  const isOpen = more.closest(".thread-head").classList.toggle("is-open");
  more.setAttribute("aria-expanded", String(isOpen));
});

// There a conversation fills what the keyboard leaves of the screen.
function fit() {
  document.documentElement.style.setProperty("--seen-height", `${window.visualViewport.height}px`);
  document.documentElement.style.setProperty("--seen-top", `${window.visualViewport.offsetTop}px`);
}
if (document.querySelector(".talks") && window.visualViewport) {
  for (const change of ["resize", "scroll"]) window.visualViewport.addEventListener(change, fit);
  fit();
}
