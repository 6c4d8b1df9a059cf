"""What the page costs in a real browser: `python benchmarks/bench_page.py [--side 16384]`.

A server as users start it, Debian's Chromium by Playwright (as for tests/page), loopback. Of a
large result: time until all three views show it, longest time in which a part of a view that is
panned shows nothing and longest gap between two drawn frames, memory of all of the browser's
processes together. Bytes of the first load; and the time from a click on an eigenpatch of a result
of 512 x 512 px to the image that it would be. Without Chromium it says so and ends.
"""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
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
MIB = 2**20
SHOWN = """names => names.every(name =>
  document.querySelector(`canvas[aria-label='${name}']`)?.parentElement.querySelector('.veil').hidden)
"""
DRAWN = """names => names.every(name => {
  const { width, height } = document.querySelector(`canvas[aria-label='${name}']`);
  const context = document.querySelector(`canvas[aria-label='${name}']`).getContext('2d');
  return context.getImageData(width >> 1, height >> 1, 1, 1).data[3] > 0;
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
    """MiB of the browser: proportional shares of all its processes, and of its largest renderer."""

    all: float
    tab: float

    @classmethod
    def now(cls) -> "Memory":
        shares, renderers = [0.0], [0.0]
        for process in psutil.Process().children(recursive=True):
            try:
                if "chrom" in process.name():
                    shares.append(process.memory_full_info().pss / MIB)
                    if "--type=renderer" in process.cmdline():
                        renderers.append(shares[-1])
            except psutil.Error:
                continue
        return cls(sum(shares), max(renderers))

    def __str__(self) -> str:
        return f"{self.all:.0f} MiB in all, {self.tab:.0f} MiB of them the tab's"


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
    """Seconds from a click on an eigenpatch to the image that it would be, several times."""
    opened(page, url, job)
    times = []
    for index in range(2, 8):
        patch = page.locator(f".gallery [data-index='{index}']")
        patch.wait_for()
        start = time.perf_counter()
        patch.click()
        shown = "yours; the views show what the image would be"
        page.wait_for_function(
            "([text, count]) => document.querySelector('.banner:not([hidden])')?.textContent"
            ".startsWith(`${count} `) && document.body.textContent.includes(text)",
            arg=[shown, index - 1],
            polling=10,
        )
        times.append(time.perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=16384, help="px of the large image")
    parser.add_argument("--at", nargs=2, metavar=("URL", "JOB"), help="look at a job of a server")
    stated = parser.parse_args()
    try:
        from tests.page.browsers import launched

        enter: Callable[[], Any] = launched
        with enter() as browser, tempfile.TemporaryDirectory() as folder:
            print(machine(), f"Chromium {browser.version}")
            if stated.at:
                look(browser, *stated.at)
            else:
                measure(browser, Path(folder), stated.side)
    except pytest.skip.Exception as reason:
        print(f"not measured: {reason}")


def measure(browser: Any, folder: Path, side: int) -> None:
    """All of it, with a server of its own."""
    with (
        served(folder / "data") as server,
        httpx.Client(base_url=f"{server.url}/v1", timeout=600, trust_env=False) as api,
    ):
        print(f"first load: {first_load(browser, server.url) / 1024:.0f} KiB")
        small = submitted(api, 512, {"method": "paper"})
        with visited(browser) as page:
            times = turned(page, server.url, small)
        print(f"a verdict turned at 512 x 512 px: median {median(times):.2f} s, {max(times):.2f} s")
        look(browser, server.url, submitted(api, side, CHEAP))


def look(browser: Any, url: str, job: str) -> None:
    """What a look at a large result costs."""
    with visited(browser) as page:
        page.goto("about:blank")
        page.wait_for_timeout(1000)
        print(f"browser with an empty page: {Memory.now()}")
    for what in ("the first time", "again"):
        with visited(browser) as page:
            print(f"opened {what}: {opened(page, url, job):.2f} s", flush=True)
            page.wait_for_timeout(1000)
            print(f"browser then: {Memory.now()}")
            seen, most = panned(page)
            rate = seen["frames"] / PAN
            print(f"panned at 1:1: {rate:.0f} frames/s, longest gap {seen['gap']:.0f} ms")
            print(f"blank in {seen['blanks']} looks, {seen['blank']:.0f} ms at most")
            print(f"browser while panning, at most: {most}", flush=True)


if __name__ == "__main__":
    main()
