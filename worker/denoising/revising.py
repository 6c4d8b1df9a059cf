"""A result made anew with a person's verdicts: of its eigenpatches, without a decomposition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from reucid_core import Result
from reucid_core.errors import ParameterError
from reucid_core.report import Report
from reucid_core.revision import judged_anew, revise
from worker.denoising.artifacts import ResultFiles
from worker.denoising.params import JobParams
from worker.denoising.reports import (
    decomposed_frame,
    eigenpatches_key,
    frame_reports,
    is_joint,
)
from worker.denoising.revision import Revision
from worker.denoising.run import Step, of_stack
from worker.denoising.selection import Chosen, as_stack

Eigenpatches = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Source:
    """A result that is revised, checked by whoever reads it.

    Parameters
    ----------
    report : mapping
        As it was written.
    result : ndarray, shape (m, n) or (frames, m, n)
        May be a memory map.
    eigenpatches : mapping of str to ndarray, shape (k, p, p)
        By the names in their file.
    coverage : ndarray of the same shape, or None
        None where all patches are in.
    """

    report: Mapping[str, Any]
    result: NDArray[Any]
    eigenpatches: Eigenpatches
    coverage: NDArray[Any] | None


def reports_of(report: Mapping[str, Any]) -> list[Report]:
    """The core's reports of all frames that were denoised.

    Raises
    ------
    pydantic.ValidationError
        When they are no such reports.
    """
    adapter = _adapter()
    return [adapter.validate_python(each) for each in frame_reports(report)]


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def check_revision(report: Mapping[str, Any], revision: Revision) -> None:
    """Refuse verdicts that a result has no eigenpatches for.

    Raises
    ------
    ParameterError
    """
    reports = reports_of(report)
    if revision.frame >= len(reports):
        expected = f"0 to {len(reports) - 1}: so many frames were denoised"
        raise ParameterError("frame", f"got {revision.frame}, expected {expected}")
    judged_anew(reports[0 if is_joint(report) else revision.frame], revision.verdicts)


def revise_signal(
    signal: NDArray[Any],
    chosen: Chosen,
    params: JobParams,
    folder: Path,
    *,
    source: Source,
    on_step: Callable[[Step], None],
) -> dict[str, Any]:
    """Revise a result, and leave all artifacts in a folder; returns the report.

    What no verdict changes is taken as it was.

    Parameters
    ----------
    signal : ndarray, shape (m, n) or (frames, m, n)
        As decoded; may be a memory map.
    chosen : Chosen
    params : JobParams
        Those of the source, and the revision.
    folder : Path
    source : Source
    on_step : callable
        Called with each frame of a stack. What it raises ends the revision.

    Raises
    ------
    ParameterError
        When there is no such eigenpatch, or none of a stack would be left.
    """
    noisy = chosen.pixels_of(signal)
    check_revision(source.report, _revision(params))
    reports = reports_of(source.report)
    results = as_stack(source.result)
    coverage = None if source.coverage is None else as_stack(source.coverage)
    held = source.eigenpatches
    with ResultFiles(folder, noisy, chosen, params) as files:
        for n, report in enumerate(reports):
            before = Result(
                noisy=as_stack(noisy)[n],
                image=np.array(results[n]),
                partial_coverage=None if report.complete or coverage is None else coverage[n],
                eigenpatches=tuple(eigenpatches_of(held, source.report, n, report)),
                report=report,
            )
            is_meant = is_joint(source.report) or n == _revision(params).frame
            result = _revised(before, params) if is_meant else before
            files.add(result)
            if noisy.ndim == 3:
                on_step(of_stack(files, result, chosen.info))
        return files.finish(source.report["stopped_by"])


def eigenpatches_of(
    held: Eigenpatches, told: Mapping[str, Any], frame: int, report: Report
) -> list[NDArray[Any]]:
    """All offered eigenpatches of a frame's decompositions, shape (k, p, p) each."""
    drawn = decomposed_frame(told, frame)
    return [held[eigenpatches_key(drawn, stack.stack)] for stack, _ in report.decompositions]


def _revised(before: Result, params: JobParams) -> Result:
    image, _, report = revise(
        before.noisy,
        before.report,
        before.eigenpatches,
        _revision(params).verdicts,
        threads=params.denoising.threads,
        memory=params.denoising.memory_budget,
    )
    same = _kept(report) == _kept(before.report)
    return Result(
        noisy=before.noisy,
        image=before.image if same else image,
        partial_coverage=before.partial_coverage,
        eigenpatches=before.eigenpatches,
        report=report,
    )


def _kept(report: Report) -> list[list[bool]]:
    return [stack.kept for stack, _ in report.decompositions]


def _revision(params: JobParams) -> Revision:
    if params.revision is None:
        raise ParameterError("revision", "got none, expected one")
    return params.revision
