// Writing a message: a merge field is put where the cursor is, so that undo takes it back.

document.addEventListener("click", (event) => {
  const pill = event.target.closest("[data-insert]");
  const area = pill?.closest("form")?.querySelector("textarea");
  if (!area) return;
  area.focus();
  // setRangeText would lose what was typed before from the browser's undo.
  if (document.execCommand("insertText", false, pill.dataset.insert)) return;
  area.setRangeText(pill.dataset.insert, area.selectionStart, area.selectionEnd, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
});
