// htmx as the pages use it; its settings are in the meta tag of layout/document.html.

import htmx from "htmx.org";

window.htmx = htmx; // where its extensions look for it

export default htmx;
