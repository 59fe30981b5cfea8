// Writing a message: a merge field is put where the cursor is.

import { insert } from "./pills.js";

document.addEventListener("click", (event) => {
  const field = event.target.closest("[data-insert]");
  const area = field?.closest("form")?.querySelector("textarea");
  if (area) insert(area, field.dataset.insert);
});
