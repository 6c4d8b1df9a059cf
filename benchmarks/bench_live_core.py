"""Live frames in the core: what the frames before are worth, and what an update costs.

``python benchmarks/bench_live_core.py`` prints the Markdown tables of docs/live.md:

gain     PSNR of a frame by how many there were before, against the frame by itself
part     PSNR of the first rows of a frame, by what two frames before have shown and by themselves
change   what a sudden change of specimen costs with each half-life, noticed or not
scenes   how often another scene is missed, and how often the same one is taken for another
time     CPU time of an update by 32 rows, of a whole frame, and of the first
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from machine import machine, pin  # first: it sets the number of threads

# isort: split
import numpy as np

from reucid_core import DenoiseParams, denoise
from reucid_core.live import LiveDenoiser
from reucid_core.live_scene import Lags, Residual
from reucid_core.metrics import psnr
from reucid_core.params import ChosenMethod
from reucid_core.training.judging.scenes import SPECTRA
from reucid_core.training.micrographs import fields
from reucid_core.training.micrographs.drifting import Drifting

METHODS: tuple[ChosenMethod, ...] = ("paper", "two-scale")
NOISES = ("white", "as measured")
DOSES = (100.0, 500.0)  # e/A^2
DRIFTS = (0.0, 0.5, 2.0)  # px a frame
SEEN = (1, 2, 4, 8, 16)  # frames
HALF_LIVES = (2.0, 8.0, 32.0)  # frames
PARTS = (32, 64, 128)  # rows
AFTER = (1, 2, 4, 8)  # frames since the change
BLOCK = 32  # rows
Rows = Iterator[Sequence[Any]]


def gain(given: argparse.Namespace) -> Rows:
    """Frames by themselves, and with memory, without forgetting."""
    yield ("method", "noise", "e/A^2", "px a frame", "first frame", *(f"{n} seen" for n in SEEN))
    for method in given.methods:
        params = DenoiseParams(method=method, threads=1)
        for noise in NOISES:
            for dose in DOSES:
                for drift in DRIFTS:
                    first, gains = _gains(params, _scenes(given, noise, dose, drift))
                    signed = (f"{each:+.2f}" for each in gains)
                    yield (method, noise, f"{dose:g}", f"{drift:g}", f"{first:.1f}", *signed)


def _gains(params: DenoiseParams, scenes: list[Drifting]) -> tuple[float, list[float]]:
    firsts, gains = [], []
    for scene in scenes:
        live = LiveDenoiser(scene.shape, params, None)
        gained = []
        for number in range(max(SEEN)):
            image, truth = scene.counts(number), _in_counts(scene, number)
            live.begin(number)
            live.update(image)
            shown = live.frame().image
            if number + 1 in SEEN:
                alone = psnr(denoise(image, params).image, truth)
                gained.append(psnr(shown, truth) - alone)
                firsts += [alone] if number == 0 else []
        gains.append(gained)
    return float(np.mean(firsts)), np.mean(gains, axis=0).tolist()


def part(given: argparse.Namespace) -> Rows:
    """The first rows of the third frame, against the same rows as an image."""
    yield ("method", "noise", "e/A^2", *(f"{rows} rows alone | with memory" for rows in PARTS))
    for method in given.methods:
        params = DenoiseParams(method=method, threads=1)
        for noise in NOISES:
            for dose in DOSES:
                found = [_by_rows(params, scene) for scene in _scenes(given, noise, dose, 0.5)]
                means = np.mean(found, axis=0)  # (parts, 2)
                yield (method, noise, f"{dose:g}", *(f"{a:.1f} | {b:.1f}" for a, b in means))


def _by_rows(params: DenoiseParams, scene: Drifting) -> list[tuple[float, float]]:
    live = LiveDenoiser(scene.shape, params, None)
    for number in range(2):
        live.begin(number)
        live.update(scene.counts(number))
        live.frame()
    image, truth = scene.counts(2), _in_counts(scene, 2)
    live.begin(2)
    found = []
    for first, stop in zip((0, *PARTS), PARTS, strict=False):
        live.update(image[first:stop], first)
        shown, alone = live.frame().image[:stop], denoise(image[:stop], params).image
        found.append((psnr(alone, truth[:stop]), psnr(shown, truth[:stop])))
    return found


def change(given: argparse.Namespace) -> Rows:
    """From one crystal to another after ten frames."""
    yield (
        *("method", "half-life", "memory", "noticed after"),
        *(f"frame {n} after" for n in AFTER),
    )
    for method in given.methods:
        params = DenoiseParams(method=method, threads=1)
        for half_life in HALF_LIVES:
            for watched in (True, False):
                noticed, lost = _lost(params, half_life, given, watched=watched)
                memory = "dropped" if watched else "not dropped"
                yield (method, f"{half_life:g}", memory, noticed, *(f"{x:+.2f}" for x in lost))


def _lost(
    params: DenoiseParams, half_life: float, given: argparse.Namespace, *, watched: bool
) -> tuple[str, list[float]]:
    """Frames until the change was noticed, and PSNR against the frame by itself."""
    before = Drifting(shape=(given.side, given.side), material="Si[110]", dose=100.0)
    after = Drifting(shape=before.shape, material="MgO[100]", rotation=21.0, dose=100.0)
    live = LiveDenoiser(before.shape, params, half_life)
    if not watched:
        _blind()
    try:
        for number in range(10):
            live.begin(number)
            live.update(before.counts(number))
            live.frame()
        noticed, lost = "never", []
        for number in range(1, max(AFTER) + 1):
            live.begin(9 + number)
            image, truth = after.counts(number), _in_counts(after, number)
            live.update(image)
            shown = live.frame()
            if shown.scene_changed and noticed == "never":
                noticed = f"{number} frame"
            if number in AFTER:
                alone = psnr(denoise(image, params).image, truth)
                lost.append(psnr(shown.image, truth) - alone)
    finally:
        _see()
    return noticed, lost


def scenes(given: argparse.Namespace) -> Rows:
    """Nine frames of a scene drawn at random, then two of another."""
    yield ("method", "pairs", "dropped in vain, of 8 frames each", "missed at once", "and after")
    for method in given.methods:
        found = [_told_apart(method, number) for number in range(given.pairs)]
        in_vain, first, second = (sum(column) for column in zip(*found, strict=True))
        yield (method, given.pairs, in_vain, first, second)


def _told_apart(method: ChosenMethod, number: int) -> tuple[int, bool, bool]:
    """Frames whose memory was dropped in vain; whether one and two frames missed the change."""
    rng = np.random.default_rng([number, 3])
    one, other = rng.choice(fields.materials(), 2, replace=False).tolist()
    drift = float(rng.choice([0.0, 0.5, 2.0]))
    side = int(rng.choice([128, 192, 256]))
    before = Drifting(
        material=one,
        variant=str(rng.choice(fields.variants(one))),
        shape=(side, side),
        dose=float(rng.choice([50.0, 100.0, 500.0, 2000.0])),
        spectrum=SPECTRA[str(rng.choice(["white", "as measured", "streaks"]))],
        drift=(0.6 * drift, 0.8 * drift),
        seed=number,
    )
    after = replace(before, material=other, variant=fields.PERFECT, rotation=31.0)
    half_life, block = float(rng.choice(HALF_LIVES)), [side, BLOCK][number % 2]
    live = LiveDenoiser(before.shape, DenoiseParams(method=method, threads=1), half_life)
    changed = []
    for frame in range(11):
        image = (before if frame < 9 else after).counts(frame)
        live.begin(frame)
        for start in range(0, side, block):
            live.update(image[start : start + block], start)
            shown = live.frame()
        changed.append(shown.scene_changed)
    return sum(changed[:9]), not changed[9], not (changed[9] or changed[10])


NOTICING = Lags.unlike, Residual.unlike, Residual.exceeded_by


def _blind() -> None:
    """Nothing notices a change any more: what the memory costs by itself."""
    Lags.unlike = Residual.unlike = lambda *_: False  # type: ignore[method-assign]
    Residual.exceeded_by = lambda *_: False  # type: ignore[method-assign]


def _see() -> None:
    Lags.unlike, Residual.unlike, Residual.exceeded_by = NOTICING  # type: ignore[method-assign]


def timing(given: argparse.Namespace) -> Rows:
    """CPU milliseconds, one thread: median and 95th percentile of updates and of frames."""
    yield (
        *("method", "side", "first frame", "whole frame, median", "p95"),
        *(f"{BLOCK} rows, median", "p95"),
    )
    for method in given.methods:
        for side in given.sides:
            scene = Drifting(shape=(side, side), spectrum=SPECTRA[given.noise], dose=100.0)
            live = LiveDenoiser(scene.shape, DenoiseParams(method=method, threads=1))
            frames = [scene.counts(number) for number in range(given.frames)]
            whole, blocks = [], []
            for number, frame in enumerate(frames):
                start = time.process_time()
                live.begin(number)
                live.update(frame)
                live.frame()
                whole.append(time.process_time() - start)
            for number, frame in enumerate(frames[: max(2, given.frames // 4)], len(frames)):
                live.begin(number)
                for first in range(0, side - BLOCK, BLOCK):
                    start = time.process_time()
                    live.update(frame[first : first + BLOCK], first)
                    live.frame()
                    blocks.append(time.process_time() - start)
            yield (method, side, f"{1e3 * whole[0]:.0f}", *_told(whole[1:]), *_told(blocks))


def _told(seconds: list[float]) -> tuple[str, str]:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{1e3 * statistics.median(ordered):.0f}", f"{1e3 * p95:.0f}"


def _scenes(given: argparse.Namespace, noise: str, dose: float, drift: float) -> list[Drifting]:
    direction = (0.6 * drift, 0.8 * drift)
    return [
        Drifting(
            shape=(given.side, given.side),
            material=given.material,
            drift=direction,
            dose=dose,
            spectrum=SPECTRA[noise],
            seed=seed,
        )
        for seed in range(given.seeds)
    ]


def _in_counts(scene: Drifting, number: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return scene.in_counts(scene.truth(number))


TABLES = {"gain": gain, "part": part, "change": change, "scenes": scenes, "time": timing}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", choices=tuple(TABLES), default=tuple(TABLES))
    parser.add_argument("--side", type=int, default=256, help="px, of gain and change")
    parser.add_argument("--material", default="Si[110]")
    parser.add_argument("--methods", choices=METHODS, nargs="+", default=METHODS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=24, help="of scenes")
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512, 1024], help="of time")
    parser.add_argument("--noise", choices=tuple(SPECTRA), default="as measured", help="of time")
    parser.add_argument("--frames", type=int, default=13, help="of time")
    given = parser.parse_args()
    pin()
    print(machine())
    for name in given.tables:
        print(f"\n{name}: {(TABLES[name].__doc__ or '').splitlines()[0]}\n")
        for line, cells in enumerate(TABLES[name](given)):
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
            if line == 0:
                print("|" + "---|" * len(cells), flush=True)


if __name__ == "__main__":
    main()
