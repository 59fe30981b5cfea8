// Pictures of a text: <div data-pictures> with a file input and a text area that holds their
// addresses, one a line, which is what the form sends. Those in the area are shown above it.

import { signInAgain } from "./session.js";

const boxes = (root) => root.querySelectorAll("[data-pictures]");
const area = (box) => box.querySelector("[data-picture-urls]");
const lines = (box) =>
  area(box)
    .value.split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

/** The small copy of one of our pictures; null for any other address. */
function thumbnail(box, url) {
  if (!url.startsWith(box.dataset.ours)) return null;
  const [token] = url.slice(box.dataset.ours.length).split(".");
  return `/media/${encodeURIComponent(token)}/thumbnail.webp`;
}

function show(box) {
  const list = box.querySelector("[data-picture-list]");
  const blank = box.querySelector("[data-picture-blank]").content.firstElementChild;
  const urls = lines(box);
  list.replaceChildren(
    ...urls.map((url, index) => {
      const item = blank.cloneNode(true);
      const small = thumbnail(box, url);
      const [image, link] = [item.querySelector("img"), item.querySelector(".picture-link")];
      if (small) image.src = small;
      image.alt = `Picture ${index + 1}`;
      image.hidden = !small;
      link.hidden = Boolean(small);
      link.querySelector("span").textContent = url;
      item.querySelector("button").setAttribute("aria-label", `Remove picture ${index + 1}`);
      return item;
    }),
  );
  list.hidden = urls.length === 0;
}

function write(box, urls) {
  area(box).value = urls.join("\n");
  area(box).dispatchEvent(new Event("input", { bubbles: true }));
}

function complain(box, words) {
  const wrong = box.querySelector("[data-picture-wrong]");
  wrong.querySelector("span").textContent = words;
  wrong.hidden = !words;
}

/** Send one file; answers the picture, or throws why it is none. `fetch` does not tell how far it is. */
function send(file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const fail = (reason) => reject(new Error(`${file.name} ${reason}.`));
    request.open("POST", "/api/media");
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => fail("could not be uploaded; check the connection and try again");
    request.onload = async () => {
      const answer = request.response;
      if (request.status === 201) resolve(answer);
      else if (request.status === 401 && (await signInAgain())) resolve(send(file, progress));
      else fail(answer?.errors?.[0]?.message ?? `was not taken: ${answer?.detail ?? "try again"}`);
    };
    const body = new FormData();
    body.append("file", file);
    request.send(body);
  });
}

async function upload(box, files) {
  const bar = box.querySelector("[data-picture-bar]");
  const most = Number(box.dataset.most);
  const mostBytes = Number(box.dataset.mostBytes);
  complain(box, "");
  box.setAttribute("aria-busy", "true");
  bar.hidden = false;
  try {
    for (const [index, file] of files.entries()) {
      if (lines(box).length >= most) throw new Error(`A text can have at most ${most} pictures.`);
      if (file.size > mostBytes) throw new Error(`${file.name} is too large; choose one of at most ${mostBytes / 1e6} MB.`);
      bar.value = (100 * index) / files.length;
      const picture = await send(file, (done) => {
        bar.value = (100 * (index + done)) / files.length;
      });
      if (box.isConnected) write(box, [...lines(box), picture.url]);
    }
  } catch (error) {
    complain(box, error.message);
  }
  bar.hidden = true;
  box.removeAttribute("aria-busy");
}

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-picture-file]")) return;
  const files = [...event.target.files];
  event.target.value = ""; // so that the same file can be chosen again
  upload(event.target.closest("[data-pictures]"), files);
});

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-picture-urls]")) show(event.target.closest("[data-pictures]"));
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-picture-remove]");
  if (!button) return;
  const box = button.closest("[data-pictures]");
  const at = [...button.closest("ul").children].indexOf(button.closest("li"));
  write(box, lines(box).filter((_, index) => index !== at));
  const rest = box.querySelectorAll("[data-picture-remove]");
  (rest[Math.min(at, rest.length - 1)] ?? box.querySelector("[data-picture-file]")).focus();
});

// Pictures dropped onto a text: <... data-picture-drop> around its box.
const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
let over = null;

function showOver(place) {
  over?.classList.remove("is-dropped-on");
  over = place;
  over?.classList.add("is-dropped-on");
}

document.addEventListener("dragover", (event) => {
  if (!holdsFiles(event) || !document.querySelector("[data-picture-drop]")) return;
  event.preventDefault(); // anywhere else the browser would leave the page for the file
  const place = event.target.closest("[data-picture-drop]");
  event.dataTransfer.dropEffect = place ? "copy" : "none";
  if (place !== over) showOver(place);
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) showOver(null);
});
document.addEventListener("drop", (event) => {
  if (!holdsFiles(event) || !document.querySelector("[data-picture-drop]")) return;
  event.preventDefault();
  showOver(null);
  const box = event.target.closest("[data-picture-drop]")?.querySelector("[data-pictures]");
  if (box) upload(box, [...event.dataTransfer.files]);
});

// What is still on its way would be missing from the text.
document.addEventListener(
  "submit",
  (event) => {
    const busy = event.target.querySelector("[data-pictures][aria-busy]");
    if (!busy) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    complain(busy, "Wait until the pictures have uploaded.");
  },
  true,
);

document.addEventListener("htmx:load", (event) => boxes(event.target).forEach(show));
boxes(document).forEach(show);
