// Checks the contrast of the texts whose look is not among `proven`. A look is all that the
// contrast of a text depends on: its color and size, and every background from it up to the first
// opaque one. A text whose background is not that of its ancestors, because one of them is
// positioned or moved before an opaque one is reached, has no look and is checked each time.

async ([rules, exclude, proven]) => {
  await Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})));
  const root = document.querySelector("dialog[open]") ?? document.body;
  const known = new Set(proven);
  const styles = new Map();
  const style = (element) => {
    if (!styles.has(element)) styles.set(element, getComputedStyle(element));
    return styles.get(element);
  };

  const layers = new Map(); // the backgrounds from an element on, or null: they are not all there is
  function backgrounds(element) {
    if (!layers.has(element)) layers.set(element, find(element));
    return layers.get(element);
  }
  function find(element) {
    if (!element) return "root";
    const { backgroundColor, backgroundImage, position, transform, cssFloat, marginTop, marginLeft } = style(element);
    const own = `${backgroundColor} ${backgroundImage}`;
    const isOpaque = !/^rgba|\/|transparent/.test(backgroundColor) && backgroundImage === "none";
    if (isOpaque) return own;
    const moved = !["static", "relative"].includes(position) || transform !== "none" || cssFloat !== "none"
      || marginTop.startsWith("-") || marginLeft.startsWith("-");
    const below = moved && element !== document.body ? null : backgrounds(element.parentElement);
    return below && `${own} < ${below}`;
  }

  const opacities = new Map(); // they fade a whole element, its background too
  function faded(element) {
    if (!element) return "";
    if (!opacities.has(element)) {
      const { opacity, filter, mixBlendMode } = style(element);
      const own = opacity === "1" && filter === "none" && mixBlendMode === "normal" ? "" : ` ${opacity} ${filter} ${mixBlendMode}`;
      opacities.set(element, faded(element.parentElement) + own);
    }
    return opacities.get(element);
  }

  const words = (element) => {
    const { color, fontSize, fontWeight, textShadow, textDecorationLine, webkitTextFillColor } = style(element);
    return [color, webkitTextFillColor, fontSize, fontWeight, textShadow, textDecorationLine].join(" ");
  };

  /** A link amid text must differ from the text, so that is a part of its look. */
  function surroundings(element) {
    const link = element.closest("a[href]");
    let block = link?.parentElement;
    while (block && style(block).display.startsWith("inline")) block = block.parentElement;
    if (!block || block.textContent.trim() === link.textContent.trim()) return "";
    return ` in ${words(link)} ${style(link).borderBottom} ${words(link.parentElement)} ${backgrounds(link.parentElement)}`;
  }

  function look(element) {
    const below = backgrounds(element);
    return below && `${words(element)} on ${below}${faded(element)}${surroundings(element)}`;
  }

  const clips = new Map(); // for screen readers only
  function isClipped(element) {
    if (!element) return false;
    if (!clips.has(element)) {
      const { clip, clipPath } = style(element);
      const own = clip === "rect(0px, 0px, 0px, 0px)" || clipPath === "inset(50%)";
      clips.set(element, own || isClipped(element.parentElement));
    }
    return clips.get(element);
  }

  /** Above the page or left of it, as the link that skips the menu is. */
  function isOff(element) {
    const { right, bottom } = element.getBoundingClientRect();
    return right + scrollX <= 0 || bottom + scrollY <= 0;
  }

  // What is disabled or nobody sees needs no contrast: axe passes over it too.
  const counts = (element) =>
    !isOff(element) && element.checkVisibility() && !isClipped(element) && !element.closest(":disabled, [aria-disabled='true']")
    && !exclude.some((part) => element.closest(part));

  const withoutText = ["hidden", "range", "color", "checkbox", "radio", "image"].map((type) => `[type=${type}]`);
  const texts = new Set(root.querySelectorAll(`input:not(${withoutText}), select, textarea`));
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const { data, parentElement } = walk.currentNode;
    if (data.trim() && !parentElement.tagName !== "OPTION") texts.add(parentElement);
  }
  const looks = new Map();
  for (const element of texts) {
    if (!counts(element)) continue;
    const seen = look(element);
    if (!known.has(seen)) looks.set(element, seen);
  }
  if (!looks.size) return { violations: [], passed: [] };

  const { violations, passes, incomplete } = await axe.run(
    { include: [...looks.keys()] },
    { runOnly: { type: "rule", values: rules }, resultTypes: ["violations", "passes", "incomplete"], elementRef: true },
  );
  const contrast = (results) => results.filter(({ id }) => id === "color-contrast").flatMap(({ nodes }) => nodes);
  // Axe does not judge text on a picture, such as the arrow of a dropdown: neither now nor later.
  const onPicture = contrast(incomplete).filter(({ any }) => any[0]?.data?.messageKey === "bgImage");
  const measured = contrast(passes).filter(({ any }) => any[0]?.data?.contrastRatio);
  const passed = [...measured, ...onPicture].map(({ element }) => looks.get(element)).filter((seen) => seen);
  return {
    violations: violations.map(({ id, nodes }) =>
      [id, ...nodes.map((node) => `${node.target} ${node.failureSummary}`)].join(": ")),
    passed: [...new Set(passed)],
  };
}
