"""Debian's Chromium, steered over its own protocol: opens pages, types, clicks, looks. Nothing is installed for it."""

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager

PROGRAM = shutil.which("chromium")
WHY_NOT = "Chromium is not installed (Debian: apt-get install chromium), so the page was not looked at in a browser"
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)  # fmt: skip
_SECONDS = 60


@contextmanager
def chromium(folder):
    """Start Chromium with an empty profile below a folder; yield its one page."""
    from websockets.sync.client import connect

    profile = folder / "chromium"
    process = subprocess.Popen(
        [PROGRAM, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = _until(lambda: (profile / "DevToolsActivePort").read_text().split()[0], OSError, IndexError)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=_SECONDS) as answer:
            target = next(each for each in json.load(answer) if each["type"] == "page")
        with connect(target["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(ask, *not_yet):
    """Ask again and again, until there is an answer."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            if answer := ask():
                return answer
        except not_yet:
            pass
        assert time.monotonic() < end, "the browser did not answer"
        time.sleep(0.05)


class Page:
    """The page that the browser shows."""

    def __init__(self, socket):
        self._socket, self._numbers = socket, itertools.count(1)
        for domain in ("Page", "Runtime"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        """Send a command; return its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=_SECONDS))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def look(self, expression):
        """Return what an expression gives in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def go(self, address):
        """Open an address."""
        with self._next_page():
            self.ask("Page.navigate", url=address)

    def click(self, selector):
        """Press what a selector names, with the mouse, and wait for the page that follows."""
        self.look(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        box = self.look(
            f"(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        with self._next_page():
            for kind in ("mousePressed", "mouseReleased"):
                self.ask("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def type(self, selector, text):
        """Type into a field."""
        self.look(f"document.querySelector({selector!r}).focus()")
        self.ask("Input.insertText", text=text)

    def text(self):
        """Return what a reader sees."""
        return self.look("document.body.innerText")

    def show_as(self, width, height, *, is_dark=False, has_script=True):
        """Take the size of a window or a phone, and what its owner chose."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = "dark" if is_dark else "light"
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.ask("Emulation.setScriptExecutionDisabled", value=not has_script)

    def picture(self, file):
        """Save the whole page as a picture."""
        height = self.look("document.documentElement.scrollHeight")
        width = self.look("document.documentElement.clientWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 8_000), "scale": 1}
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(shot["data"]))

    @contextmanager
    def _next_page(self):
        """Wait until another document stands there, whole."""
        self.look("void (document.documentElement.dataset.isOld = 1)")
        yield
        _until(
            lambda: self.look("document.readyState == 'complete' && !document.documentElement.dataset.isOld"),
            AssertionError,  # asked in the middle of a change
        )
