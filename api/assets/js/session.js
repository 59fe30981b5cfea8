// The session ended while a page is open: one signs in again over it, nothing typed is lost, and
// what was asked for is asked for again.

import htmx from "./htmx.js";
import { showTemplate } from "./swaps.js";

/** Kinds of events by which a person asks for something; all else, pages ask by themselves. */
const ACTS = new Set(["click", "submit", "change"]);

let asking = null;

/** Ask to sign in again; answers whether that was done. */
export function signInAgain() {
  asking ??= new Promise((resolve) => {
    const blank = document.getElementById("sign-in-again");
    const dialog = blank.content.firstElementChild.cloneNode(true);
    const done = () => dialog.close("signed-in");
    document.addEventListener("signed-in", done);
    dialog.addEventListener("close", () => {
      document.removeEventListener("signed-in", done);
      dialog.remove();
      asking = null;
      const isDone = dialog.returnValue === "signed-in";
      if (isDone) document.querySelector('[data-template="signed-out"]')?.remove();
      else showTemplate("signed-out");
      resolve(isDone);
    });
    document.body.append(dialog);
    htmx.process(dialog);
    dialog.showModal();
  });
  return asking;
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-sign-in]")) signInAgain();
});

document.addEventListener("htmx:beforeOnLoad", async (event) => {
  const { xhr, requestConfig, elt } = event.detail;
  if (xhr.status !== 401 || xhr.getResponseHeader("HX-Trigger") !== "session-ended") return;
  event.preventDefault();
  const { triggeringEvent: by } = requestConfig;
  // While somebody types, a dialog would take the keys that are meant for the page.
  if (!ACTS.has(by?.type)) showTemplate("signed-out");
  else if (await signInAgain()) repeat(elt, by);
});

function repeat(element, by) {
  if (!element.isConnected) return;
  // A button that is gone is not pressed: without it, the form would mean something else.
  if (by.type === "submit" && by.submitter?.isConnected === false) return;
  if (by.type === "submit") element.requestSubmit(by.submitter);
  else if (by.type === "click") element.click();
  else htmx.trigger(element, by.type);
}

/** Whether the session goes on; undefined if nobody answers. */
async function isSignedIn() {
  try {
    const answer = await fetch("/api/session", { headers: { "Segue-Poll": "1" }, cache: "no-store" });
    return answer.status !== 401;
  } catch {
    return undefined;
  }
}

const TYPED = "textarea, [type=file], input:not([type=hidden], [type=submit], [type=radio], [type=checkbox])";
const holdsWords = (form) => [...form.elements].some((one) => one.matches(TYPED));

// A form that leads to another page would lose what was typed: it is sent once it can be taken.
document.addEventListener(
  "submit",
  async (event) => {
    const { target: form, submitter } = event;
    if (form.method !== "post" || form.matches("[hx-post]") || !holdsWords(form)) return;
    // Pictures that are still on their way keep the form from being sent at all.
    if (!document.getElementById("sign-in-again") || form.querySelector("[data-pictures][aria-busy]")) return;
    if (form.dataset.taken) {
      delete form.dataset.taken;
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (form.dataset.asks) return;
    form.dataset.asks = "true";
    const goesOn = await isSignedIn();
    const isTaken = goesOn || (goesOn === false && (await signInAgain()));
    delete form.dataset.asks;
    if (goesOn === undefined) showTemplate("no-answer");
    if (!isTaken) return;
    form.dataset.taken = "true";
    form.requestSubmit(submitter);
  },
  true,
);
