"""The contents of a bundle that nobody vouches for, each read when a check first needs it.

The zip is unpacked by `worker.zips`, images are decoded in the child process of
`worker.decoding.parent`, and report and eigenpatches are checked against each other before use.
"""

import json
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray
from reucid_core.report import StackReport
from worker.bundles import bundle, provenance
from worker.bundles.account import Account, account_of
from worker.bundles.unpacking import Terms, unpack_apart
from worker.bundles.verdicts import Refuted, Unverifiable, refuting
from worker.contract import FileInfo, ImageInfo
from worker.decoding.inspection import companions_of
from worker.decoding.parent import decode
from worker.decoding.terms import Limits
from worker.denoising.artifacts import COVERAGE, EIGENPATCHES, REPORT
from worker.denoising.reports import eigenpatches_key
from worker.denoising.revising import Source
from worker.denoising.selection import Chosen
from worker.formats import FormatError
from worker.settings import MIB, Settings
from worker.store import pixels_name
from worker.zips import ArchiveError, Unpacked

HEADER = MIB  # bytes: of an array, or the metadata of an image
ORTHONORMALITY = 1e-3  # largest deviation of a scalar product of eigenpatches

Pixels = NDArray[Any]


class Evidence:
    """The contents of a bundle, each read when it is first needed."""

    def __init__(self, path: Path, folder: Path, input_file: Path | None) -> None:
        self.settings = Settings()
        self.stated_input = input_file
        self._folder = folder
        self.unpacked = self._unpack(path, wanted=frozenset({REPORT}))
        self.unpacked = self._unpack(path, justified=self._justified())

    def _unpack(self, path: Path, **options: Any) -> Unpacked:
        return bundle.unpack(
            path,
            self._new_folder("entries"),
            max_input=self.settings.max_upload,
            max_pixels=self.settings.max_pixels,
            **options,
        )

    def _justified(self) -> dict[str, int]:
        """Bytes that each file of the result can need, by a report that can be read."""
        try:
            told = self.told
        except (Refuted, Unverifiable):
            return {}
        image = 8 * math.prod(told.shape) + HEADER
        eigenpatches = HEADER + sum(_sizes(told).values())
        return dict.fromkeys(provenance.RESULTS, image) | {
            REPORT: self.file(REPORT).stat().st_size,
            EIGENPATCHES: eigenpatches,
        }

    @cached_property
    def inputs(self) -> list[Path]:
        """The file that was denoised, and those that belong to it."""
        if self.stated_input is not None:
            return [self.stated_input, *companions_of(self.stated_input)]
        names = [*self.unpacked.files, *self.unpacked.damaged]
        held = sorted(filter(bundle.INPUT.fullmatch, names), key=lambda name: ("-" in name, name))
        if not held:
            raise Unverifiable("the bundle does not hold the input: name the file with --input")
        return [self.file(name) for name in held]

    @cached_property
    def input(self) -> tuple[Pixels, ImageInfo]:
        """The array that was denoised, shape (m, n) or (frames, m, n), and what is known of it."""
        signal, chosen = self.signal
        return chosen.pixels_of(signal), chosen.info

    @cached_property
    def signal(self) -> tuple[Pixels, Chosen]:
        """The whole signal that it was taken from, and what was taken."""
        first, *companions = self.inputs
        folder = self._new_folder("input")
        contents = self._decode("the input", first.resolve(), folder, companions)
        with refuting():
            chosen = self.told.selection.of(contents)
        return np.load(folder / pixels_name(chosen.index), mmap_mode="r"), chosen

    @cached_property
    def record(self) -> dict[str, Any]:
        """The entities of the record by their ids."""
        graph = self._json(provenance.RECORD).get("@graph")
        if not isinstance(graph, list):
            raise Refuted(f"{provenance.RECORD} is not an RO-Crate: it has no @graph")
        return {str(each.get("@id")): each for each in graph if isinstance(each, dict)}

    @cached_property
    def told(self) -> Account:
        """The report, of the right types and possible for an image of its shape."""
        return account_of(self._json("report.json"))

    def image(self, name: str) -> tuple[Pixels, ImageInfo]:
        """An image of the result."""
        folder = self._new_folder(name)
        contents = self._decode(name, self.file(name), folder)
        index = contents.default or 0  # there is one in a file of ours
        pixels = np.load(folder / pixels_name(index), mmap_mode="r")
        return pixels, contents.signals[index]

    def eigenpatches(self, frame: int) -> list[FloatArray]:
        """All offered eigenpatches of each stack of a frame, shape (k, p, p)."""
        report = self.told.reports[frame]
        drawn = 0 if self.told.joint else frame
        return [
            _eigenpatches(eigenpatches_key(drawn, stack.stack), self._eigenpatch_files, stack, p)
            for stack, p in report.decompositions
        ]

    @property
    def source(self) -> Source:
        """All that a revision goes on from."""
        result, _ = self.image("result.npy")
        partial = COVERAGE in self.unpacked.files
        coverage = self.image(COVERAGE)[0] if partial else None
        drawn = range(1 if self.told.joint else len(self.told.reports))
        patches = {
            eigenpatches_key(frame, stack.stack): values
            for frame in drawn
            for (stack, _), values in zip(
                self.told.reports[frame].decompositions, self.eigenpatches(frame), strict=True
            )
        }
        return Source(self.told.raw, result, patches, coverage)

    @cached_property
    def _eigenpatch_files(self) -> dict[str, Path]:
        path = self.file(EIGENPATCHES)
        terms = Terms(_sizes(self.told), bundle.budget(path))
        try:
            return unpack_apart(path, self._new_folder("eigenpatches"), terms).files
        except ArchiveError as error:
            raise Refuted(f"eigenpatches.npz: {error}") from error

    def file(self, name: str) -> Path:
        """A file of the bundle."""
        if name in self.unpacked.damaged:
            raise Unverifiable(f"{name} is damaged")
        if name not in self.unpacked.files:
            raise Unverifiable(f"{name} is missing")
        return self.unpacked.files[name]

    def _decode(
        self, name: str, path: Path, folder: Path, companions: Sequence[Path] = ()
    ) -> FileInfo:
        limits = Limits(self.settings.max_pixels, self.settings.decode_timeout_s)
        try:
            return decode(path, folder, limits, companions)
        except FormatError as error:
            raise Refuted(f"{name}: {error}") from error

    def _json(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(
                self.file(name).read_bytes(), parse_float=_finite, parse_constant=_finite
            )
        except (ValueError, RecursionError) as error:
            raise Refuted(f"{name} is not readable JSON: {error}") from error
        if not isinstance(content, dict):
            raise Refuted(f"{name} holds a {type(content).__name__}, expected an object")
        return content

    def _new_folder(self, purpose: str) -> Path:
        return Path(mkdtemp(prefix=f"{purpose}-", dir=self._folder))


def _sizes(told: Account) -> dict[str, int]:
    """Bytes that each array of eigenpatches can need, by its name in their file."""
    return {
        f"{eigenpatches_key(frame, stack.stack)}.npy": 8 * len(stack.kept) * p**2 + HEADER
        for frame, report in enumerate(told.reports)
        for stack, p in report.decompositions
    }


def _eigenpatches(name: str, files: dict[str, Path], stack: StackReport, p: int) -> FloatArray:
    if f"{name}.npy" not in files:
        raise Refuted(f"eigenpatches.npz does not hold a readable {name}")
    try:
        values = np.load(files[f"{name}.npy"], mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise Refuted(f"eigenpatches.npz: {name} is damaged: {error}") from error
    expected = (len(stack.kept), p, p)
    if values.shape != expected or values.dtype not in (np.float32, np.float64):
        raise Refuted(
            f"eigenpatches.npz: {name} is {values.dtype} of {values.shape}, expected floats of "
            f"{expected}"
        )
    if not np.isfinite(values).all():
        raise Refuted(f"eigenpatches.npz: {name} holds values that are not finite")
    kept = values[np.array(stack.kept, dtype=bool)].reshape(sum(stack.kept), -1)
    with np.errstate(over="ignore", invalid="ignore"):
        gram = kept.astype(np.float64) @ kept.T
        deviation = np.abs(gram - np.eye(len(kept))).max(initial=0.0)
    if not deviation <= ORTHONORMALITY:
        raise Refuted(f"eigenpatches.npz: the kept eigenpatches of {name} are not orthonormal")
    return np.asarray(values)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"got {text}, expected finite numbers")
    return value
