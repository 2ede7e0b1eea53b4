// Fills the list of versions from versions.json, which lies beside the folders of all versions (docs/publish.py).
document.addEventListener("DOMContentLoaded", async () => {
  const place = document.querySelector(".versions");
  if (!place) return;
  const root = new URL(place.dataset.root || "./", document.baseURI);
  const answer = await fetch(new URL("../versions.json", root)).catch(() => null);
  if (!answer || !answer.ok) return;
  const select = place.querySelector("select");
  const here = root.pathname.split("/").filter(Boolean).pop();
  for (const version of await answer.json()) select.add(new Option(version, version, false, version === here));
  select.addEventListener("change", () => {
    window.location.href = new URL(`../${select.value}/index.html`, root);
  });
  place.hidden = false;
});
