"""How long commands take from their first instruction to their last, beside `import torch`.

Prints a Markdown table: seconds, and times `import torch` in the same round. Every round runs every
command once, in turn, so that a machine that is busy for a while slows all of them alike.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from machine import machine  # first: it sets the number of threads

import numpy as np  # isort: skip
import tifffile  # isort: skip

SIDE = 512  # px
PERIOD = 12  # px
COUNTS = 5  # electrons per pixel, in the mean
BASE = "python -c 'import torch'"


def main() -> None:
    """Time all commands and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print(machine())
    with TemporaryDirectory(prefix="reucid-bench-") as name:
        commands = commands_in(Path(name))
        for command in commands.values():
            seconds(command)  # files are in the page cache from now on
        taken = [
            {name: seconds(command) for name, command in commands.items()} for _ in range(rounds)
        ]
    print(f"Medians of {rounds} rounds, one image of {SIDE} x {SIDE} px.\n")
    print("| command | s | fastest | times `import torch` |\n|---|---|---|---|")
    for name in commands:
        own = [each[name] for each in taken]
        ratio = median(each[name] / each[BASE] for each in taken)
        print(f"| `{name}` | {median(own):.2f} | {min(own):.2f} | {ratio:.2f} |")


def commands_in(folder: Path) -> dict[str, list[str]]:
    """What is run, on a micrograph in the folder."""
    image = folder / "noisy.tif"
    tifffile.imwrite(image, micrograph(np.random.default_rng(0)))
    reucid = [sys.executable, "-m", "app"]
    output = ["-o", str(folder / "denoised.tif")]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        BASE: [sys.executable, "-c", "import torch"],
        "reucid --version": [*reucid, "--version"],
        "reucid --help": [*reucid, "--help"],
        "reucid inspect noisy.tif": [*reucid, "inspect", str(image)],
        "reucid denoise noisy.tif -o denoised.tif": [*reucid, "denoise", str(image), *output],
    }


def micrograph(rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """A lattice of columns with shot noise."""
    y, x = np.mgrid[:SIDE, :SIDE] * (2 * np.pi / PERIOD)
    return rng.poisson(COUNTS * (1 + np.cos(x) * np.cos(y))).astype(np.uint16)


def seconds(command: list[str]) -> float:
    """Wall time of a command, from before it is started until it has ended."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
