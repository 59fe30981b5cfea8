// Uploads say how far they are: <form data-upload> with a <progress data-upload-bar>.

document.addEventListener("htmx:xhr:progress", (event) => {
  const bar = event.target.closest?.("[data-upload]")?.querySelector("[data-upload-bar]");
  if (!bar || !event.detail.lengthComputable) return;
  const { loaded, total } = event.detail;
  bar.hidden = loaded >= total;
  bar.value = (100 * loaded) / total;
});
