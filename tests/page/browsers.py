"""Chromium, and pages in it that complain about everything a page must not do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.places import ROOT

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="no Playwright: pip install playwright"
)

SCREENSHOTS = ROOT / "build" / "page"
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--use-angle=swiftshader",  # WebGL2 without a graphics card
    "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
)
PATIENCE = 60_000  # ms
TIMES = "\N{MULTIPLICATION SIGN}"


def chromium() -> str:
    """The browser's program; skips where there is none."""
    stated = os.environ.get("REUCID_CHROMIUM")
    found = stated or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium: install Debian's, or name one with REUCID_CHROMIUM")
    return found


def _started() -> dict[str, Any]:
    """How Playwright is to start it."""
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # root has to do without
    return {"executable_path": chromium(), "args": [*ARGUMENTS, *sandbox]}


@contextmanager
def launched() -> Iterator[Any]:
    """A browser while the context lasts."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(**_started())
        yield browser
        browser.close()


@contextmanager
def with_profile(folder: Path, **options: Any) -> Iterator[Any]:
    """A browser as people have it: what it keeps of pages lies on the disk, in this folder."""
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(folder, **_started(), **options)
        yield context
        context.close()


@dataclass
class Visit:
    """A page of a server, and what it did that it must not do."""

    page: Any
    url: str
    wrongs: list[str] = field(default_factory=list)
    expected: tuple[int, ...] = ()  # statuses that the test provokes
    bytes: int = 0  # that came

    def go(self, path: str = "") -> None:
        """Open an address of the page."""
        self.page.goto(f"{self.url}/{path}")

    def upload(self, *files: Path | dict[str, Any]) -> None:
        """Choose files."""
        self.page.wait_for_selector(".drop")
        self.page.set_input_files("#files", list(files))

    def wait_for(self, name: str) -> None:
        """Wait until a view shows its image."""
        self.page.wait_for_selector(f"canvas[aria-label='{name}']")
        self.page.wait_for_function(
            "name => document.querySelector(`canvas[aria-label='${name}']`)"
            "?.parentElement.querySelector('.veil').hidden",
            arg=name,
        )

    def press(self, key: str) -> None:
        """Press a key, and let the page draw."""
        self.page.keyboard.press(key)
        self.drawn()

    def drawn(self) -> None:
        """Wait until what was changed is drawn."""
        frames = "new Promise(d => requestAnimationFrame(() => requestAnimationFrame(d)))"
        self.page.evaluate(f"() => {frames}")

    def value(self, name: str) -> str:
        """A number of the readout."""
        text: str = self.page.locator(f".readout [data-value='{name}']").inner_text()
        return text

    def colour(self, name: str, across: float, down: float) -> list[int]:
        """Red, green and blue of a view's canvas, at a share of its width and height."""
        found: list[int] = self.page.evaluate(
            """([name, across, down]) => {
              const canvas = document.querySelector(`canvas[aria-label='${name}']`);
              const x = Math.floor(across * canvas.width), y = Math.floor(down * canvas.height);
              return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data.slice(0, 3)];
            }""",
            [name, across, down],
        )
        return found

    def shot(self, name: str, *, whole: bool = True) -> None:
        """Keep a picture of the page, to be looked at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)

    def watch(self) -> None:
        """Note everything that is wrong from now on."""
        page = self.page
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.wrongs.append(f"error: {error}"))
        page.on("console", self._said)
        page.on("request", self._asked)
        page.on("response", lambda answer: self._answered(answer))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', "
            "e => console.error('CSP: ' + e.violatedDirective + ' ' + e.blockedURI))"
        )

    def _said(self, message: Any) -> None:
        provoked = any(f"status of {status}" in message.text for status in self.expected)
        gone = 0 in self.expected and "ERR_" in message.text
        if message.type == "error" and not provoked and not gone:
            self.wrongs.append(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and parts.netloc != urlsplit(self.url).netloc:
            self.wrongs.append(f"foreign request: {request.url}")

    def _answered(self, answer: Any) -> None:
        if answer.status >= 400 and answer.status not in self.expected:
            self.wrongs.append(f"{answer.status} {answer.url}")


def levels(visit: Visit) -> tuple[float, float]:
    """Black and white level, exactly."""
    low, high = (
        float(visit.page.locator(f"[data-level='{which}']").get_attribute("aria-valuenow"))
        for which in ("low", "high")
    )
    return low, high


def gray(value: float, low: float, high: float) -> int:
    """How a value is shown with the gray map."""
    share = min(1.0, max(0.0, (value - low) / (high - low)))
    return int(share * 255 + 0.5)


def hann_power(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """log10(1 + power) of a square under a Hann window, zero frequency in the middle."""
    window = np.outer(*map(np.hanning, pixels.shape))
    spectrum = np.fft.fft2((pixels - pixels.mean(dtype=np.float64)) * window)
    return np.asarray(np.log10(1 + np.abs(np.fft.fftshift(spectrum)) ** 2))
