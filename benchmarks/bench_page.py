"""What the page costs in a real browser: `python benchmarks/bench_page.py [--side 16384]`.

A server as users start it, Debian's Chromium by Playwright (as for tests/page), loopback. Of a
large result: time until all three views show it, longest time in which a part of a view that is
panned shows nothing and longest gap between two drawn frames, memory of all of the browser's
processes together, and how much of it is more than with an empty page. Bytes of the first load; and
the time from a click on an eigenpatch of a result of 512 x 512 px to other pixels on the screen.
Without Chromium it says so and ends.
"""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from machine import machine

from tests.support.servers import served

CHEAP = {"method": "paper", "engine": "exact", "patch_size": 5}
VIEWS = ("raw", "denoised", "residual")
WINDOW = {"width": 1600, "height": 1000}
PAN = 6.0  # s
REST = 4000  # ms, after which what was only needed to open is given back
MIB = 2**20
SHOWN = """names => names.every(name =>
  document.querySelector(`canvas[aria-label='${name}']`)?.parentElement.querySelector('.veil').hidden)
"""
DRAWN = """names => names.every(name => {
  const { width, height } = document.querySelector(`canvas[aria-label='${name}']`);
  const context = document.querySelector(`canvas[aria-label='${name}']`).getContext('2d');
  return context.getImageData(width >> 1, height >> 1, 1, 1).data[3] > 0;
})"""
CLICK = """index => new Promise(resolve => {
  const canvas = document.querySelector("canvas[aria-label='denoised']");
  const small = new OffscreenCanvas(24, 24).getContext('2d', { willReadFrequently: true });
  const pixels = () => {
    small.clearRect(0, 0, 24, 24);
    small.drawImage(canvas, 0, 0, 24, 24);
    return small.getImageData(0, 0, 24, 24).data.join();
  };
  const before = pixels();
  const start = performance.now();
  document.querySelector(`.gallery [data-index='${index}']`).click();
  const look = () => (pixels() === before
    ? requestAnimationFrame(look) : resolve(performance.now() - start));
  requestAnimationFrame(look);
})"""
# Looking costs time itself: not in every frame, but often enough to see 100 ms.
WATCH = """names => {
  const canvases = names.map(name => document.querySelector(`canvas[aria-label='${name}']`));
  const seen = window.seen = { frames: 0, gap: 0, blank: 0, blanks: 0, on: true };
  const since = canvases.map(() => null);
  const small = new OffscreenCanvas(24, 24).getContext('2d', { willReadFrequently: true });
  let last = performance.now(), looked = 0;
  const look = now => {
    seen.frames++;
    seen.gap = Math.max(seen.gap, now - last);
    last = now;
    if (now - looked > 40) canvases.forEach((canvas, which) => {
      looked = now;
      small.clearRect(0, 0, 24, 24);  // a smaller copy: where a part is blank, it is not opaque
      small.drawImage(canvas, 0, 0, 24, 24);
      const { data } = small.getImageData(0, 0, 24, 24);
      const blank = data.some((value, at) => at % 4 === 3 && value < 255);
      if (!blank) since[which] = null;
      else {
        since[which] ??= now;
        seen.blanks++;
        seen.blank = Math.max(seen.blank, now - since[which]);
      }
    });
    if (seen.on) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


def micrograph(side: int) -> bytes:
    """A lattice in counts, as a file."""
    rng = np.random.default_rng(0)
    waves = [1 + np.cos(2 * np.pi * np.arange(side) / period) for period in (12, 11)]
    noise = rng.poisson(20, 2**20)
    image = np.empty((side, side), np.uint8)
    for row, height in enumerate(waves[0]):
        start = int(rng.integers(noise.size - side))
        image[row] = 12 * height * waves[1] + noise[start : start + side]
    file = io.BytesIO()
    np.save(file, image)
    return file.getvalue()


def submitted(api: httpx.Client, side: int, params: dict[str, Any]) -> str:
    """Id of a job that has ended well."""
    start = time.perf_counter()
    files = {"file": (f"{side}.npy", micrograph(side))}
    answer = api.post("/jobs", files=files, data={"params": json.dumps(params)})
    job: dict[str, Any] = answer.raise_for_status().json()
    accepted = time.perf_counter()
    while job["state"] in ("queued", "running"):
        job = api.get(f"/jobs/{job['id']}", params={"wait": 30}).raise_for_status().json()
    if job["state"] != "succeeded":
        raise SystemExit(f"the job {job['state']}: {job['error']}")
    print(
        f"{side} x {side} px, {params}: uploaded in {accepted - start:.1f} s, "
        f"denoised in {time.perf_counter() - accepted:.1f} s",
        flush=True,
    )
    return str(job["id"])


@dataclass(frozen=True)
class Memory:
    """MiB of the browser.

    `all` has the shares of all its processes, code included, which other browsers that run share;
    `private` and `tab` what nobody shares, of all processes and of the largest renderer.
    """

    all: float
    private: float
    tab: float

    @classmethod
    def now(cls) -> "Memory":
        shares, private, renderers = 0.0, 0.0, [0.0]
        for process in psutil.Process().children(recursive=True):
            try:
                if "chrom" in process.name():
                    memory = process.memory_full_info()
                    shares += memory.pss / MIB
                    private += memory.uss / MIB
                    if "--type=renderer" in process.cmdline():
                        renderers.append(memory.uss / MIB)
            except psutil.Error:
                continue
        return cls(shares, private, max(renderers))

    def beside(self, empty: "Memory") -> str:
        """In words, and how much more it is than with an empty page."""
        more = self.all - empty.all, self.private - empty.private, self.tab - empty.tab
        return f"{self} ({', '.join(f'{each:+.0f}' for each in more)})"

    def __str__(self) -> str:
        return f"{self.all:.0f} MiB in all, {self.private:.0f} private, {self.tab:.0f} the tab's"


@contextmanager
def visited(browser: Any, view: dict[str, int] = WINDOW) -> Iterator[Any]:
    context = browser.new_context(viewport=view)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.on("pageerror", lambda error: print(f"error of the page: {error}"))
    yield page
    context.close()


def opened(page: Any, url: str, job: str) -> float:
    """Seconds from asking for a job's page to all of its views."""
    start = time.perf_counter()
    page.goto(f"{url}/#/job/{job}")
    page.wait_for_function(SHOWN, arg=list(VIEWS))
    if not page.evaluate(DRAWN, list(VIEWS)):
        raise SystemExit("a view says that it shows its image, and does not")
    return time.perf_counter() - start


def panned(page: Any) -> tuple[dict[str, float], Memory]:
    """What a person sees who drags through an image at 1:1, and the most memory meanwhile."""
    canvas = page.locator("canvas[aria-label='denoised']")
    canvas.focus()
    page.keyboard.press("1")
    page.wait_for_timeout(500)
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate(WATCH, list(VIEWS))
    most, end, way = Memory.now(), time.perf_counter() + PAN, 1
    while time.perf_counter() < end:
        page.mouse.move(x + way * box["width"] / 3, y + way * box["height"] / 3)
        page.mouse.down()
        for step in range(12):  # a swipe of two thirds of a view
            share = way * (1 - step / 5.5) / 3
            page.mouse.move(x + share * box["width"], y + share * box["height"])
            page.wait_for_timeout(16)
        page.mouse.up()
        most = max(most, Memory.now(), key=lambda memory: memory.all)
    seen: dict[str, float] = page.evaluate("() => { window.seen.on = false; return window.seen; }")
    return seen, most


def first_load(browser: Any, url: str) -> int:
    """Bytes that come over the wire when the page is opened for the first time."""
    with visited(browser) as page:
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        came: list[float] = []
        network.on("Network.loadingFinished", lambda event: came.append(event["encodedDataLength"]))
        page.goto(f"{url}/")
        page.wait_for_selector(".drop")
        page.wait_for_load_state("networkidle")
        return int(sum(came))


def turned(page: Any, url: str, job: str) -> list[float]:
    """Seconds from a click on an eigenpatch to other pixels on the screen, several times."""
    opened(page, url, job)
    page.wait_for_selector(".gallery .patch")
    times = []
    for index in range(2, 8):
        times.append(page.evaluate(CLICK, index) / 1e3)
        page.wait_for_timeout(1000)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=16384, help="px of the large image")
    parser.add_argument("--at", nargs=2, metavar=("URL", "JOB"), help="look at a job of a server")
    stated = parser.parse_args()
    print(machine())
    try:
        with tempfile.TemporaryDirectory() as folder:
            if stated.at:
                look(Path(folder), *stated.at)
            else:
                measure(Path(folder), stated.side)
    except pytest.skip.Exception as reason:
        print(f"not measured: {reason}")


def measure(folder: Path, side: int) -> None:
    """All of it, with a server of its own."""
    from tests.page.browsers import launched

    with (
        served(folder / "data") as server,
        httpx.Client(base_url=f"{server.url}/v1", timeout=600, trust_env=False) as api,
    ):
        with launched() as browser:
            print(f"Chromium {browser.version}")
            print(f"first load: {first_load(browser, server.url) / 1024:.0f} KiB")
            small = submitted(api, 512, {"method": "paper"})
            with visited(browser) as page:
                times = turned(page, server.url, small)
        print(f"a verdict turned at 512 x 512 px: median {median(times):.2f} s, {max(times):.2f} s")
        look(folder, server.url, submitted(api, side, CHEAP))


def look(folder: Path, url: str, job: str) -> None:
    """What a look at a large result costs."""
    from tests.page.browsers import with_profile

    with with_profile(folder / "profile", viewport=WINDOW) as context:
        page = context.pages[0]
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: print(f"error of the page: {error}"))
        page.wait_for_timeout(1000)
        empty = Memory.now()
        print(f"browser with an empty page: {empty}")
        for what in ("the first time", "again"):
            print(f"opened {what}: {opened(page, url, job):.2f} s", flush=True)
            page.wait_for_timeout(REST)
            print(f"browser then: {Memory.now().beside(empty)}")
            seen, most = panned(page)
            rate = seen["frames"] / PAN
            print(f"panned at 1:1: {rate:.0f} frames/s, longest gap {seen['gap']:.0f} ms")
            print(f"blank in {seen['blanks']} looks, {seen['blank']:.0f} ms at most")
            print(f"browser while panning, at most: {most.beside(empty)}", flush=True)
            page.goto("about:blank")


if __name__ == "__main__":
    main()
