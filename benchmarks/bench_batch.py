"""What `reucid denoise` of many files takes, beside the core's own time for them.

The core's own time is that of `reucid_core.denoise` for the same arrays, one thread, one process,
everything loaded. The start-up is what a batch of one file takes beyond the core's time for it. CPU
time is that of all processes of the command, which hardly depends on who else uses the machine;
the wall time does.
"""

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from machine import machine  # first: it sets the number of threads

import numpy as np  # isort: skip
import tifffile  # isort: skip

from bench_start import SIDE, micrograph  # isort: skip

PR_SET_CHILD_SUBREAPER = 36
METHODS = ("paper", "two-scale")


def main() -> None:
    """Time both methods and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    arguments = parser.parse_args()
    # Processes that outlive the command are then waited for here, and count.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    print(machine())
    print(f"\n{arguments.files} files of {SIDE} x {SIDE} px, {arguments.jobs} jobs; seconds.\n")
    print("| method | core, CPU | batch, CPU | start-up, CPU | ratio | core, wall | batch, wall |")
    print("|---|---|---|---|---|---|---|")
    with TemporaryDirectory(prefix="reucid-bench-") as name:
        files = [Path(name) / f"{n:03d}.tif" for n in range(arguments.files)]
        for n, file in enumerate(files):
            tifffile.imwrite(file, micrograph(np.random.default_rng(n)))
        for method in arguments.methods:
            core, core_wall = core_time(files, method)
            one, _ = batch_time(files[:1], method, arguments.jobs)
            all_, wall = batch_time(files, method, arguments.jobs)
            start = one - core / len(files)
            ratio = (all_ - start) / core
            print(
                f"| {method} | {core:.2f} | {all_:.2f} | {start:.2f} | {ratio:.2f} | "
                f"{core_wall:.2f} | {wall:.2f} |"
            )


def core_time(files: list[Path], method: str) -> tuple[float, float]:
    """CPU and wall time of the core alone."""
    from reucid_core import DenoiseParams, denoise, noise_floor
    from reucid_core.classifier import load_classifier

    params = DenoiseParams(method=method, threads=1)  # type: ignore[arg-type]
    classify = load_classifier() if method == "paper" else noise_floor
    images = [tifffile.imread(file) for file in files]
    denoise(images[0], params, classify=classify)
    cpu, wall = time.process_time(), time.perf_counter()
    for image in images:
        denoise(image, params, classify=classify)
    return time.process_time() - cpu, time.perf_counter() - wall


def batch_time(files: list[Path], method: str, jobs: int) -> tuple[float, float]:
    """CPU time of all processes of a command, and its wall time."""
    with TemporaryDirectory(prefix="reucid-bench-") as output:
        command = [sys.executable, "-m", "app", "denoise", *map(str, files), "-o", f"{output}/"]
        before, wall = _children(), time.perf_counter()
        options = ["--method", method, "--jobs", str(jobs)]
        subprocess.run([*command, *options], stdout=subprocess.DEVNULL, check=True)
        taken = time.perf_counter() - wall
        while True:  # the server of children and the like
            try:
                os.wait()
            except ChildProcessError:
                break
        return _children() - before, taken


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
