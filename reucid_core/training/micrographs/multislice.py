"""HAADF images by multislice with frozen phonons, for `fields.py`; needs the extra `multislice`.

``python -m reucid_core.training.micrographs.multislice`` writes `fields/` anew.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from math import ceil, sqrt
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from safetensors.numpy import save
from scipy.fft import next_fast_len

from reucid_core.training.micrographs import interfaces
from reucid_core.training.micrographs.fields import FOLDER, FORMAT, STAMP, file_name
from reucid_core.training.micrographs.materials import MATERIALS, Material, Optics
from reucid_core.training.micrographs.structures import (
    Defect,
    FloatArray,
    Structure,
    changed_atoms,
    column_gain,
    displaced,
    rms_displacement,
    tiled,
    with_atoms,
)

SEED = 20250
SCAN_STEP = 0.26  # angstrom at most; a 22 mrad probe at 200 kV is band-limited to 0.285
FIELD_CONFIGURATIONS = 2  # of a field that cannot be folded into one cell
NEAREST = 6  # exponent by which a place belongs to the nearer of two defects

Placed = tuple[Defect, tuple[float, float]]


@dataclass(frozen=True)
class Plan:
    """How a box is sampled.

    Parameters
    ----------
    slices : int
    interpolation : (int, int)
        Of the scattering matrix along y and x: Ophus, Adv. Struct. Chem. Imaging 3, 13 (2017).
    scan : (int, int)
        Probe positions along y and x.
    waves : (int, int)
        Points of a wave along y and x.
    """

    slices: int
    interpolation: tuple[int, int]
    scan: tuple[int, int]
    waves: tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """What is simulated beside the perfect crystal.

    Parameters
    ----------
    build : callable
        To a Structure.
    slices : int
    interpolation : (int, int)
    repeats : (int, int)
        Equal parts along y and x, which are averaged.
    """

    build: Callable[[], Structure]
    slices: int
    interpolation: tuple[int, int]
    repeats: tuple[int, int] = (1, 1)


def _rng(*labels: str) -> np.random.Generator:
    return np.random.default_rng([SEED, *"/".join(labels).encode()])


PT_SLICE = MATERIALS["Pt[110]"].cell.sides[2] / 2
SCENES = {
    "Si[110]": {
        "boundary": Scene(partial(interfaces.silicon_twin, 13), 26, (1, 2), (2, 1)),
        "amorphous": Scene(
            lambda: interfaces.silicon_edge(13, rng=_rng("amorphous silicon")), 26, (2, 1)
        ),
    },
    "SrTiO3[100]": {
        "boundary": Scene(partial(interfaces.titanate_boundary, 13), 26, (1, 2)),
    },
    "PbTiO3[100]": {
        "boundary": Scene(partial(interfaces.titanate_domains, 13), 26, (1, 2), (3, 1)),
    },
    "Pt[110]": {
        "amorphous": Scene(
            lambda: interfaces.particle(PT_SLICE, 32, rng=_rng("particle")), 32, (3, 3)
        ),
    },
}


def plan(
    structure: Structure,
    optics: Optics,
    *,
    slices: int,
    interpolation: tuple[int, int] = (1, 1),
    repeats: tuple[int, int] = (1, 1),
) -> Plan:
    """Waves fine enough for the detector, and a scan with whole steps in every repeat."""
    # The outer two thirds of the waves' spectrum are kept empty against aliasing.
    step = _wavelength(optics.energy) / (3.05e-3 * optics.detector[1])
    y, x = (
        (part * ceil(side / part / SCAN_STEP), each * next_fast_len(ceil(side / step / each)))
        for side, part, each in zip(structure.sides[:2], repeats, interpolation, strict=True)
    )
    return Plan(slices, interpolation, (y[0], x[0]), (y[1], x[1]))


def _wavelength(energy: float) -> float:
    """Of an electron in angstrom, relativistic; energy in eV."""
    return 12.2643 / sqrt(energy * (1 + 0.978476e-6 * energy))


def _probe_fwhm(optics: Optics) -> float:
    """In angstrom: that of the Airy pattern."""
    return 0.5145 * _wavelength(optics.energy) / (1e-3 * optics.semiangle)


def scan(structure: Structure, optics: Optics, how: Plan) -> FloatArray:
    """Share of the electrons that reach the detector, at every probe position, shape `how.scan`."""
    import abtem  # of the extra `multislice`, as is ase
    from ase import Atoms

    options = {"dask.lazy": False, "fftw.threads": 1, "diagnostics.progress_bar": False}
    with abtem.config.set(options):
        potential = abtem.Potential(
            Atoms(structure.numbers, positions=structure.positions, cell=structure.sides),
            gpts=how.waves,
            slice_thickness=structure.sides[2] / how.slices,
            projection="infinite",
            parametrization="lobato",
        )
        matrix = abtem.SMatrix(
            potential=potential.build(),
            energy=optics.energy,
            semiangle_cutoff=optics.semiangle,
            interpolation=how.interpolation,
            downsample=False,
        ).build()
        raster = abtem.GridScan(
            start=(0, 0), end=structure.sides[:2], gpts=how.scan, endpoint=False
        )
        image = matrix.reduce(scan=raster, detectors=abtem.AnnularDetector(*optics.detector))
    return np.asarray(image.array, dtype=np.float64)


def crystal(material: Material) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """The cell of the perfect crystal and what each defect changes in a box, and how.

    The displacements with and without a defect are the same: the difference of the two images
    has nothing of the other atoms' motion. The perfect image is averaged over the cell's repeats.
    """
    box = tiled(material.cell, material.repeats)
    repeats = material.repeats[:2]
    how = plan(box, material.optics, slices=material.slices * material.repeats[2], repeats=repeats)
    placed = _placed(material)
    pairs = [placed[n : n + 2] for n in range(0, len(placed), 2)]
    images = np.zeros((1 + len(pairs), *how.scan))
    for number in range(material.configurations):
        moment = displaced(box, material.b_factors, rng=_rng(material.name, str(number)))
        images[0] += scan(moment, material.optics, how)
        for image, pair in zip(images[1:], pairs, strict=True):
            image += scan(_with_defects(moment, box, pair), material.optics, how)
    images /= material.configurations
    tensors = {"perfect": folded(images[0], repeats)}
    stamps = {}
    for n, (defect, place) in enumerate(placed):
        shares = _shares(how.scan, box.sides, [each for _, each in pairs[n // 2]])
        tensors[STAMP + defect.name] = shares[n % 2] * (images[1 + n // 2] - images[0])
        stamps[defect.name] = asdict(defect) | {
            "place": place,
            "gain": column_gain(box, place, defect),
            "atoms": len(changed_atoms(box, place, defect)),
        }
    about = _about(box, how, material.configurations) | {"stamps": stamps}
    return tensors, about | {"period": material.cell.sides[:2]}


def field(material: Material, variant: str, scene: Scene) -> tuple[FloatArray, dict[str, Any]]:
    """A periodic field that is not one crystal, and how it was made."""
    box = scene.build()
    how = plan(
        box,
        material.optics,
        slices=scene.slices,
        interpolation=scene.interpolation,
        repeats=scene.repeats,
    )
    image = np.zeros(how.scan)
    for number in range(FIELD_CONFIGURATIONS):
        rng = _rng(material.name, variant, str(number))
        image += scan(displaced(box, material.b_factors, rng=rng), material.optics, how)
    period = tuple(np.divide(box.sides[:2], scene.repeats).tolist())
    about = _about(box, how, FIELD_CONFIGURATIONS) | {"period": period}
    return folded(image / FIELD_CONFIGURATIONS, scene.repeats), about


def folded(image: FloatArray, repeats: tuple[int, int]) -> FloatArray:
    """Mean over the equal parts of an image, shape of one part."""
    m, n = np.floor_divide(image.shape, repeats)
    mean: FloatArray = image.reshape(repeats[0], m, repeats[1], n).mean(axis=(0, 2))
    return mean


def write(material: Material, folder: Path) -> Path:
    """Simulate all of a material and write its file."""
    started = perf_counter()
    tensors, about = crystal(material)
    fields = {"perfect": about}
    for variant, scene in SCENES.get(material.name, {}).items():
        tensors[variant], fields[variant] = field(material, variant, scene)
    rms = {el: round(rms_displacement(b), 4) for el, b in material.b_factors.items()}
    parameters = {
        "name": material.name,
        "family": material.family,
        "abtem": version("abtem"),
        "potential": "independent atoms, Lobato and Van Dyck (2014), infinite projection",
        "seed": SEED,
        "optics": asdict(material.optics),
        "probe_fwhm": round(_probe_fwhm(material.optics), 4),
        "rms_displacements": rms,
        "cell": {
            "sides": material.cell.sides,
            "atoms": [
                [*np.round(place, 4).tolist(), str(element)]
                for place, element in zip(
                    material.cell.positions, material.cell.elements, strict=True
                )
            ],
        },
        "fields": fields,
    }
    metadata = {"format": FORMAT, "parameters": json.dumps(parameters, sort_keys=True)}
    path = folder / file_name(material.name)
    arrays = {name: np.ascontiguousarray(each, dtype=np.float32) for name, each in tensors.items()}
    path.write_bytes(save(arrays, metadata=metadata))
    sys.stderr.write(f"{path}: {perf_counter() - started:.0f} s\n")
    return path


def _placed(material: Material) -> list[Placed]:
    """Every defect's place in the box, in angstrom; those of a pair as far apart as can be."""
    sides = np.multiply(material.cell.sides[:2], material.repeats[:2])
    corners = np.indices(material.repeats[:2]).reshape(2, -1).T * material.cell.sides[:2]
    placed = list[Placed]()
    for n, defect in enumerate(material.defects):
        candidates = corners + np.multiply(defect.site, material.cell.sides[:2])
        first = candidates[0] if n % 2 == 0 else np.array(placed[-1][1])
        best = candidates[0 if n % 2 == 0 else np.argmax(_apart(candidates, first, sides))]
        placed.append((defect, (float(best[0]), float(best[1]))))
    return placed


def _with_defects(moment: Structure, box: Structure, pair: Sequence[Placed]) -> Structure:
    """Changed by the atoms' places at rest; what is taken out last, as it renumbers the others."""
    removed = list[int]()
    for defect, place in pair:
        atoms = changed_atoms(box, place, defect)
        if defect.guest is None:
            removed += atoms.tolist()
        else:
            moment = with_atoms(moment, atoms, defect.guest)
    return with_atoms(moment, np.array(removed, dtype=np.int64), None)


def _shares(
    shape: tuple[int, int], sides: tuple[float, float, float], places: Sequence[tuple[float, float]]
) -> FloatArray:
    """How far each pixel belongs to each defect, by its distance, shape (places, *shape)."""
    pixels = np.moveaxis(np.indices(shape, dtype=np.float64), 0, -1) * np.divide(sides[:2], shape)
    near = np.array(
        [1 / (1e-3 + _apart(pixels, np.array(each), np.array(sides[:2]))) for each in places]
    )
    shares: FloatArray = near**NEAREST / (near**NEAREST).sum(axis=0)
    return shares


def _apart(places: FloatArray, other: FloatArray, sides: FloatArray) -> FloatArray:
    """Distances of places (..., 2) from another in a periodic field, shape (...)."""
    difference = places - other
    difference -= np.rint(difference / sides) * sides
    distances: FloatArray = np.linalg.norm(difference, axis=-1)
    return distances


def _about(box: Structure, how: Plan, configurations: int) -> dict[str, Any]:
    return {
        "box": box.sides,
        "thickness": box.sides[2],
        "slice_thickness": box.sides[2] / how.slices,
        "plan": asdict(how),
        "configurations": configurations,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files of all materials, or of some."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(MATERIALS), default=list(MATERIALS))
    parser.add_argument("--output", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        write(MATERIALS[name], options.output)


if __name__ == "__main__":
    main()
