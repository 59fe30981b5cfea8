// Fetches the changing parts of the page every two seconds and swaps those that did change.
"use strict";

const PERIOD = 2000;
const PARTS = ["numbers", "handsets", "texts"];

function localise(root) {
  const today = new Date().toDateString();
  for (const element of root.querySelectorAll("time")) {
    const moment = new Date(element.dateTime);
    const clock = { hour: "2-digit", minute: "2-digit" };
    const day = moment.toDateString() === today ? {} : { month: "short", day: "numeric" };
    element.textContent = moment.toLocaleString([], { ...day, ...clock });
    element.title = moment.toLocaleString();
  }
}

function swap(id, fresh) {
  const shown = document.getElementById(id);
  if (!shown || !fresh || shown.innerHTML === fresh.innerHTML) return;
  const atEnd = shown.scrollHeight - shown.scrollTop - shown.clientHeight < 40;
  shown.replaceChildren(...fresh.childNodes);
  if (id === "texts" && atEnd) shown.scrollTop = shown.scrollHeight;
}

async function refresh() {
  try {
    const answer = await fetch("/_simulator/live" + location.search);
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      localise(fresh);
      for (const id of PARTS) swap(id, fresh.getElementById(id));
    }
  } catch {
    // The simulator is down; the next round asks again.
  }
  setTimeout(refresh, PERIOD);
}

localise(document);
const texts = document.getElementById("texts");
if (texts) texts.scrollTop = texts.scrollHeight;

const box = document.querySelector("textarea");
box?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    box.form.requestSubmit(box.form.querySelector(".send"));
  }
});

setTimeout(refresh, PERIOD);
