// Dialogs: <button data-dialog="id"> opens <dialog id="id">; [data-close] inside closes it.
// What htmx puts into #dialog (in the middle) or #panel (at the side) opens them.

const FIELD = ".dialog-body :is(input:not([type=hidden], [type=radio], [type=checkbox]), select, textarea)";

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) {
    document.getElementById(opener.dataset.dialog)?.showModal();
    return;
  }
  const dialog = event.target.closest("dialog[open]");
  if (!dialog) return;
  // A click on the dialog itself, not on anything in it, hit the backdrop.
  if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
});

document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.target.closest?.("#dialog, #panel");
  // "All is done" closes it and swaps nothing in; what was there is cleared a moment later.
  if (event.detail.xhr.getResponseHeader("HX-Reswap") === "none") return;
  if (!dialog || dialog.open || !dialog.childElementCount) return;
  dialog.showModal();
  // The first field, not the button that closes it.
  if (dialog.id === "dialog" && !dialog.querySelector("[autofocus]")) dialog.querySelector(FIELD)?.focus();
});

// The server's word that all is done: `HX-Trigger: close-dialog`. What is below, say a panel, stays.
document.addEventListener("close-dialog", (event) => event.target.closest?.("dialog[open]")?.close());

// What was loaded is gone once it is closed: the next one must not flash up the last one's.
document.addEventListener(
  "close",
  (event) => {
    if (event.target.matches("#dialog, #panel")) event.target.replaceChildren();
  },
  true,
);
