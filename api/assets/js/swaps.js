// What happens around htmx's requests: rows keep what people did, errors are shown, polls rest.

import htmx from "./htmx.js";
import { Idiomorph } from "idiomorph/htmx";

// Morphing writes the server's attributes over the page's. What a person has ticked, typed or
// opened is theirs: `data-keep` marks such inputs. What another request fills in is left alone
// as a whole: `data-preserve` marks it.
Idiomorph.defaults.callbacks.beforeNodeMorphed = (old) => !("preserve" in (old.dataset ?? {}));
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, element) => {
  if (name === "checked" || name === "value") return !element.matches("[data-keep]");
  if (name === "open") return !element.matches("dialog, details");
  return true;
};

// Errors that are meant to be shown say where; a form with what is wrong is shown in its place.
const FORM_STATUSES = new Set([401, 409, 422, 429]);
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (FORM_STATUSES.has(xhr.status) || (xhr.status >= 400 && xhr.getResponseHeader("HX-Retarget"))) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// No answer at all, or one that is not ours. A poll keeps quiet: it comes again.
for (const kind of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
  document.addEventListener(kind, (event) => {
    if (!polls(event.target)) showTemplate("no-answer");
  });
}

// What the page asks by itself keeps no session alive (api/dependencies.py).
document.addEventListener("htmx:configRequest", (event) => {
  if (polls(event.target)) event.detail.headers["Segue-Poll"] = "1";
});

// Nobody looks, nothing is asked; but for what tells of new replies (new_replies.js).
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && polls(event.target) && !("asksHidden" in event.target.dataset)) event.preventDefault();
});

function polls(element) {
  return /\bevery\b/.test(element.getAttribute?.("hx-trigger") ?? "");
}

/** Show a message that the page has ready, unless it is shown already. */
export function showTemplate(id) {
  const template = document.getElementById(id);
  const flashes = document.getElementById("flashes");
  const shown = flashes?.querySelector(`[data-template="${id}"]`);
  if (template && flashes && !shown) flashes.append(template.content.cloneNode(true));
}

export default htmx;
