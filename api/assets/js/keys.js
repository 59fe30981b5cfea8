// Single keys: they do nothing while one types, in dialogs and menus, or if one has turned them off.

const GO_MS = 1500;
const TYPED = 'input:not([type="checkbox"], [type="radio"]), textarea, select, [contenteditable]';

let goesUntil = 0; // "g" was pressed: the next key says where to
let last = null; // the id of the row that was at hand

/** The rows of the page's lists that can be opened. */
function rows() {
  const all = document.querySelectorAll("main tbody tr, main .talks-rows > li");
  return [...all].filter((row) => row.offsetParent && row.querySelector("a[href]"));
}

const thread = () => document.getElementById("thread");
const shown = () => thread()?.querySelector(":scope > input")?.value;
const areOff = () => Boolean(document.querySelector("[data-no-keys], dialog[open]"));
let loading = null; // the request for the conversation that is shown next, and the key that waits for it

/** Do what a key does to what is ticked, else to the conversation that is shown: press a button, or go into a field. */
function handle(key) {
  const ticked = document.querySelector("#toolbar:not([hidden])");
  const marked = `[aria-keyshortcuts="${CSS.escape(key.toUpperCase())}"]`;
  const target = ticked?.querySelector(marked) ?? document.querySelector(`#thread ${marked}`);
  if (!target) return false;
  if (!target.matches("button")) target.focus();
  else target.click();
  target.popoverTargetElement?.querySelector("button, input")?.focus();
  return true;
}

function press(key, event) {
  if (event.repeat) return; // a key that is held would go on with what comes next
  if (loading) loading.key = key; // it means the one that comes, not the one that goes
  else if (!handle(key)) return;
  event.preventDefault();
}

const PUTS_AWAY = '#thread [aria-keyshortcuts="D"], #snooze-menu';

document.addEventListener("htmx:beforeSend", (event) => {
  const { elt, target, xhr } = event.detail;
  if (!thread() || (target !== thread() && !elt.closest(`${PUTS_AWAY}, [data-undo]`))) return;
  loading = { xhr, key: null, stays: elt.closest(PUTS_AWAY) ? shown() : null };
  thread().ariaBusy = "true";
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.xhr !== loading?.xhr) return;
  const { key, stays } = loading;
  loading = null;
  thread().ariaBusy = null;
  // Who wrote again meanwhile stays: that has not been read yet.
  if (key && shown() !== stays && !areOff() && !document.activeElement?.matches(TYPED)) handle(key);
});

/** The row with focus, else the open one, else the one that was at hand. */
function current(all) {
  return (
    all.find((row) => row.contains(document.activeElement)) ??
    all.find((row) => row.querySelector('[aria-current="true"]')) ??
    all.find((row) => row.id === last)
  );
}

function move(step) {
  const all = rows();
  const at = all.indexOf(current(all));
  const row = all[at < 0 ? 0 : Math.max(0, Math.min(at + step, all.length - 1))];
  if (!row) return;
  last = row.id || null;
  row.querySelector("a[href]").focus();
}

function select() {
  const all = rows();
  const row = all.find((one) => one.contains(document.activeElement)) ?? all.find((one) => one.id === last);
  row?.querySelector('input[type="checkbox"]')?.click();
}

function find(event) {
  const search = document.querySelector("main [data-search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
}

const ACTS = {
  j: () => move(1),
  k: () => move(-1),
  x: select,
  "/": find,
  "?": () => document.getElementById("keys")?.showModal(),
  g: () => {
    goesUntil = Date.now() + GO_MS;
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typesIn = loading ? TYPED : `${TYPED}, .menu[popover]`; // an item that was chosen goes with its menu
  if (areOff() || event.target.closest?.(typesIn)) return;
  const key = event.key?.length === 1 ? event.key.toLowerCase() : "";
  if (Date.now() < goesUntil && key) {
    goesUntil = 0;
    document.querySelector(`#keys [data-key="${CSS.escape(key)}"]`)?.click();
    return;
  }
  if (ACTS[key]) ACTS[key](event);
  else if (key) press(key, event);
});
