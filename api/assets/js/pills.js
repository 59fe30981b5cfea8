// Merge fields in a text area, shown as pills. The text area keeps the text as it is sent, with its
// own keys, undo and spell checking; a layer over it covers each merge field with what it is called.

const FIELD = /(?<!\{)\{\{([^{}|]*)(?:\|([^{}]*))?\}\}(?!\})/g;
const frames = new WeakMap();

/** What decides where each letter of a text area stands. */
const LIKE = ["fontFamily", "fontSize", "fontWeight", "letterSpacing", "lineHeight", "padding", "tabSize"];

/** The merge fields of a text: where they are, their name, format and fallback. */
function fieldsIn(text) {
  return [...text.matchAll(FIELD)].map((match) => {
    const [name, format = ""] = match[1].split(":").map((part) => part.trim());
    return { from: match.index, to: match.index + match[0].length, name, format, fallback: (match[2] ?? "").trim() };
  });
}

/** Write a merge field as texts have it. */
export function asText({ name, format, fallback }) {
  return `{{${name}${format ? `:${format}` : ""}${fallback ? `|${fallback}` : ""}}}`;
}

/**
 * Show the merge fields of a text area as pills; `called` names one, `edit` is asked to change it.
 * `blanks` are words that still have to be written; they stand out.
 */
export function showPills(area, { called, edit, blanks = [] }) {
  const frame = document.createElement("div");
  const layer = document.createElement("div");
  const words = document.createElement("p");
  frame.className = "pill-frame";
  layer.className = "pill-layer";
  layer.ariaHidden = "true"; // the words below tell the same
  words.className = "visually-hidden";
  words.id = `${area.id}-fields`;
  const hadFocus = document.activeElement === area;
  area.replaceWith(frame);
  frame.append(area, layer, words);
  if (hadFocus) area.focus();
  area.setAttribute("aria-describedby", `${area.getAttribute("aria-describedby") ?? ""} ${words.id}`.trim());
  frames.set(area, { layer, words, called, edit, blanks });
  area.addEventListener("scroll", () => (layer.scrollTop = area.scrollTop));
  area.addEventListener("input", () => draw(area));
  area.addEventListener("beforeinput", (event) => deleteWhole(area, event));
  area.addEventListener("keydown", (event) => {
    const chosen = event.key === "Enter" && !event.isComposing && chosenIn(area);
    if (!chosen) return;
    event.preventDefault();
    edit(area, chosen);
  });
  new ResizeObserver(() => draw(area)).observe(area);
  draw(area);
}

function draw(area) {
  const { layer, words, called, edit, blanks } = frames.get(area);
  const fields = fieldsIn(area.value);
  const label = (field) => (field.fallback ? `${called(field.name)} · ${field.fallback}` : called(field.name));
  const style = getComputedStyle(area);
  for (const name of LIKE) layer.style[name] = style[name];
  layer.style.left = `${area.offsetLeft + area.clientLeft}px`;
  layer.style.top = `${area.offsetTop + area.clientTop}px`;
  layer.style.width = `${area.clientWidth}px`;
  layer.style.height = `${area.clientHeight}px`;
  let at = 0;
  const parts = [];
  const places = fields.map((field) => {
    const place = document.createElement("span");
    place.textContent = area.value.slice(field.from, field.to);
    parts.push(...marked(area.value.slice(at, field.from), blanks), place);
    at = field.to;
    return place;
  });
  // A line break at the end counts only if something follows it.
  layer.replaceChildren(...parts, ...marked(area.value.slice(at), blanks), "\u200b");
  const { left, top } = layer.getBoundingClientRect();
  const pills = fields.flatMap((field, index) => {
    const boxes = [...places[index].getClientRects()].filter((box) => box.width > 0);
    // One that is broken over two lines says what it is where there is most room.
    const widest = boxes.reduce((most, box) => (box.width > (most?.width ?? 0) ? box : most), null);
    return boxes.map((box) => {
      const pill = document.createElement("span");
      pill.className = "pill pill-over";
      pill.dataset.from = field.from;
      pill.textContent = box === widest ? label(field) : "";
      pill.title = label(field);
      Object.assign(pill.style, {
        left: `${box.left - left}px`,
        top: `${box.top - top + layer.scrollTop}px`,
        width: `${box.width}px`,
        height: `${box.height}px`,
      });
      pill.addEventListener("mousedown", (event) => event.preventDefault());
      pill.addEventListener("click", () => {
        choose(area, field);
        edit(area, field);
      });
      return pill;
    });
  });
  layer.append(...pills);
  layer.scrollTop = area.scrollTop;
  const said = fields.map((field) => (field.fallback ? `${called(field.name)}, or “${field.fallback}” if blank` : called(field.name)));
  words.textContent = fields.length ? `Fields in this text: ${said.join("; ")}. Press Enter on a field to change it.` : "";
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

function choose(area, field) {
  area.focus();
  area.setSelectionRange(field.from, field.to);
}

/** The merge field that is selected, and nothing else with it. */
function chosenIn(area) {
  return fieldsIn(area.value).find(({ from, to }) => from === area.selectionStart && to === area.selectionEnd);
}

function mark(area) {
  const { layer } = frames.get(area);
  const { selectionStart: start, selectionEnd: end } = area;
  const isActive = document.activeElement === area && end > start;
  for (const pill of layer.querySelectorAll(".pill")) {
    const from = Number(pill.dataset.from);
    pill.classList.toggle("is-selected", isActive && from >= start && from < end);
  }
}

// The cursor never stands inside of a merge field: going into one selects it as a whole.
document.addEventListener("selectionchange", () => {
  const area = document.activeElement;
  if (!frames.has(area)) return;
  const { selectionStart: start, selectionEnd: end } = area;
  const inside = start === end && fieldsIn(area.value).find(({ from, to }) => from < start && start < to);
  if (inside) area.setSelectionRange(inside.from, inside.to);
  mark(area);
});
document.addEventListener("focusout", (event) => frames.has(event.target) && mark(event.target));

/** Delete a merge field as if it were one character. */
function deleteWhole(area, event) {
  const { selectionStart: at, selectionEnd: end } = area;
  const back = event.inputType === "deleteContentBackward";
  if (at !== end || !(back || event.inputType === "deleteContentForward")) return;
  const beside = fieldsIn(area.value).find(({ from, to }) => (back ? to : from) === at);
  if (!beside) return;
  event.preventDefault();
  area.setSelectionRange(beside.from, beside.to);
  document.execCommand("delete");
}
