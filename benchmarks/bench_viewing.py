"""How fast a viewer gets what it shows: `bench_viewing.py [side] [method] [stacks]`.

An API in this process, asked over a socket: a first look at a result, its residual and its input,
regions of them at full scale, a picture of the whole result, and what a revision would be. Times
in ms. With several stacks also of an interim result, and how often one comes.
"""

import io
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

LOOK = 1024  # px of a first look, at most
TILE = 512  # px
TIMES = 20


def micrograph(side: int) -> bytes:
    """A lattice in counts, as a file."""
    rng = np.random.default_rng(0)
    waves = [1 + np.cos(2 * np.pi * np.arange(side) / period) for period in (12, 11)]
    image = np.empty((side, side), np.uint16)
    for row, height in enumerate(waves[0]):
        image[row] = rng.poisson(20 * height * waves[1] + 40)
    file = io.BytesIO()
    np.save(file, image)
    return file.getvalue()


def timed(ask: Callable[[], Any], times: int = TIMES) -> tuple[float, float]:
    """The first answer, and the median of the later ones, in ms."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        answer = ask()
        seconds.append(time.perf_counter() - start)
        answer.raise_for_status()
    return 1e3 * seconds[0], 1e3 * median(seconds[1:])


def main() -> None:
    # Here: every drawing child reads this module anew, and has no use for a server.
    from tests.support.inprocess import running

    side = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    params: dict[str, Any] = {"method": sys.argv[2]} if len(sys.argv) > 2 else {}
    stacks = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    if stacks > 1:
        params |= {"stacks": stacks, "patch_size": 7, "components": 12}
    with (
        TemporaryDirectory() as folder,
        running(Path(folder), log_level="warning") as api,
        api.client() as client,
    ):
        client.timeout = 600
        form = {"params": json.dumps(params)}
        job = client.post("/jobs", files={"file": micrograph(side)}, data=form).json()
        start = time.perf_counter()
        api.work(job["id"])
        seconds = time.perf_counter() - start
        print(f"{side} x {side} px, denoised in {seconds:.1f} s")
        here = f"/jobs/{job['id']}"
        reduce = max(1, side // LOOK)
        corner = min(side - TILE, side // 2)
        tile = ",".join(map(str, [corner, corner, corner + TILE, corner + TILE]))
        if stacks > 1:
            print(f"an interim result every {seconds / stacks:.1f} s")
        interims = ("interim/1",) if stacks > 1 else ()
        for part in ("result", "residual", "input", *interims):
            looks: tuple[tuple[str, dict[str, Any]], ...] = (
                (f"reduce={reduce}", {"reduce": reduce}),
                (f"{TILE} x {TILE} px", {"region": tile}),
            )
            for name, query in looks:
                first, later = timed(
                    partial(client.get, f"{here}/{part}", params=query | {"format": "raw"})
                )
                print(f"{part:9} {name:14} first {first:8.1f}, later {later:6.1f}")
        start = time.perf_counter()
        whole = {"format": "png", "percentiles": "1,99", "colormap": "viridis"}
        client.get(f"{here}/result", params=whole).raise_for_status()
        print(f"result as PNG           first {1e3 * (time.perf_counter() - start):8.1f}")
        if side <= 2 * LOOK:
            first, later = timed(
                lambda: client.post(f"{here}/revise/preview", json={"drop": {"1": [2]}})
            )
            print(f"preview of a revision    first {first:8.1f}, later {later:6.1f}")


if __name__ == "__main__":
    main()
