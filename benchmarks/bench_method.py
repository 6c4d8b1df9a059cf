"""The two methods on simulated micrographs with the noise of microscopes, and on files.

``python benchmarks/bench_method.py`` prints PSNR and the contrast of point defects by noise and
dose; ``--gain`` is what is left of a changed column's weight: 0 is a vacancy, 1 no change, so
that all areas in the map of departures are false. ``--files FOLDER`` draws every image in a folder
beside what each method makes of it, into ``build/``, and tells the share of the noise that was
removed.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from machine import machine, pin  # first: it sets the number of threads

# isort: split
import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray
from PIL import Image

from reucid_core import DenoiseParams, Result, denoise, noise_floor
from reucid_core.classifier import load_classifier
from reucid_core.metrics import psnr
from reucid_core.training.micrographs.fields import field
from reucid_core.training.micrographs.rendering import nearest_change, render_both
from reucid_core.training.micrographs.simulate import READ_NOISE, View, detect

Float64 = NDArray[np.float64]
Method = Callable[[Float64], Float64]

MATERIALS = ("Si[110]", "SrTiO3[100]", "GaN[11-20]", "Pt[110]")
DOSES = (100, 500, 1000, 10000)  # e/A^2
SIDE, SAMPLING = 256, 0.2  # px, angstrom
DIMMED = 0.5  # of a column's weight
DECAY, STREAK = 0.5, 0.97  # correlation of the noise with the next pixel along the fast scan
STREAKS = 0.25  # share of the variance that is in streaks


@dataclass(frozen=True)
class Scene:
    """A crystal with eight dimmed columns, shape (m, n), and the same without."""

    truth: Float64
    pristine: Float64

    def contrast(self, image: Float64) -> float:
        """Share of what the defects change that survives."""
        change = self.truth - self.pristine
        if not change.any():
            return float("nan")
        return float(np.sum((image - self.pristine) * change) / np.sum(change**2))


def scene(name: str, side: int = SIDE, gain: float = DIMMED) -> Scene:
    """Of a material, slightly turned."""
    view = View(shape=(side, side), sampling=SAMPLING, fwhm=0.9, rotation=7.0, shift=(0.3, 0.1))
    crystal = field(name)
    extent = side * SAMPLING
    places = [(y, x) for y in (0.17, 0.39, 0.61, 0.83) for x in (0.3, 0.7)]
    changes = [
        nearest_change(crystal, view, (y * extent, (x + 0.1 * (y - 0.5)) * extent), gain)
        for y, x in places
        if gain != 1
    ]
    return Scene(*render_both(crystal, view, changes))


def white(noise: Float64) -> Float64:
    """As it is."""
    return noise


def decay(noise: Float64) -> Float64:
    """As a slow detector leaves it: correlated along x, of the same variance."""
    return _autoregressive(noise, DECAY)


def streaks(noise: Float64) -> Float64:
    """Part of it in streaks along x."""
    other = noise[::-1, ::-1]  # independent of it, and of its size
    return np.sqrt(1 - STREAKS) * noise + np.sqrt(STREAKS) * _autoregressive(other, STREAK)


def _autoregressive(noise: Float64, next_pixel: float) -> Float64:
    lead = np.concatenate([noise[:, ::-1], noise], axis=1)  # so that it has settled
    settled = scipy.signal.lfilter([np.sqrt(1 - next_pixel**2)], [1, -next_pixel], lead, axis=1)
    return np.asarray(settled[:, noise.shape[1] :])


NOISES = {"white": white, "decay": decay, "streaks": streaks}


def micrographs(
    doses: tuple[int, ...], materials: tuple[str, ...], noises: tuple[str, ...], gain: float
) -> Iterator[tuple[str, int, str, Scene, Float64]]:
    """Every combination, each with noise of its own."""
    for number, material in enumerate(materials):
        made = scene(material, gain=gain)
        for dose in doses:
            rng = np.random.default_rng([number, dose])
            noise = detect(made.truth, dose=dose, sampling=SAMPLING, rng=rng, read_noise=READ_NOISE)
            for name in noises:
                yield name, dose, material, made, made.truth + NOISES[name](noise - made.truth)


def methods(names: tuple[str, ...]) -> dict[str, Method]:
    """By name: the paper's with the bundled network, two scales with the noise floor's rule."""
    network = load_classifier()
    known: dict[str, Method] = {
        "noisy": lambda image: image,
        "paper": lambda image: (
            denoise(image, DenoiseParams(method="paper", threads=1), classify=network).image
        ),
        "two-scale": lambda image: two_scales(image).image,
    }
    return {name: known[name] for name in names}


def two_scales(image: Float64) -> Result:
    return denoise(image, DenoiseParams(method="two-scale", threads=1), classify=noise_floor)


def areas(image: Float64) -> int:
    """How many the map of departures has."""
    return int(scipy.ndimage.label(two_scales(image).departures)[1])


def table(
    doses: tuple[int, ...], materials: tuple[str, ...], noises: tuple[str, ...], gain: float
) -> None:
    """Print means over the materials, and the worst contrast."""
    called = methods(("noisy", "paper", "two-scale"))
    found_areas: dict[tuple[str, int], list[int]] = {}
    found: dict[tuple[str, int, str], list[tuple[float, float, float]]] = {}
    for noise, dose, _, made, noisy in micrographs(doses, materials, noises, gain):
        found_areas.setdefault((noise, dose), []).append(areas(noisy))
        for name, method in called.items():
            start = time.perf_counter()
            image = method(noisy)
            seconds = time.perf_counter() - start
            measured = psnr(image, made.truth), made.contrast(image), seconds
            found.setdefault((noise, dose, name), []).append(measured)
    print("noise    dose   method      PSNR  contrast (worst)  ms; areas that depart")
    for noise in noises:
        for dose in doses:
            for name in called:
                values = np.array(found[noise, dose, name])
                mean, worst = values.mean(axis=0), values[:, 1].min()
                print(
                    f"{noise:8s} {dose:5d}  {name:10s} {mean[0]:5.2f}  {mean[1]:.3f} ({worst:.3f})"
                    f"  {1e3 * mean[2]:.0f}"
                    + (f"; {np.mean(found_areas[noise, dose]):.1f}" if name == "two-scale" else "")
                )


def draw_files(folder: Path, into: Path) -> None:
    """Raw, paper's, two scales' and the residual of the latter, side by side."""
    from worker.formats import reading

    into.mkdir(parents=True, exist_ok=True)
    called = methods(("noisy", "paper"))
    for path in sorted(folder.iterdir()):
        companions = [other for other in folder.glob(f"{path.stem}_*.ser") if other != path]
        try:
            pixels = reading.read(path, max_pixels=2**28, companions=companions).pixels
        except Exception as error:
            print(f"{path.name}: {error}")
            continue
        image = np.asarray(max(pixels, key=np.size))
        image = image.reshape(-1, *image.shape[-2:])[0]
        shown = [method(image) for method in called.values()]
        start = time.perf_counter()
        result = two_scales(image)
        seconds = time.perf_counter() - start
        shown += [result.image, result.residual]
        Image.fromarray(np.hstack([_grey(each) for each in shown])).save(into / f"{path.name}.png")
        print(f"{path.name} {image.shape}: {1e3 * seconds:.0f} ms")
        noise, assessment = result.report.noise, result.report.assessment
        assert noise is not None
        print(f"    {noise.kind} along {noise.scan_axis}, next pixel {noise.next_pixel:.2f}")
        print(f"    p {result.report.patch_size} spacing {result.report.spacing}")
        if assessment is not None:
            print(*(f"    {line}" for line in assessment.sentences), sep="\n")


def _grey(image: Float64) -> NDArray[np.uint8]:
    low, high = np.percentile(image, [0.3, 99.7])
    return np.asarray(255 * np.clip((image - low) / max(high - low, 1e-12), 0, 1), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=Path)
    parser.add_argument("--into", type=Path, default=Path("build") / "methods")
    parser.add_argument("--doses", type=int, nargs="+", default=DOSES)
    parser.add_argument("--materials", nargs="+", default=MATERIALS)
    parser.add_argument("--noises", nargs="+", default=tuple(NOISES))
    parser.add_argument("--gain", type=float, default=DIMMED)
    given = parser.parse_args()
    pin()
    print(machine())
    if given.files is not None:
        draw_files(given.files, given.into)
    else:
        table(tuple(given.doses), tuple(given.materials), tuple(given.noises), given.gain)


if __name__ == "__main__":
    main()
