// Merge fields in a text area, shown as pills. The text area says what each field is called, as one
// word that does not break; a hidden input has the text as it is sent. So the text area keeps its own
// keys, undo and spell checking. A layer behind it, with the same letters in the same box, colors them.
// Whatever changes a pill in part changes it whole, and what is sent has nothing that nobody sees.

const FIELD = /(?<!\{)\{\{([^{}|]*)(?:\|([^{}]*))?\}\}(?!\})/g;
// What a line may break behind, unless a word joiner follows it.
const BREAKS = /[^\p{L}\p{N}\s_]|[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}]/gu;
const LONG = 32; // a pill of more characters may break, as a phone has no room for it
const PILL = /\u2063[^\u2063\u2064]*\u2064/g; // between two characters that nobody sees
const frames = new WeakMap();
const written = new Map(); // the merge field of each pill, as texts have it

function parse(text) {
  const [match] = text.matchAll(FIELD);
  const [name, format = ""] = match[1].split(":").map((part) => part.trim());
  return { name, format, fallback: (match[2] ?? "").trim() };
}

/** Write a merge field as texts have it. */
export function asText({ name, format, fallback }) {
  return `{{${name}${format ? `:${format}` : ""}${fallback ? `|${fallback}` : ""}}}`;
}

/** Write a merge field as its pill; two that differ have different ones, even if they are called the same. */
function asPill(text, called) {
  const { name, fallback } = parse(text);
  const words = fallback ? `${called(name)} · ${fallback}` : called(name);
  const whole = words.length > LONG ? words : words.replace(/\s+/g, "\u00a0").replace(BREAKS, "$&\u2060");
  let pill = `\u2063\u202f${whole}\u202f\u2064`;
  while ((written.get(pill) ?? text) !== text) pill = pill.replace("\u202f\u2064", "\u2060\u202f\u2064");
  written.set(pill, text);
  return pill;
}

const shown = (text, called) => text.replace(FIELD, (field) => asPill(field, called));
const sent = (value) => plain(value).replace(PILL, (pill) => written.get(pill));

/** Whether a text has no pieces of pills. */
const isWhole = (value) => !/[\u2063\u2064]/.test(value.replace(PILL, (pill) => (written.has(pill) ? "" : pill)));

/** Make words of pieces of pills. */
function plain(value) {
  const words = (piece) => {
    const seen = piece.replace(/\u2063\u202f?|\u202f?\u2064|\u2060/g, "");
    return seen === piece ? piece : seen.replace(/\u00a0/g, " ");
  };
  return value
    .split(new RegExp(`(${PILL.source})`))
    .map((part) => (written.has(part) ? part : words(part)))
    .join("");
}

/** The pills of a text: where they are, and the merge field of each. */
function pillsOf(value) {
  return [...value.matchAll(PILL)]
    .filter(([pill]) => written.has(pill))
    .map(({ 0: pill, index }) => ({ from: index, to: index + pill.length, ...parse(written.get(pill)) }));
}

const pillsIn = (area) => pillsOf(area.value);

/** Put something in the place of what is selected, so that undo takes it back. */
export function insert(area, value) {
  area.focus();
  // setRangeText would lose what was typed before from the browser's undo.
  if (document.execCommand(value ? "insertText" : "delete", false, value)) return;
  area.setRangeText(value, area.selectionStart, area.selectionEnd, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

/**
 * Show the merge fields of a text area as pills; `called` names one, `edit` is asked to change it.
 * `blanks` are words that still have to be written; they stand out.
 */
export function showPills(area, { called, edit, blanks = [] }) {
  const frame = document.createElement("div");
  const layer = document.createElement("div");
  const words = document.createElement("p");
  const input = document.createElement("input");
  frame.className = "pill-frame";
  layer.className = "pill-layer";
  layer.ariaHidden = "true"; // the text area says the same
  words.className = "visually-hidden";
  words.id = `${area.id}-fields`;
  input.type = "hidden";
  input.name = area.name;
  const hadFocus = document.activeElement === area;
  area.replaceWith(frame);
  frame.append(layer, area, input, words);
  area.removeAttribute("name");
  area.value = shown(plain(area.value), called);
  if (hadFocus) area.focus();
  area.setAttribute("aria-describedby", `${area.getAttribute("aria-describedby") ?? ""} ${words.id}`.trim());
  frames.set(area, { layer, input, words, called, blanks });
  area.addEventListener("input", (event) => {
    draw(area);
    // Once what is inserting it is done: one edit is not made within another.
    if (!event.isComposing) queueMicrotask(() => showTyped(area, event.inputType));
  });
  // Browsers differ in whether an input follows this.
  area.addEventListener("compositionend", () => queueMicrotask(() => showTyped(area)));
  area.addEventListener("beforeinput", (event) => deleteWhole(area, event));
  for (const kind of ["copy", "cut", "dragstart"]) area.addEventListener(kind, (event) => take(area, event));
  area.addEventListener("keydown", (event) => {
    const chosen = event.key === "Enter" && !event.isComposing && chosenIn(area);
    if (!chosen) return;
    event.preventDefault();
    edit(area, chosen);
  });
  area.addEventListener("pointermove", (event) => area.classList.toggle("is-on-pill", Boolean(pillAt(area, event))));
  area.addEventListener("pointerdown", () => (frames.get(area).before = null));
  area.addEventListener("click", (event) => {
    const pill = pillAt(area, event);
    const { selectionStart: start, selectionEnd: end } = area;
    if (!pill || (start < end && (start < pill.from || end > pill.to))) return;
    area.setSelectionRange(pill.from, pill.to);
    edit(area, pill);
  });
  draw(area);
}

/** Make pills of what is typed, pasted or inserted as texts have it; undo and redo go past that state. */
function showTyped(area, how) {
  const fields = [...area.value.matchAll(FIELD)];
  const isDamaged = !isWhole(area.value);
  if (!fields.length && !isDamaged) return;
  if (how === "historyUndo" || how === "historyRedo") {
    document.execCommand(how === "historyUndo" ? "undo" : "redo");
    return;
  }
  if (isDamaged) {
    mend(area);
    return;
  }
  const last = fields.at(-1);
  const [from, to] = [fields[0].index, last.index + last[0].length];
  const after = area.value.length - area.selectionEnd;
  area.setSelectionRange(from, to);
  insert(area, shown(area.value.slice(from, to), frames.get(area).called));
  area.setSelectionRange(area.value.length - after, area.value.length - after);
}

/** Have what changed pills in part change them whole; what was written into one stands behind it. */
function mend(area) {
  const { whole } = frames.get(area);
  const now = area.value;
  const most = Math.min(whole.length, now.length);
  let head = 0;
  while (head < most && whole[head] === now[head]) head += 1;
  let tail = 0;
  while (tail < most - head && whole.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  let [from, to] = [head, whole.length - tail];
  const isBetween = from === to;
  for (const pill of pillsOf(whole)) {
    if (isBetween && pill.from < from && from < pill.to) from = to = pill.to;
    else if (pill.from < to && from < pill.to) [from, to] = [Math.min(from, pill.from), Math.max(to, pill.to)];
  }
  const start = Math.min(head, from);
  const put = plain(now.slice(head, now.length - tail));
  area.setSelectionRange(start, now.length - (whole.length - to));
  insert(area, whole.slice(start, from) + put);
}

function draw(area) {
  const frame = frames.get(area);
  const { layer, input, words, called, blanks } = frame;
  const pills = pillsIn(area);
  if (isWhole(area.value)) frame.whole = area.value;
  input.value = sent(area.value);
  let at = 0;
  const parts = [];
  for (const { from, to } of pills) {
    const pill = document.createElement("span");
    pill.className = "pill";
    pill.textContent = area.value.slice(from, to);
    parts.push(...marked(area.value.slice(at, from), blanks), pill);
    at = to;
  }
  // A line break at the end counts only if something follows it.
  layer.replaceChildren(...parts, ...marked(area.value.slice(at), blanks), "\u200b");
  const said = pills.map(({ name, fallback }) => (fallback ? `${called(name)}, or “${fallback}” if blank` : called(name)));
  words.textContent = pills.length ? `Fields in this text: ${said.join("; ")}. Press Enter on a field to change it.` : "";
  mark(area);
}

/** Cut a text into pieces, those that are blanks as marks. */
function marked(text, blanks) {
  const from = Math.min(...blanks.map((blank) => text.indexOf(blank)).filter((at) => at >= 0));
  if (!Number.isFinite(from)) return [text];
  const mark = document.createElement("mark");
  mark.textContent = blanks.find((blank) => text.startsWith(blank, from));
  const to = from + mark.textContent.length;
  return [text.slice(0, from), mark, ...marked(text.slice(to), blanks)];
}

/** The pill under the pointer. */
function pillAt(area, { clientX: x, clientY: y }) {
  const drawn = [...frames.get(area).layer.querySelectorAll(".pill")];
  const isUnder = (box) => box.left <= x && x <= box.right && box.top <= y && y <= box.bottom;
  return pillsIn(area)[drawn.findIndex((one) => [...one.getClientRects()].some(isUnder))];
}

/** The pill that is selected, and nothing else with it. */
function chosenIn(area) {
  return pillsIn(area).find(({ from, to }) => from === area.selectionStart && to === area.selectionEnd);
}

function mark(area) {
  const { selectionStart: start, selectionEnd: end } = area;
  const isActive = document.activeElement === area && end > start;
  const pills = pillsIn(area);
  frames.get(area).layer.querySelectorAll(".pill").forEach((pill, index) => {
    const { from } = pills[index];
    pill.classList.toggle("is-selected", isActive && from >= start && from < end);
  });
}

/** Keep the cursor, and both ends of a selection, out of pills: they go over one as over one letter. */
function stepOver(area) {
  const frame = frames.get(area);
  const { selectionStart: start, selectionEnd: end, selectionDirection: direction } = area;
  const around = (at) => pillsIn(area).find(({ from, to }) => from < at && at < to);
  const over = (at, was, pill) => (was >= pill.to ? pill.from : pill.to);
  const [first, last] = [around(start), around(end)];
  if (first || last) {
    const from = first ? (start === end || !frame.before ? first.from : over(start, frame.before.start, first)) : start;
    const to = last ? (start === end || !frame.before ? last.to : over(end, frame.before.end, last)) : end;
    area.setSelectionRange(from, to, direction);
  }
  frame.before = { start: area.selectionStart, end: area.selectionEnd };
  mark(area);
}

let isPressed = false;
document.addEventListener("selectionchange", () => {
  if (frames.has(document.activeElement) && !isPressed) stepOver(document.activeElement);
});
document.addEventListener("pointerdown", () => (isPressed = true), true);
for (const kind of ["pointerup", "pointercancel"]) {
  document.addEventListener(kind, () => {
    isPressed = false;
    if (frames.has(document.activeElement)) stepOver(document.activeElement);
  });
}
document.addEventListener("focusout", (event) => frames.has(event.target) && mark(event.target));

/** Delete a pill as if it were one letter, or one word. */
function deleteWhole(area, event) {
  const { selectionStart: at, selectionEnd: end } = area;
  const [, unit, way] = event.inputType.match(/^delete(Content|Word)(Backward|Forward)$/) ?? [];
  if (at !== end || !unit) return;
  const between = (from, to) => (unit === "Word" ? area.value.slice(from, to).trim() === "" : from === to);
  const pill = pillsIn(area).find(({ from, to }) => (way === "Backward" ? to <= at && between(to, at) : at <= from && between(at, from)));
  if (!pill) return;
  event.preventDefault();
  area.setSelectionRange(Math.min(pill.from, at), Math.max(pill.to, at));
  insert(area, "");
}

/** Give the clipboard, or where it is dragged to, what is selected as texts have it. */
function take(area, event) {
  const value = area.value.slice(area.selectionStart, area.selectionEnd);
  if (sent(value) === value) return;
  (event.clipboardData ?? event.dataTransfer).setData("text/plain", sent(value));
  if (event.type === "dragstart") return;
  event.preventDefault();
  if (event.type === "cut") insert(area, "");
}
