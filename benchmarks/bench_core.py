"""How fast the core is, beside the literal algorithm and what a user would pick instead.

All methods run in one process, in turn, round after round, so that the machine's moods hit them
alike; the table quotes medians. Peers that are not installed are left out: the extra `bench` brings
them.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before numpy is loaded: its libraries read these once.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
import psutil  # noqa: E402
import torch  # noqa: E402
from literal import denoise_literally  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from reucid_core import DenoiseParams, denoise  # noqa: E402
from reucid_core.classifier import load_classifier  # noqa: E402

# side in px: (patch size, stacks of literal and stacked, slowest kind of method that is run)
CASES = {
    256: (11, 1, "slow"),
    512: (11, 1, "slow"),
    890: (19, 5, "slow"),
    1024: (23, 5, "peer"),
    2048: (23, 20, "peer"),
    4096: (23, 0, "fast"),
}
KINDS = ("fast", "peer", "slow")

Method = Callable[[], object]


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
        params = DenoiseParams(engine=engine, patch_size=p, stacks=d, threads=1)
        return lambda: denoise(image, params, classify=classify)

    found: dict[str, tuple[str, Method]] = {"exact": ("fast", ours("exact"))}
    if stacks:
        found["stacked"] = ("peer", ours("stacked", stacks))
        found["literal"] = ("slow", lambda: denoise_literally(double, p, stacks, classify))
    return found | peers(double)


def peers(image: NDArray[np.float64]) -> dict[str, tuple[str, Method]]:
    """What a user would pick instead, as far as it is installed."""
    found: dict[str, tuple[str, Method]] = {}
    stabilised = 2 * np.sqrt(np.maximum(image, 0) + 3 / 8)  # Anscombe: Poisson noise gets sd 1
    try:
        import bm3d

        found["BM3D + Anscombe"] = ("slow", lambda: bm3d.bm3d(stabilised, 1.0))
    except ImportError:
        pass
    try:
        from skimage import restoration

        found["non-local means"] = (
            "slow",
            lambda: restoration.denoise_nl_means(stabilised, h=0.8, sigma=1.0, fast_mode=True),
        )
        found["total variation"] = (
            "peer",
            lambda: restoration.denoise_tv_chambolle(stabilised, weight=1.0),
        )
        found["wavelet"] = ("peer", lambda: restoration.denoise_wavelet(stabilised, sigma=1.0))
    except ImportError:
        pass
    from scipy.ndimage import gaussian_filter

    found["Gaussian"] = ("fast", lambda: gaussian_filter(image, 2.0))
    return found


def measure(cases: dict[str, Method], rounds: int) -> dict[str, list[float]]:
    """Seconds of each method, round after round, after one call to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for round_ in range(rounds + 1):
        for name, call in cases.items():
            gc.collect()
            start = time.perf_counter()
            call()
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def machine() -> str:
    """The machine in words."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0].split(":")[1].strip() if lines else model
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{model}, {psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}, torch {torch.__version__}; "
        "one thread"
    )


def main() -> None:
    """Measure what the command line names and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", choices=CASES, default=[256, 512, 890])
    parser.add_argument("--rounds", type=int, default=3, help="measured calls of each method")
    parser.add_argument("--fast", action="store_true", help="leave out what takes seconds")
    parser.add_argument("--json", type=Path, help="also write all seconds to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # BM3D ignores thread settings

    everything = {}
    print(machine())
    print("\n| image | p | d | method | median, s | min - max, s | times exact |")
    print("|---|---|---|---|---|---|---|")
    for side in options.sizes:
        p, stacks, slowest = CASES[side]
        allowed = KINDS[: KINDS.index("fast" if options.fast else slowest) + 1]
        available = methods(micrograph(side), p, stacks)
        cases = {name: call for name, (kind, call) in available.items() if kind in allowed}
        seconds = measure(cases, options.rounds)
        exact = statistics.median(seconds["exact"])
        for name, each in sorted(seconds.items(), key=lambda item: statistics.median(item[1])):
            median = statistics.median(each)
            d = stacks if name in ("stacked", "literal") else 1 if name == "exact" else ""
            print(
                f"| {side}^2 | {p} | {d} | {name} | {median:.4f} | {min(each):.4f} - "
                f"{max(each):.4f} | {median / exact:.1f} |"
            )
        sys.stdout.flush()
        everything[str(side)] = seconds
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "seconds": everything}, indent=1))


if __name__ == "__main__":
    main()
