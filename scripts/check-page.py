#!/usr/bin/env python3
"""Opens report pages in headless Chromium and checks them as a reader would meet them.

    scripts/check-page.py results/*/report.html
    scripts/check-page.py --shots DIR PAGE     also leaves screenshots (and the printed page as PDF) in DIR

At 390 and 1280 pixels, light and dark: nothing is wider than the screen, nothing is asked of any other place, no
error is logged, ids are unique and links resolve, text in figures is large enough, tables sort, filter and
export, the theme changes, and a point leads to its records. Exit code 1 when a check fails, 2 without Chromium
(CHROMIUM names one that is not on the PATH). Needs Python 3 and nothing else: it speaks the browser's debugging
protocol over a pipe.
"""

import argparse
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell"]
SIZES = [(390, 844), (1280, 900)]
LIMIT = 60  # seconds for one answer

# Runs in the page; returns what is wrong as a list of sentences.
CHECK = r"""
(async () => {
  const wrong = [];
  const check = (holds, text) => { if (!holds) wrong.push(text); };
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const frame = () => new Promise((done) => setTimeout(done, 30));
  const fits = (when) => {
    const page = document.documentElement;
    if (page.scrollWidth <= innerWidth) return;
    const wide = all("body *").filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.parentElement.closest(".scroll, .panel, pre"));
    wrong.push(`${when}: the page is ${page.scrollWidth} pixels wide on ${innerWidth}: ${wide.slice(0, 3).map((e) => e.tagName + "." + e.className).join(", ")}`);
  };
  fits("at first");
  const ids = all("[id]").map((e) => e.id);
  check(new Set(ids).size === ids.length, "an id stands twice");
  for (const link of all("a[href^='#']")) {
    const id = decodeURIComponent(link.getAttribute("href").slice(1));
    check(document.getElementById(id), `the link #${id} leads nowhere`);
  }
  for (const figure of all("figure")) {
    check(figure.querySelector("figcaption p")?.textContent.trim(), `${figure.id} has no caption`);
    for (const panel of all(".panel .fig", figure)) {
      check(panel.getAttribute("aria-label"), `a panel of ${figure.id} has no name`);
      const scale = panel.getBoundingClientRect().width / panel.viewBox.baseVal.width;
      const sizes = all("text", panel).map((text) => parseFloat(getComputedStyle(text).fontSize) * scale);
      check(Math.min(...sizes) >= 8.5, `text of ${figure.id} is ${Math.min(...sizes).toFixed(1)} pixels high`);
      const marks = all("g.s circle, g.s path:not(.l)", panel);
      check(marks.every((mark) => mark.closest("a") || mark.closest(".plain")), `${figure.id} has points without records`);
    }
  }
  for (const table of all("table.data")) {
    const heads = [...table.tHead.rows[0].cells];
    const rows = () => [...table.tBodies[0].rows];
    if (rows().length < 2) continue;
    const column = heads.findIndex((_, i) => rows().filter((row) => row.cells[i].dataset.v !== undefined).length > 1);
    if (column < 0) continue;
    for (const way of ["ascending", "descending"]) {
      heads[column].querySelector("button").click();
      check(heads[column].getAttribute("aria-sort") === way, `a table does not say that it is sorted ${way}`);
      const values = rows().map((row) => row.cells[column].dataset.v).filter((v) => v !== undefined).map(Number);
      const ordered = values.every((v, i) => !i || (way === "ascending" ? values[i - 1] <= v : values[i - 1] >= v));
      check(ordered, `a table is not sorted ${way}`);
    }
  }
  const filter = document.querySelector("input[type=search]");
  if (filter) {
    const table = filter.closest(".tools").nextElementSibling.querySelector("table");
    filter.value = "no such row"; filter.dispatchEvent(new Event("input"));
    check(all("tbody tr", table).every((row) => row.hidden), "the filter hides nothing");
    filter.value = ""; filter.dispatchEvent(new Event("input"));
    check(all("tbody tr", table).every((row) => !row.hidden), "the filter does not bring rows back");
  }
  const ground = () => getComputedStyle(document.body).backgroundColor;
  const before = ground();
  document.querySelector("#theme").click();
  check(ground() !== before, "the theme does not change");
  document.querySelector("#theme").click();
  check(ground() === before, "the theme does not change back");
  const points = all(".fig a");
  check(!all("figure").length || points.length, "no point of any figure is linked");
  for (const point of [points[0], points.at(-1)].filter(Boolean)) {
    point.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
    await frame();
    const target = document.getElementById(point.getAttribute("href").slice(1));
    if (!target) continue; // said above
    check(!target.matches("details") || target.open, "a point does not open its records");
    check(!target.matches(".entry") || !target.querySelector("table.data") || all("table.data tbody tr", target).some((row) => !row.hidden), "a point shows no numbers");
    const box = target.getBoundingClientRect();
    check(box.top < innerHeight && box.bottom > 0, "a point's records are not in view");
    fits("with records open");
  }
  all("main details").forEach((details) => { if (!details.matches(".entry")) details.open = true; });
  await frame();
  fits("with everything unfolded");
  return wrong;
})()
"""


class Browser:
    """Headless Chromium with a page in it."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="check-page-")
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()

        def pipes():
            # the browser reads commands from 3 and writes answers to 4
            read, write = os.dup(to_read), os.dup(from_write)
            os.dup2(read, 3)
            os.dup2(write, 4)

        options = ["--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   "--hide-scrollbars", f"--user-data-dir={self.profile}", "--remote-debugging-pipe"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")
        self.process = subprocess.Popen([program, *options, "about:blank"], close_fds=False, preexec_fn=pipes,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.out, self.into = to_write, from_read
        self.buffer, self.count, self.events = b"", 0, []
        target = self.call("Target.createTarget", {"url": "about:blank"}, None)["targetId"]
        attached = self.call("Target.attachToTarget", {"targetId": target, "flatten": True}, None)
        self.session = attached["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(domain + ".enable")

    def message(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.into], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self.into, 1 << 20)
            if not piece:
                raise EOFError("the browser ended")
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, params=None, session=""):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params or {}}
        if session is not None:
            message["sessionId"] = session or self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        deadline = time.monotonic() + LIMIT
        while True:
            answer = self.message(deadline)
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, page, width, height, scheme):
        self.call("Emulation.setDeviceMetricsOverride",
                  {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        self.call("Emulation.setEmulatedMedia",
                  {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.call("Page.navigate", {"url": "about:blank"})
        self.events.clear()
        self.call("Page.navigate", {"url": page.resolve().as_uri()})
        deadline = time.monotonic() + LIMIT
        while self.evaluate("location.protocol === 'file:' && document.readyState") != "complete":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{page} does not load")
            time.sleep(0.05)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate",
                           {"expression": expression, "awaitPromise": True, "returnByValue": True})
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            return [details.get("exception", {}).get("description", details["text"])]
        return answer["result"].get("value")

    def complaints(self):
        """Errors that the page logged, and requests that left it."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                found.append("error: " + details.get("exception", {}).get("description", details["text"]))
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
                found.append("console: " + " ".join(str(a.get("value", "")) for a in params["args"]))
            elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append("log: " + params["entry"]["text"])
            elif method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("file:", "data:", "blob:", "about:")):
                    found.append("asks for " + url)
        return found

    def shoot(self, stem, width):
        """Screenshots of the whole page, cut into pieces that can be looked at."""
        high = int(self.evaluate("document.documentElement.scrollHeight"))
        step = 2400 if width < 600 else 1700
        for i, top in enumerate(range(0, high, step)):
            clip = {"x": 0, "y": top, "width": width, "height": min(step, high - top), "scale": 1}
            shot = self.call("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
            pathlib.Path(f"{stem}-{i:02}.png").write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        try:
            self.call("Browser.close", session=None)
            self.process.wait(10)
        except (OSError, EOFError, TimeoutError, RuntimeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


def check(browser, page, shots):
    wrong = []
    for width, height in SIZES:
        for scheme in ["light", "dark"]:
            browser.open(page, width, height, scheme)
            if shots:
                stem = shots / f"{page.resolve().parent.name}-{width}-{scheme}"
                browser.shoot(stem, width)
            found = browser.evaluate(CHECK) or []
            # what was logged is read after the checks
            found += browser.complaints()
            wrong += [f"{page} at {width} pixels, {scheme}: {text}" for text in dict.fromkeys(found)]
    if shots:
        browser.open(page, 1280, 900, "dark")
        printed = browser.call("Page.printToPDF", {"preferCSSPageSize": True})
        (shots / f"{page.resolve().parent.name}.pdf").write_bytes(base64.b64decode(printed["data"]))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=pathlib.Path, metavar="PAGE")
    parser.add_argument("--shots", type=pathlib.Path, metavar="DIR", help="leave screenshots and a PDF here")
    arguments = parser.parse_args()
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not program:
        print("check-page: no Chromium found (looked for " + ", ".join(NAMES) + "); nothing was checked",
              file=sys.stderr)
        return 2
    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    wrong = []
    browser = Browser(program)
    try:
        for page in arguments.pages:
            found = check(browser, page, arguments.shots)
            print(f"{page}: {'as it should be' if not found else f'{len(found)} wrong'}"
                  f" ({page.stat().st_size / 1e3:.0f} kB)")
            wrong += found
    finally:
        browser.close()
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
