"""How fast the core is, beside the literal algorithm and what a user would pick instead.

All methods run in one process, in turn, round after round, so that the machine's moods hit them
alike; the table quotes medians. What takes longer than `PATIENCE` runs once. One thread and one
core, as in the paper.
"""

import argparse
import ctypes
import gc
import json
import statistics
import threading
import time
from pathlib import Path
from typing import Any

from machine import machine, pin  # first: it sets the number of threads

# isort: split
import numpy as np
import psutil
import torch
from literal import denoise_literally
from numpy.typing import NDArray
from peers import KINDS, Method, peers

from reucid_core import DenoiseParams, denoise
from reucid_core.classifier import load_classifier

# side in px: (patch size, stacks of literal and stacked, slowest kind of method that is run)
CASES = {
    256: (11, 1, "slow"),
    512: (11, 1, "slow"),
    890: (19, 5, "slow"),
    1024: (23, 5, "slow"),
    2048: (23, 20, "peer"),
    4096: (23, 80, "fast"),
}
PATCH_SIZES = (5, 7, 11, 15, 19, 23, 31, 41, 51, 63)
GROWTH_SIDE = 1024
NEIGHBOURS = ((512, 509), (880, 883), (1024, 1021), (2048, 2039))  # a fast side and a prime one
PATIENCE = 10.0  # seconds
MIB = 2**20


def micrograph(side: int) -> NDArray[np.float32]:
    """A lattice of Poisson counts with read noise."""
    rng = np.random.default_rng(side)
    y, x = np.mgrid[:side, :side]
    lattice = (1 + np.cos(2 * np.pi * x / 13.7)) * (1 + np.cos(2 * np.pi * (y + 0.3 * x) / 11.3))
    return (rng.poisson(8 * lattice + 2) + rng.normal(0, 1, lattice.shape)).astype(np.float32)


def methods(image: NDArray[np.float32], p: int, stacks: int) -> dict[str, tuple[str, Method]]:
    """Kind and call of everything that can be run here."""
    classify = load_classifier()
    double = image.astype(np.float64)

    def ours(engine: Any, d: int | None = None) -> Method:
        params = DenoiseParams(method="paper", engine=engine, patch_size=p, stacks=d, threads=1)
        return lambda: denoise(image, params, classify=classify)

    return {
        "exact": ("fast", ours("exact")),
        "stacked": ("peer", ours("stacked", stacks)),
        "literal": ("slow", lambda: denoise_literally(double, p, stacks, classify)),
    } | peers(double, p)


def peak_memory(call: Method) -> tuple[float, float]:
    """Seconds of a call, and bytes of resident memory that it takes at its peak."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what earlier calls have freed
    process, done, peak = psutil.Process(), threading.Event(), 0
    before = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return seconds, max(0, peak - before)


def measure(cases: dict[str, Method], rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds of each method, round after round, and its peak memory in a first call."""
    found: dict[str, dict[str, Any]] = {}
    for name, call in cases.items():
        seconds, memory = peak_memory(call)
        found[name] = {"seconds": [seconds] if seconds > PATIENCE else [], "memory": memory}
    again = {name: call for name, call in cases.items() if not found[name]["seconds"]}
    for _ in range(rounds):
        for name, call in again.items():
            gc.collect()
            start = time.perf_counter()
            call()
            found[name]["seconds"].append(time.perf_counter() - start)
    return found


def compare(side: int, rounds: int, slowest: str | None) -> dict[str, dict[str, Any]]:
    """Measure all methods at one image size, and print its rows of the table."""
    p, stacks, kind = CASES[side]
    allowed = KINDS[: KINDS.index(slowest or kind) + 1]
    available = methods(micrograph(side), p, stacks)
    found = measure({name: call for name, (k, call) in available.items() if k in allowed}, rounds)
    exact = statistics.median(found["exact"]["seconds"])
    order = sorted(found.items(), key=lambda item: statistics.median(item[1]["seconds"]))
    for name, each in order:
        median = statistics.median(each["seconds"])
        d = f", d = {stacks}" if name in ("stacked", "literal") else ""
        print(
            f"| {side}^2 | {p} | {name}{d} | {median:.4f} | {min(each['seconds']):.4f} - "
            f"{max(each['seconds']):.4f} | {median / exact:.1f} | {each['memory'] / MIB:.0f} |",
            flush=True,
        )
    return found


def growth(rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of each stage of the exact engine, over image sizes and patch sizes."""
    cases = [(side, 11) for side in CASES] + [(GROWTH_SIDE, p) for p in PATCH_SIZES]
    classify = load_classifier()
    found = {}
    print("\n| image | p | ms | transform + PSF | Gram + eigenpatches | classifier | filter |")
    print("|---|---|---|---|---|---|---|")
    for side, p in cases:
        image = micrograph(side)
        params = DenoiseParams(method="paper", engine="exact", patch_size=p, threads=1)
        runs = [
            denoise(image, params, classify=classify).report.seconds for _ in range(rounds + 1)
        ][1:]
        stages = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        found[f"{side} {p}"] = stages
        total = sum(stages.values())
        shares = [
            (stages["transform"] + stages["psf"]) / total,
            *(stages[name] / total for name in ("decompose", "classify", "fuse")),
        ]
        row = " | ".join(f"{share:.0%}" for share in shares)
        print(f"| {side}^2 | {p} | {1e3 * total:.0f} | {row} |", flush=True)
    return found


def neighbours(rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of the exact engine at prime sides and at fast ones nearby, in turn."""
    classify = load_classifier()
    found = {}
    print("\n| fast, prime | p | ms | ms | times |")
    print("|---|---|---|---|---|")
    for sides in NEIGHBOURS:
        images = {side: micrograph(side) for side in sides}
        for p in (None, 19):
            params = DenoiseParams(method="paper", engine="exact", patch_size=p, threads=1)
            runs: dict[int, list[float]] = {side: [] for side in sides}
            for _ in range(rounds + 1):
                for side, image in images.items():
                    start = time.perf_counter()
                    denoise(image, params, classify=classify)
                    runs[side].append(time.perf_counter() - start)
            fast, prime = (1e3 * statistics.median(runs[side][1:]) for side in sides)
            found[f"{sides} {p}"] = {"fast": fast, "prime": prime}
            row = f"{p or 'auto'} | {fast:.0f} | {prime:.0f} | {prime / fast:.2f}"
            print(f"| {sides[0]}, {sides[1]} | {row} |", flush=True)
    return found


def main() -> None:
    """Measure what the command line names and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3, help="measured calls of each method")
    parser.add_argument("--slowest", choices=KINDS, help="leave out slower kinds of methods")
    parser.add_argument("--growth", action="store_true", help="also the cost of each stage")
    parser.add_argument("--neighbours", action="store_true", help="also prime sides")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pin()

    results: dict[str, Any] = {"machine": machine(), "sizes": {}}
    print(results["machine"])
    print("\n| image | p | method | median, s | min - max, s | times exact | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    for side in options.sizes:
        results["sizes"][str(side)] = compare(side, options.rounds, options.slowest)
    if options.growth:
        results["growth"] = growth(options.rounds)
    if options.neighbours:
        results["neighbours"] = neighbours(options.rounds)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
