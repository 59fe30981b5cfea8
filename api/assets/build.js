// Builds what the pages load into ../static/build: bundled, named by content, compressed.
// `npm ci --ignore-scripts && node build.js`, or `make assets`.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = import.meta.dirname;
const out = join(here, "../static/build");
const tabler = join(here, "node_modules/@tabler/icons/icons");

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });

const files = await bundle();
const icons = await usedIcons();
files["icons.svg"] = await write("icons.svg", sprite(icons));
files["favicon.svg"] = await write("favicon.svg", await readFile(join(here, "favicon.svg"), "utf8"));
for (const name of Object.values(files)) await compress(join(out, name));
// Last, so that a build that broke off counts as none.
await writeFile(
  join(out, "manifest.json"),
  JSON.stringify({ files, icons: Object.keys(icons).sort() }, null, 2),
);

/** Bundle scripts and styles; answers the built name of each. */
async function bundle() {
  const result = await build({
    absWorkingDir: here,
    entryPoints: ["js/main.js", "js/theme.js", "css/main.css"],
    outdir: out,
    entryNames: "[name]-[hash]",
    bundle: true,
    plugins: [onlyUsed()],
    minify: true,
    format: "iife",
    target: ["es2022", "chrome120", "firefox125", "safari17.4"],
    legalComments: "eof",
    metafile: true,
    logLevel: "warning",
  });
  const outputs = Object.entries(result.metafile.outputs).filter(([, made]) => made.entryPoint);
  return Object.fromEntries(
    outputs.map(([path, made]) => [basename(made.entryPoint), basename(path)]),
  );
}

/** Leave out what Tabler has for classes that no page names: nine of ten rules. */
function onlyUsed() {
  const nested = String.raw`\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)`;
  const [selector, negation] = [RegExp(`(?:[^,()]|${nested})+`, "g"), RegExp(`:not${nested}`, "g")];
  const setup = ({ onLoad }) =>
    onLoad({ filter: /tabler\.css$/ }, async ({ path }) => {
      const isUsed = await classes();
      const isKept = (one) =>
        [...one.replace(negation, "").matchAll(/\.([\w-]+)/g)].every(([, name]) => isUsed(name));
      const css = (await readFile(path, "utf8")).replace(/\/\*(?!!)[^]*?\*\//g, "");
      const contents = css.replace(/([^{};/]+)(\{[^{}]*\})/g, (_, selectors, body) => {
        const kept = selectors.match(selector).filter(isKept);
        return kept.length ? kept.join() + body : "";
      });
      return { contents, loader: "css" };
    });
  return { name: "only-used", setup };
}

/** Answer what tells whether a page may have a class: by its name, or built as in `dot-{{ tone }}`. */
async function classes() {
  const folders = [["../templates", ".html"], ["../pages", ".py"], ["js", ".js"]];
  const found = (await Promise.all(folders.map((one) => read(...one)))).flat();
  const texts = found.map(([, text]) => text).join("\n");
  const names = new Set(texts.match(/[\w-]+/g));
  const starts = [...new Set(texts.match(/[a-z][\w-]*-(?=\$?\{)/g))];
  return (name) => names.has(name) || starts.some((start) => name.startsWith(start));
}

/** Find every `icon("name")` of the templates and `icon="name"` of the page modules. */
async function usedIcons() {
  const uses = [
    ["../templates", ".html", /\bicon\(\s*"([a-z0-9-]+)"/g],
    ["../pages", ".py", /\bicon="([a-z0-9-]+)"/g],
  ];
  const found = {};
  for (const [folder, extension, used] of uses) {
    for (const [path, text] of await read(folder, extension))
      for (const [, name] of text.matchAll(used)) found[name] ??= await shape(name, path);
  }
  return found;
}

/** Read the files of a folder that have an extension; answers path and text of each. */
async function read(folder, extension) {
  const paths = await readdir(join(here, folder), { recursive: true });
  const wanted = paths.filter((path) => extname(path) === extension);
  const texts = wanted.map((path) => readFile(join(here, folder, path), "utf8"));
  return (await Promise.all(texts)).map((text, index) => [wanted[index], text]);
}

/** Read an icon: ours if there is one, else Tabler's; `-filled` at its end asks for that style. */
async function shape(name, entry) {
  const filled = name.endsWith("-filled");
  const theirs = filled ? `filled/${name.slice(0, -"-filled".length)}` : `outline/${name}`;
  for (const path of [join(here, "icons", `${name}.svg`), join(tabler, `${theirs}.svg`)]) {
    const svg = await readFile(path, "utf8").catch(() => null);
    if (svg !== null) return { filled, body: svg.replace(/^[\s\S]*?<svg[^>]*>|<\/svg>\s*$/g, "").trim() };
  }
  throw new Error(`${entry} uses the icon "${name}", which neither icons/ nor Tabler has`);
}

/** Put icons into one file, each to be shown by `<use href="icons.svg#name">`. */
function sprite(shapes) {
  const line =
    'fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"';
  const symbols = Object.entries(shapes).map(
    ([name, { filled, body }]) =>
      `<symbol id="${name}" viewBox="0 0 24 24" ${filled ? 'fill="currentColor"' : line}>${body}</symbol>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.sort().join("")}</svg>`;
}

/** Write a file under a name that holds its hash; answers that name. */
async function write(name, text) {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 8).toUpperCase();
  const built = `${basename(name, extname(name))}-${hash}${extname(name)}`;
  await writeFile(join(out, built), text);
  return built;
}

/** Write a file once more, compressed in both ways that browsers take. */
async function compress(path) {
  const bytes = await readFile(path);
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  await writeFile(`${path}.br`, brotliCompressSync(bytes, quality));
  await writeFile(`${path}.gz`, gzipSync(bytes, { level: 9 }));
}
