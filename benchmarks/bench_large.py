"""An image of 16384 x 16384 px, denoised within a stated amount of resident memory."""

import argparse
import resource
import time

from machine import machine  # first: it sets the number of threads

# isort: split
import numpy as np
from numpy.typing import NDArray

from reucid_core import DenoiseParams, denoise, noise_floor
from reucid_core.eigenpatches import Classify

THREADS = 2
MIB = 2**20


def micrograph(side: int) -> NDArray[np.float32]:
    """A lattice of Poisson counts, made in bands: nothing else here may take much memory.

    Each count is shared with the next pixel along the row, as a slow detector would.
    """
    rng = np.random.default_rng(side)
    image = np.empty((side, side), np.float32)
    x = np.arange(side)
    for start in range(0, side, 256):
        y = np.arange(start, min(start + 256, side))[:, None]
        columns = 1 + np.cos(2 * np.pi * (y + 0.3 * x) / 11.3)
        counts = rng.poisson(8 * (1 + np.cos(2 * np.pi * x / 13.7)) * columns + 2)
        counts[:, 1:] += counts[:, :-1].copy()
        image[y[:, 0]] = counts
    return image


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=16384, help="px")
    parser.add_argument("--method", choices=("paper", "two-scale"), default="two-scale")
    parser.add_argument("--patch-size", type=int, help="px; found by default")
    parser.add_argument("--budget", type=int, default=1800, help="MiB beside image and result")
    options = parser.parse_args()
    image = micrograph(options.side)
    classify: Classify = noise_floor
    if options.method == "paper":
        from reucid_core.classifier import load_classifier  # with torch, which takes memory

        classify = load_classifier()
    before = _peak()
    start = time.perf_counter()
    params = DenoiseParams(
        method=options.method,
        engine="exact",
        patch_size=options.patch_size,
        threads=THREADS,
        memory_budget=options.budget * MIB,
    )
    report = denoise(image, params, classify=classify).report
    seconds = time.perf_counter() - start
    print(machine())
    print(
        f"{report.method}, {options.side}^2 float32, p = {report.patch_size}, {THREADS} threads: "
        f"{seconds:.0f} s, at most {_peak():.0f} MiB resident in all, {before:.0f} MiB before"
    )
    print(", ".join(f"{name} {part:.1f} s" for name, part in report.seconds.items()))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


if __name__ == "__main__":
    main()
