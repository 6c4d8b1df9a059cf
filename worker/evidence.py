"""The contents of a bundle that nobody vouches for, each read when a check first needs it.

The zip is unpacked by `worker.archive`, images are decoded in the child process of
`worker.decoder`, and report and eigenpatches are checked against each other before use.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from reucid_core import DenoiseParams, ReucidError
from reucid_core.eigenpatches import FloatArray
from reucid_core.plan import check_fits
from reucid_core.report import Report, StackReport
from worker import bundle, provenance
from worker.archive import ArchiveError, Unpacked, unpack_zip
from worker.contract import ImageInfo
from worker.formats import FormatError
from worker.local import read_file
from worker.settings import Settings

ORTHONORMALITY = 1e-3  # largest deviation of a scalar product of eigenpatches

Pixels = NDArray[Any]


class Unverifiable(Exception):  # noqa: N818  (a verdict, not an error)
    """What is needed for a check is not there."""


class Refuted(Exception):  # noqa: N818
    """What is there cannot be what it says."""


@dataclass
class Check:
    """One claim of a bundle. `holds` is None where it could not be checked."""

    name: str
    claim: str
    holds: bool | None = None
    problems: list[str] = field(default_factory=list)
    deviations: dict[str, float] = field(default_factory=dict)  # measured, largest magnitudes
    tolerances: dict[str, float] = field(default_factory=dict)  # in the same units

    def measure(self, name: str, deviation: float, tolerance: float) -> bool:
        """Note a deviation; whether it is tolerated."""
        self.deviations[name] = max(deviation, self.deviations.get(name, 0.0))
        self.tolerances[name] = tolerance
        return deviation <= tolerance


class Evidence:
    """The contents of a bundle, each read when it is first needed."""

    def __init__(self, path: Path, folder: Path, input_file: Path | None) -> None:
        self.settings = Settings()
        self._folder = folder
        entries = folder / "entries"
        entries.mkdir()
        self.unpacked: Unpacked = bundle.unpack(
            path,
            entries,
            max_input=self.settings.max_upload,
            max_pixels=self.settings.max_pixels,
        )
        self.stated_input = input_file

    @cached_property
    def input_name(self) -> str | None:
        """The input's name in the bundle, if it is there."""
        names = [*self.unpacked.files, *self.unpacked.damaged]
        return next((name for name in names if bundle.INPUT.fullmatch(name)), None)

    @cached_property
    def input_path(self) -> Path:
        if self.stated_input is not None:
            return self.stated_input
        if self.input_name is None:
            raise Unverifiable("the bundle does not hold the input: name the file with --input")
        return self.file(self.input_name)

    @cached_property
    def input(self) -> tuple[Pixels, ImageInfo]:
        return self._image("the input", self.input_path)

    @cached_property
    def pixels(self) -> Pixels:
        """The array that was denoised."""
        return self.input[0]

    @cached_property
    def record(self) -> dict[str, Any]:
        """The entities of the record by their ids."""
        graph = self._json(provenance.RECORD).get("@graph")
        if not isinstance(graph, list):
            raise Refuted(f"{provenance.RECORD} is not an RO-Crate: it has no @graph")
        return {str(each.get("@id")): each for each in graph if isinstance(each, dict)}

    @cached_property
    def report(self) -> Report:
        """The report, of the right types and possible for the input's shape."""
        try:
            report = TypeAdapter(Report).validate_python(self._json("report.json"))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise Refuted(f"report.json is not a report: {where}: {first['msg']}") from error
        _check_report(report)
        return report

    def image(self, name: str) -> tuple[Pixels, ImageInfo]:
        """An image of the result."""
        return self._image(name, self.file(name))

    @cached_property
    def eigenpatches(self) -> list[FloatArray]:
        """All offered eigenpatches of each stack, shape (k, p, p)."""
        report = self.report
        expected = {f"stack{stack.stack}.npy": stack for stack in report.stack_reports}
        folder = self._folder / "eigenpatches"
        folder.mkdir()
        size = self.file("eigenpatches.npz").stat().st_size
        try:
            unpacked = unpack_zip(
                self.file("eigenpatches.npz"), folder, lambda n: size if n in expected else None
            )
        except ArchiveError as error:
            raise Refuted(f"eigenpatches.npz: {error}") from error
        missing = expected.keys() - unpacked.files.keys()
        if missing:
            raise Refuted(f"eigenpatches.npz does not hold a readable {min(missing)}")
        return [
            _eigenpatches(name, unpacked.files[name], stack, report)
            for name, stack in expected.items()
        ]

    def file(self, name: str) -> Path:
        """A file of the bundle."""
        if name in self.unpacked.damaged:
            raise Unverifiable(f"{name} is damaged")
        if name not in self.unpacked.files:
            raise Unverifiable(f"{name} is missing")
        return self.unpacked.files[name]

    def _image(self, name: str, path: Path) -> tuple[Pixels, ImageInfo]:
        try:
            return read_file(path, self.settings)
        except FormatError as error:
            raise Refuted(f"{name}: {error}") from error

    def _json(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(self.file(name).read_bytes(), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Refuted(f"{name} is not readable JSON: {error}") from error
        if not isinstance(content, dict):
            raise Refuted(f"{name} holds a {type(content).__name__}, expected an object")
        return content


@contextmanager
def refuting() -> Iterator[None]:
    """What the core refuses of a bundle, the bundle is wrong about."""
    try:
        yield
    except ReucidError as error:
        raise Refuted(str(error)) from error


def _check_report(report: Report) -> None:
    """Refuse a report that no denoising gives, before anything is computed by it."""
    if report.engine not in ("exact", "stacked") or report.precision not in ("float32", "float64"):
        raise Refuted(f"report.json names the engine {report.engine!r} and {report.precision!r}")
    with refuting():
        check_fits(
            DenoiseParams(
                patch_size=report.patch_size,
                stacks=report.stacks,
                components=report.components,
                threshold=report.threshold,
                seed=report.seed,
            ),
            report.shape,
        )
    numbers = [stack.stack for stack in report.stack_reports]
    if not 1 <= report.stacks_done <= report.stacks or numbers != list(
        range(1, report.stacks_done + 1)
    ):
        raise Refuted(
            f"report.json speaks of the stacks {numbers[:9]}, of which {report.stacks_done} of "
            f"{report.stacks} are done"
        )
    if report.engine == "exact" and report.stacks != 1:
        raise Refuted(f"report.json says {report.stacks} stacks, the exact engine has 1")
    for stack in report.stack_reports:
        lists = (stack.kept, stack.utilities, stack.singular_values)
        if not 1 <= len(stack.kept) <= report.patch_size**2 or len({len(x) for x in lists}) > 1:
            raise Refuted(f"report.json: stack {stack.stack} has lists of different lengths")
        if not any(stack.kept):
            raise Refuted(f"report.json: stack {stack.stack} keeps nothing, expected at least one")


def _eigenpatches(name: str, path: Path, stack: StackReport, report: Report) -> FloatArray:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise Refuted(f"eigenpatches.npz: {name} is damaged: {error}") from error
    expected = (len(stack.kept), report.patch_size, report.patch_size)
    if values.shape != expected or values.dtype not in (np.float32, np.float64):
        raise Refuted(
            f"eigenpatches.npz: {name} is {values.dtype} of {values.shape}, expected floats of "
            f"{expected}"
        )
    if not np.isfinite(values).all():
        raise Refuted(f"eigenpatches.npz: {name} holds values that are not finite")
    kept = values[np.array(stack.kept, dtype=bool)].reshape(sum(stack.kept), -1)
    gram = kept.astype(np.float64) @ kept.T
    if np.abs(gram - np.eye(len(kept))).max(initial=0.0) > ORTHONORMALITY:
        raise Refuted(f"eigenpatches.npz: the kept eigenpatches of {name} are not orthonormal")
    return np.asarray(values)


def _no_constant(name: str) -> None:
    raise ValueError(f"got {name}, expected finite numbers")
