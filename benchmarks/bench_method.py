"""The methods on simulated micrographs with the noise of microscopes, and on files.

``python benchmarks/bench_method.py TABLE...`` prints Markdown tables, those of docs/evaluation.md:

noises      PSNR and contrast of dimmed columns by noise and dose; `--rivals` adds BM3D
defects     seven kinds of defects
distorted   drift, shear, a bent frame, jitter of rows
columns     precision and bias of columns' intensities and positions
aperiodic   what has no lattice, on the seeds the method was made with and on others
departures  false departures in perfect crystals
times       milliseconds of one thread by size, and of the stages of two scales

``--files FOLDER`` draws every image in a folder beside what each method makes of it, into
``build/``, and ``--spectra FOLDER`` measures the noise of its images.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from machine import machine, pin  # first: it sets the number of threads

# isort: split
import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from PIL import Image

from reucid_core import DenoiseParams, Result, denoise, noise_floor
from reucid_core.metrics import psnr
from reucid_core.noise import estimate_noise
from reucid_core.training.judging.column_fits import Precision, measure, precision
from reucid_core.training.judging.methods import METHODS, Told
from reucid_core.training.judging.rivals import Noise
from reucid_core.training.judging.scenes import (
    DIMMED,
    DISTORTIONS,
    SAMPLING,
    SIDE,
    SPECTRA,
    defective,
    dimmed,
    distorted,
    perfect,
    uneven,
)
from reucid_core.training.micrographs import aperiodic, fields
from reucid_core.training.micrographs.defects import DEFECTS, POINT
from reucid_core.training.micrographs.scan_spectra import ScanSpectrum, fit

Float64 = NDArray[np.float64]
Rows = Iterator[Sequence[Any]]

QUOTED = ("Si[110]", "SrTiO3[100]", "GaN[11-20]", "Pt[110]")  # the method was made with these
DOSES = (100, 500, 1000, 10000)  # e/A^2
OWN = ("paper", "two-scale")
RIVAL = "BM3D, told the spectrum"
CRYSTAL = "SrTiO3[100]"
FRAMES = 4  # micrographs of one specimen, for precision
QUOTED_SEEDS, OTHER_SEEDS = (1,), (11, 12, 13)
TIMED_SIDES, TIMED = (256, 512, 1024, 2048), 5  # px; calls of each


def noises(given: argparse.Namespace) -> Rows:
    """Means over the materials, and the worst contrast and margin."""
    methods = ("noisy", *OWN, *([RIVAL] if given.rivals else []))
    margin = ["two-scale above BM3D, least and most"] if given.rivals else []
    yield ("noise", "e/A^2", *methods, *margin, *(f"contrast, {name}" for name in methods[1:]))
    scenes = {name: dimmed(name, side=given.side, gain=given.gain) for name in given.materials}
    for noise in given.noises:
        for dose in given.doses:
            merits: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
            for number, scene in enumerate(scenes.values()):
                seed = (given.seed, number, dose)
                image, told = scene.seen(dose, SPECTRA[noise], seed)
                for name in methods:
                    result = METHODS[name](image, told)
                    merits[name].append((psnr(result, scene.truth), scene.contrast(result)))
            found = {name: np.array(each) for name, each in merits.items()}
            yield (
                noise,
                dose,
                *(f"{found[name][:, 0].mean():.1f}" for name in methods),
                *([_margin(found[OWN[-1]][:, 0] - found[RIVAL][:, 0])] if given.rivals else []),
                *(
                    f"{found[name][:, 1].mean():.2f} ({found[name][:, 1].min():.2f})"
                    for name in methods[1:]
                ),
            )


def _margin(above: Float64) -> str:
    return f"{above.min():+.1f} to {above.max():+.1f}"


def defects(given: argparse.Namespace) -> Rows:
    """PSNR within 5 A of the defects, and what a method makes of them beside their absence."""
    methods = ("noisy", *OWN, *([RIVAL] if given.rivals else []))
    yield ("defect", "crystal", "e/A^2", *methods, *(f"contrast, {name}" for name in methods[1:]))
    for kind in DEFECTS:
        for crystal in ("SrTiO3[100]", "GaAs[110]"):
            scene = defective(crystal, kind)
            for dose in (300, 3000):
                seed = (given.seed, 20, dose)
                image, told = scene.seen(dose, SPECTRA["as measured"], seed)
                without = image - scene.truth + scene.pristine
                near, left = [], []
                for name in methods:
                    result = METHODS[name](image, told)
                    near.append(f"{scene.psnr_near(result):.1f}")
                    if kind in POINT and name != "noisy":
                        contrast = scene.contrast(result, METHODS[name](without, told))
                        left.append(f"{contrast:.2f}")
                yield (kind, crystal, dose, *near, *(left or [""] * (len(methods) - 1)))


def distortions(given: argparse.Namespace) -> Rows:
    """PSNR of a crystal that is not where a lattice would have it."""
    methods = ("noisy", *OWN, *([RIVAL] if given.rivals else []))
    yield ("distortion", "e/A^2", *methods, "departs", "noise gone")
    for how in DISTORTIONS:
        scene = distorted(CRYSTAL, how)
        for dose in (300, 3000):
            image, told = scene.seen(dose, SPECTRA["as measured"], (given.seed, 30, dose))
            results = [METHODS[name](image, told) for name in methods]
            report = _two_scale(image).report
            assert report.recovery is not None
            assert report.assessment is not None
            yield (
                how,
                dose,
                *(f"{psnr(each, scene.truth):.1f}" for each in results),
                f"{report.recovery.share:.1%}",
                f"{report.assessment.noise_removed:.1%}",
            )


def columns(given: argparse.Namespace) -> Rows:
    """Spread, bias and share of the differences left, of the brightest columns."""
    methods = ("noisy", *OWN, *([RIVAL] if given.rivals else []))
    yield (
        "e/A^2",
        "method",
        *(f"{what}: {each}" for what in ("intensity / %", "position / pm") for each in FIGURES),
    )
    ideal, scene = uneven(CRYSTAL, given.seed)
    view = ideal.view
    true = measure(scene.truth, ideal.columns, view)
    for dose in (300, 3000):
        seen = [
            scene.seen(dose, SPECTRA["as measured"], (given.seed, 40, dose, n))
            for n in range(FRAMES)
        ]
        for name in methods:
            each = [
                measure(METHODS[name](image, told), ideal.columns, view) for image, told in seen
            ]
            intensity = precision(
                np.stack([one.intensities for one in each]) / true.intensities.mean(),
                true.intensities / true.intensities.mean(),
            )
            position = precision(
                np.stack([one.positions.ravel() for one in each]), true.positions.ravel()
            )
            yield (dose, name, *_figures(intensity, 100), *_figures(position, 100))


FIGURES = ("spread", "bias", "error", "left")


def _figures(found: Precision, scale: float) -> Iterator[str]:
    """Percent of the mean, or picometres of angstrom: both a hundred times."""
    yield from (f"{scale * each:.1f}" for each in (found.spread, found.bias, found.error))
    yield f"{found.left:.2f}"


def aperiodics(_: argparse.Namespace) -> Rows:
    """PSNR in dB, and by how much two scales lie below the better of the others."""
    methods = ("noisy", "paper", "two-scale, p = 7", "two-scale")
    yield ("seeds", "scene", "correlation", *methods, "below the better: mean", "worst")
    for label, seeds in (("quoted", QUOTED_SEEDS), ("others", OTHER_SEEDS)):
        for name, make in aperiodic.SCENES.items():
            for next_pixel in (0.0, 0.5):
                found = []
                for seed in seeds:
                    truth = make(seed)
                    for dose in (0.1, 1.0, 10.0):
                        image = aperiodic.noisy(truth, dose=dose, next_pixel=next_pixel, seed=seed)
                        told = Told(Noise(gain=1 / dose), SPECTRA["white"], truth)
                        found.append(
                            [_decibels(METHODS[each](image, told), truth) for each in methods]
                        )
                table = np.array(found)
                below = table[:, 1:3].max(axis=1) - table[:, 3]
                means = (f"{each:.1f}" for each in table.mean(axis=0))
                yield (
                    label,
                    name,
                    next_pixel,
                    *means,
                    f"{below.mean():+.2f}",
                    f"{below.max():+.2f}",
                )


def _decibels(image: Float64, truth: Float64) -> float:
    """PSNR with the truth's largest value as its range: vacuum has no other."""
    return float(10 * np.log10(truth.max() ** 2 / np.mean((image - truth) ** 2)))


def departures(given: argparse.Namespace) -> Rows:
    """Clusters in crystals without any defect; of two materials each image has seeds of its own."""
    area = (SIDE * SAMPLING / 10) ** 2  # nm^2
    yield (
        "noise",
        "e/A^2",
        "images",
        "clusters per 100 nm^2: mean",
        "worst",
        "share of the pixels",
    )
    for noise in given.noises:
        for dose in given.doses:
            counts, shares = [], []
            for number, material in enumerate(fields.materials()):
                scene = perfect(material, 1000 * given.seed + number)
                image, _ = scene.seen(dose, SPECTRA[noise], (given.seed, 50, number, dose))
                found = _two_scale(image).departures
                assert found is not None
                counts.append(scipy.ndimage.label(found)[1] * 100 / area)
                shares.append(found.mean())
            yield (
                noise,
                dose,
                len(counts),
                f"{np.mean(counts):.0f}",
                f"{np.max(counts):.0f}",
                f"{np.mean(shares):.2%}",
            )


def _two_scale(image: Float64) -> Result:
    return denoise(image, DenoiseParams(method="two-scale", threads=1), classify=noise_floor)


def times(given: argparse.Namespace) -> Rows:
    """Medians of wall-clock calls in turn, after a first; as float32 and as whole counts."""
    stages = ("outliers", "noise", "lattice", "departures", "assess")
    yield ("image", "numbers", *OWN, "processor, two-scale", *stages, "rest")
    for side in TIMED_SIDES:
        seen, _ = dimmed(CRYSTAL, side=side).seen(500, SPECTRA["decay"], (given.seed, side))
        counts = np.round(100 * (seen - seen.min()))  # of a detector; many are alike
        for kind, image in (("float32", seen.astype(np.float32)), ("uint16", np.uint16(counts))):
            wall: dict[str, list[float]] = {name: [] for name in OWN}
            processor, spent = [], []
            for name in OWN * (TIMED + 1):
                begun, used = time.perf_counter(), time.process_time()
                report = denoise(image, DenoiseParams(method=name, threads=1)).report
                wall[name].append(time.perf_counter() - begun)
                if name == "two-scale":
                    processor.append(time.process_time() - used)
                    spent.append({stage: report.seconds.get(stage, 0.0) for stage in stages})
            medians = [_median(wall[name]) for name in OWN]
            parts = [_median([each[stage] for each in spent]) for stage in stages]
            rest = medians[-1] - sum(parts)
            found = (*medians, _median(processor), *parts, rest)
            yield (f"{side}^2", kind, *(f"{1e3 * each:.0f}" for each in found))


def _median(seconds: list[float]) -> float:
    return statistics.median(seconds[1:])


TABLES: dict[str, Callable[[argparse.Namespace], Rows]] = {
    "noises": noises,
    "defects": defects,
    "distorted": distortions,
    "columns": columns,
    "aperiodic": aperiodics,
    "departures": departures,
    "times": times,
}


def spectra(folder: Path) -> Rows:
    """The parts of the noise of every image of a folder that can be told to be a microscope's."""
    yield (
        "image",
        "noise",
        "next pixel",
        "white",
        "decay",
        "its next pixel",
        "streaks",
        "length / px",
        "misfit",
    )
    for name, image in images(folder):
        noise = estimate_noise([image.astype(np.float64)])
        told = (name, noise.kind, f"{noise.next_pixel:.2f}")
        if noise.kind not in ("white", "row"):
            yield (*told, *[""] * 6)
            continue
        found, misfit = fit(noise)
        shares = (f"{each:.2f}" for each in (found.white, found.decay, found.next_pixel))
        length = f"{found.length:.0f}" if found.streaks > 0.001 else ""
        yield (*told, *shares, f"{found.streaks:.3f}", length, f"{misfit:.2f}")


def images(folder: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """The first frame of the largest signal of each file that can be read, shape (m, n)."""
    from worker.formats import reading

    for path in sorted(folder.iterdir()):
        companions = [other for other in folder.glob(f"{path.stem}_*.ser") if other != path]
        try:
            pixels = reading.read(path, max_pixels=2**28, companions=companions).pixels
        except Exception as error:
            print(f"{path.name}: {error}")
            continue
        image = np.asarray(max(pixels, key=np.size))
        yield path.name, image.reshape(-1, *image.shape[-2:])[0]


def draw_files(folder: Path, into: Path) -> None:
    """Raw, paper's, two scales' and the residual of the latter, side by side."""
    into.mkdir(parents=True, exist_ok=True)
    for name, image in images(folder):
        told = Told(Noise(), ScanSpectrum(), image)
        result = _two_scale(image)
        shown = [image, METHODS["paper"](image, told), result.image, result.residual]
        Image.fromarray(np.hstack([_grey(each) for each in shown])).save(into / f"{name}.png")
        noise, assessment = result.report.noise, result.report.assessment
        assert noise is not None
        print(f"{name} {image.shape}: {1e3 * sum(result.report.seconds.values()):.0f} ms")
        print(f"    {noise.kind} along {noise.scan_axis}, next pixel {noise.next_pixel:.2f}")
        print(f"    p {result.report.patch_size} spacing {result.report.spacing}")
        if assessment is not None:
            print(*(f"    {line}" for line in assessment.sentences), sep="\n")


def _grey(image: Float64) -> NDArray[np.uint8]:
    low, high = np.percentile(image, [0.3, 99.7])
    return np.asarray(255 * np.clip((image - low) / max(high - low, 1e-12), 0, 1), np.uint8)


def markdown(rows: Rows) -> None:
    """Print rows as they come; the first one is the head."""
    for number, row in enumerate(rows):
        print("|", " | ".join(str(cell) for cell in row), "|", flush=True)
        if number == 0:
            print("|" + "---|" * len(row))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES], metavar="TABLE")
    parser.add_argument("--files", type=Path, metavar="FOLDER")
    parser.add_argument("--spectra", type=Path, metavar="FOLDER")
    parser.add_argument("--into", type=Path, default=Path("build") / "methods")
    parser.add_argument("--doses", type=int, nargs="+", default=DOSES)
    parser.add_argument("--materials", nargs="+", default=QUOTED)
    parser.add_argument("--noises", nargs="+", choices=SPECTRA, default=tuple(SPECTRA))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, default=SIDE, help="Of the images of `noises`, in px.")
    parser.add_argument(
        "--gain",
        type=float,
        default=DIMMED,
        help="Of the weight of columns in `noises`: 0 is a vacancy.",
    )
    parser.add_argument("--rivals", action="store_true", help="BM3D, too: half a minute an image")
    given = parser.parse_args()
    pin()
    print(machine())
    if given.spectra is not None:
        markdown(spectra(given.spectra))
    if given.files is not None:
        draw_files(given.files, given.into)
    named = given.tables or ([] if given.files or given.spectra else ["noises"])
    for name in named:
        markdown(TABLES[name](given))


if __name__ == "__main__":
    main()
