"""Open built pages in a browser and say what is wrong with them: ``python docs/check_pages.py docs/_build/html``.

Each page is opened 390 and 1400 pixels wide, light and dark. A fault is a page that scrolls sideways, a picture that is
missing, mathematics that is not set, or text that hardly differs from its background. It needs Chromium or Chrome.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue

WIDTHS = (390, 1400)
SCHEMES = {"light": 1, "dark": 0}  # Blink's numbers for what a page is told to prefer
BROWSERS = ("chromium", "google-chrome", "chromium-browser", "chrome")

#: A page that opens the others in a frame, one after another, and posts the list of what it found.
HARNESS = """<!doctype html><meta charset="utf-8"><body></body><script>
const luminance = colour => {
  const [r, g, b] = colour.map(v => (v /= 255) <= 0.04 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const parts = colour => colour.match(/[\\d.]+/g).map(Number);
function background(view, element) {
  for (let e = element; e; e = e.parentElement) {
    const colour = parts(view.getComputedStyle(e).backgroundColor);
    if ((colour[3] ?? 1) > 0.5) return colour.slice(0, 3);
  }
  return [255, 255, 255];
}
function pale(view, page) {
  const texts = page.createTreeWalker(page.querySelector("article") || page.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, style = view.getComputedStyle(element);
    if (!texts.currentNode.textContent.trim() || !element.getClientRects().length || style.opacity === "0") continue;
    const lights = [parts(style.color).slice(0, 3), background(view, element)].map(luminance).sort();
    if ((Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05) < 3) return texts.currentNode.textContent.trim();
  }
}
async function faults(address, width) {
  const frame = document.createElement("iframe"), found = [];
  Object.assign(frame.style, {width: width + "px", height: "900px", border: "0"});
  document.body.append(frame);
  await new Promise(ready => { frame.onload = ready; frame.src = address; });
  const view = frame.contentWindow, page = frame.contentDocument;
  if (view.MathJax?.startup?.promise) await view.MathJax.startup.promise;
  for (const image of page.images) { image.loading = "eager"; await image.decode().catch(() => {}); }
  if (page.documentElement.scrollWidth > width) found.push("scrolls to " + page.documentElement.scrollWidth);
  for (const image of page.images) if (!image.naturalWidth) found.push("no picture " + image.getAttribute("src"));
  const unset = [...page.querySelectorAll(".math")].filter(m => !m.querySelector("mjx-container svg"));
  if (unset.length || page.querySelector("[data-mjx-error]")) found.push("mathematics is not set");
  const text = pale(view, page);
  if (text) found.push("pale text: " + text);
  frame.remove();
  return found.map(fault => `${address}, ${width} pixels: ${fault}`);
}
onload = async () => {
  const all = [];
  for (const address of PAGES) for (const width of WIDTHS) all.push(...await faults(address, width));
  fetch("faults", {method: "POST", body: JSON.stringify(all)});
};
</script>"""


class Pages(SimpleHTTPRequestHandler):
    """Serves the pages and the harness, and takes what the harness found."""

    harness = b""
    answers: Queue[list[str]] = Queue()

    def do_GET(self) -> None:
        """A file, or the harness."""
        if self.path != "/harness":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.harness)

    def do_POST(self) -> None:
        """The faults of all pages."""
        self.answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def check(pages: Path) -> list[str]:
    """The faults of all pages but those of source code.

    Parameters
    ----------
    pages : Path
        What Sphinx built.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"no browser: install one of {', '.join(BROWSERS)}")
    names = [str(page.relative_to(pages)) for page in sorted(pages.rglob("*.html")) if "_modules" not in page.parts]
    Pages.harness = HARNESS.replace("PAGES", json.dumps(names)).replace("WIDTHS", json.dumps(WIDTHS)).encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=str(pages))) as server:
        server.handle_error = lambda *_: None  # the browser left a page before it had all of it
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/harness"
        found = [f"{scheme}: {fault}" for scheme in SCHEMES for fault in _faults(browser, address, scheme)]
        server.shutdown()
    return found


def _faults(browser: str, address: str, scheme: str) -> list[str]:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, *flags, f"--user-data-dir={profile}", "--remote-debugging-port=0", address]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                return Pages.answers.get(timeout=900)
            except Empty:
                raise SystemExit("the browser did not come to the last page in 900 s") from None
            finally:
                process.terminate()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    problems = check(Path(sys.argv[1]))
    print("\n".join(problems) or "no faults")
    sys.exit(bool(problems))
