"""The files of a result, written frame by frame as they come."""

import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from reucid_core import Result
from reucid_core.departures import mask_of
from reucid_core.terrain import full_terrain
from worker.denoising.params import JobParams
from worker.denoising.reports import eigenpatches_key, frame_reports, is_of_stack, is_whole
from worker.denoising.selection import Chosen, as_stack

RESULT, COVERAGE = "result.npy", "coverage.npy"
REPORT, EIGENPATCHES = "report.json", "eigenpatches.npz"
ARTIFACTS = (RESULT, COVERAGE, REPORT, EIGENPATCHES)


def names(report: Mapping[str, Any]) -> tuple[str, ...]:
    """The artifacts of a result."""
    return tuple(name for name in ARTIFACTS if name != COVERAGE or not is_whole(report))


def whole_coverage(report: Mapping[str, Any]) -> NDArray[np.int32]:
    """How many patches overlap each pixel of a whole result, shape (m, n) or (frames, m, n)."""
    frames = [
        full_terrain(tuple(each["shape"]), each["patch_size"], each["spacing"])
        for each in frame_reports(report)
    ]
    return np.stack(frames) if is_of_stack(report) else frames[0]


def departures(report: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Where an image is not its lattice, 1, else 0: shape (m, n) or (frames, m, n).

    Frames that were not done, or in which no noise could be told, have none.
    """
    shape = tuple(report["shape"])
    found = np.zeros(shape, np.uint8)
    for frame, each in zip(as_stack(found), frame_reports(report), strict=False):
        if each["recovery"] is not None:
            frame[:] = mask_of(each["recovery"]["runs"], frame.shape)
    return found


class ResultFiles:
    """Result, coverage, report and eigenpatches of an image or of a stack, in a folder.

    Frames are appended as they are finished, so that no more than one is held. Those that never are
    hold the raw values, with coverage 0. There is a coverage only where patches are missing.

    Parameters
    ----------
    folder : Path
    noisy : ndarray, shape (m, n) or (frames, m, n)
        What is denoised; the result has its shape.
    chosen : Chosen
    params : JobParams
    """

    def __init__(
        self,
        folder: Path,
        noisy: NDArray[Any],
        chosen: Chosen,
        params: JobParams,
    ) -> None:
        self._folder = folder
        self._noisy = noisy
        self._chosen = chosen
        self._params = params
        self._reports: list[dict[str, Any]] = []
        self._image: _Npy | None = None
        self._coverage: _Npy | None = None
        self._eigenpatches = zipfile.ZipFile(folder / EIGENPATCHES, "w")

    def __enter__(self) -> "ResultFiles":
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._eigenpatches.close()
        for file in (self._image, self._coverage):
            if file is not None:
                file.close()

    @property
    def frames(self) -> int:
        """How many frames there are in all."""
        return len(as_stack(self._noisy))

    @property
    def done(self) -> int:
        """How many of them are finished."""
        return len(self._reports)

    def add(self, result: Result) -> None:
        """Append the next frame."""
        coverage = None if result.partial_coverage is None else result.coverage
        self._append(result.image, coverage, result.report.to_dict(), result.eigenpatches)

    def add_part(self, part: "PartFiles") -> None:
        """Append the next frames, which were denoised by themselves."""
        for n, report in enumerate(part.reports):
            coverage = None if part.coverage is None else part.coverage[n]
            self._append(part.images[n], coverage, report, part.eigenpatches(n))

    def finish(
        self, stopped_by: str | None = None, parts: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """Fill what was not done and write the report; returns it.

        `parts` tells who denoised which frames, where several workers did.
        """
        assert self._image is not None, "no frame was finished"  # noqa: S101
        for frame in as_stack(self._noisy)[self.done :]:
            self._image.append(frame.astype(self._image.dtype))
            self._cover(np.zeros(frame.shape, np.int32))
        report = self._report(stopped_by)
        if parts:
            report["parts"] = list(parts)
        (self._folder / REPORT).write_text(json.dumps(report, indent=1, allow_nan=False))
        return report

    def _append(
        self,
        image: NDArray[Any],
        coverage: NDArray[np.int32] | None,
        report: dict[str, Any],
        eigenpatches: Iterable[NDArray[Any]],
    ) -> None:
        """Append a frame; without a coverage all its patches are in."""
        if self._image is None:
            self._image = _Npy(self._folder / RESULT, self._noisy.shape, image.dtype)
        self._image.append(image)
        if coverage is not None or self._coverage is not None:
            self._cover(whole_coverage(report) if coverage is None else coverage)
        joint = self._params.selection.frames == "joint"
        if not (joint and self._reports):  # else the same once more
            for n, patches in enumerate(eigenpatches, start=1):
                self._keep(eigenpatches_key(self.done, n), patches)
        self._reports.append(report)

    def _cover(self, coverage: NDArray[np.int32]) -> None:
        """Append to the coverage; before the first that says something, all frames are whole."""
        if self._coverage is None:
            self._coverage = _Npy(self._folder / COVERAGE, self._noisy.shape, np.dtype(np.int32))
            for report in self._reports:
                self._coverage.append(whole_coverage(report))
        self._coverage.append(coverage)

    def _keep(self, name: str, patches: NDArray[Any]) -> None:
        with self._eigenpatches.open(f"{name}.npy", "w") as file:
            np.lib.format.write_array(file, patches, allow_pickle=False)

    def _report(self, stopped_by: str | None) -> dict[str, Any]:
        """Of an image, that of its denoising; of a stack, one for each frame under one head."""
        told = {"input": self._chosen.to_dict(), "parameters": self._params.to_json()}
        if self._noisy.ndim == 2:
            return self._reports[0] | told
        return told | {
            "shape": list(self._noisy.shape),
            "frames": self._params.selection.frames,
            "frames_done": self.done,
            "complete": self.done == self.frames,
            "stopped_by": stopped_by if self.done < self.frames else None,
            "seconds": _summed([report["seconds"] for report in self._reports]),
            "warnings": self._counted("warnings") + self._left_out(stopped_by),
            "verdict": self._counted("verdict"),
            "frame_reports": [{"frame": n} | report for n, report in enumerate(self._reports)],
        }

    def _left_out(self, stopped_by: str | None) -> list[str]:
        """What a reader of the result has to know of the frames that were not denoised."""
        if self.done == self.frames:
            return []
        return [
            f"it was stopped by the {stopped_by} after {self.done} of {self.frames} frames; the "
            "others hold the raw values"
        ]

    def _counted(self, name: str) -> list[str]:
        """What the frames' reports say, and how many of them."""
        told = Counter(text for report in self._reports for text in report[name])
        return [f"{n} of {self.done} frames: {text}" for text, n in told.items()]


@dataclass(frozen=True)
class PartFiles:
    """What `ResultFiles` has left of some frames of a stack.

    Parameters
    ----------
    reports : list of dict
        Of the frames that are done.
    images : ndarray, shape (frames, m, n)
    coverage : ndarray, shape (frames, m, n), int32, or None
        None where all patches of all frames are in.
    """

    reports: list[dict[str, Any]]
    stopped_by: str | None
    images: NDArray[Any]
    coverage: NDArray[np.int32] | None
    _patches: Mapping[str, NDArray[Any]]

    @classmethod
    @contextmanager
    def opened(cls, paths: Mapping[str, Path]) -> Iterator["PartFiles"]:
        """Those at these paths, by the names of artifacts."""
        report = json.loads(paths[REPORT].read_bytes())
        reports = [dict(each) for each in report["frame_reports"]]
        for each in reports:
            del each["frame"]  # it counts from the first of these
        images = np.load(paths[RESULT], mmap_mode="r")
        coverage = np.load(paths[COVERAGE], mmap_mode="r") if COVERAGE in paths else None
        with np.load(paths[EIGENPATCHES]) as patches:
            yield cls(reports, report["stopped_by"], images, coverage, patches)

    def eigenpatches(self, n: int) -> Iterator[NDArray[Any]]:
        """Of each stack of patches of the n-th frame, shape (k, p, p)."""
        for stack in count(1):
            name = eigenpatches_key(n, stack)
            if name not in self._patches:
                return
            yield self._patches[name]


def _summed(seconds: list[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for each in seconds for name in each)
    return {name: sum(each.get(name, 0.0) for each in seconds) for name in names}


class _Npy:
    """An .npy file that is appended to.

    Not a memory map: on a full disk, writing to one ends the process instead of raising an error.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._file: BinaryIO = path.open("wb")
        descr = np.lib.format.dtype_to_descr(dtype)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, frame: NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(frame, dtype=self.dtype).data)

    def close(self) -> None:
        self._file.close()
