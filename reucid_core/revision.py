"""A result made anew with a person's verdicts on its eigenpatches: no decomposition, no classifier.

What was decomposed, measured and tested stays as it was; which eigenpatches are kept is said by a
person where one says it. So the result is as much a filter of the image as before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.assessment import Assessment, assess_one_scale
from reucid_core.clock import Clock
from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.errors import ParameterError
from reucid_core.image import as_working_image
from reucid_core.lattice import Lattice, weights_of
from reucid_core.outliers import without
from reucid_core.replay import replay
from reucid_core.report import Judge, Report, StackReport, library_versions
from reucid_core.two_scale import assess
from reucid_core.whitening import Whitening

__all__ = ["Verdicts", "judged_anew", "revise", "verdicts_of_people"]

Indices = Mapping[int, Sequence[int]]


@dataclass(frozen=True)
class Verdicts:
    """What a person says of some eigenpatches.

    Parameters
    ----------
    keep, drop : mapping of int to sequence of int
        Eigenpatches, from 1 in the order of decreasing singular values, by the number of their
        stack, from 1. With method `two-scale` stack 1 is the lattice's and stack 2 that of what
        departs from it.
    """

    keep: Indices = field(default_factory=dict)
    drop: Indices = field(default_factory=dict)

    def of_stack(self, stack: int) -> dict[int, bool]:
        """Whether an eigenpatch is kept, by its index from 0."""
        kept = dict.fromkeys(self.keep.get(stack, ()), True)
        return {k - 1: verdict for k, verdict in (kept | self._dropped(stack)).items()}

    def check(self, report: Report) -> None:
        """Refuse what this report has no eigenpatches for, or says two things of one.

        Raises
        ------
        ParameterError
        """
        offered = {stack.stack: len(stack.kept) for stack, _ in report.decompositions}
        for name, said in (("keep", self.keep), ("drop", self.drop)):
            for stack, indices in said.items():
                if stack not in offered:
                    stacks = ", ".join(map(str, offered))
                    raise ParameterError(name, f"got stack {stack}, expected one of {stacks}")
                for k in indices:
                    if not 1 <= k <= offered[stack]:
                        raise ParameterError(
                            name,
                            f"got eigenpatch {k} of stack {stack}, expected 1 to {offered[stack]}",
                        )
        for stack, indices in self.keep.items():
            for k in set(indices) & set(self.drop.get(stack, ())):
                raise ParameterError(
                    "drop", f"got eigenpatch {k} of stack {stack} in keep as well, expected one"
                )

    def _dropped(self, stack: int) -> dict[int, bool]:
        return dict.fromkeys(self.drop.get(stack, ()), False)


def verdicts_of_people(report: Report) -> Verdicts:
    """All verdicts that a report has from people."""
    keep: dict[int, list[int]] = {}
    drop: dict[int, list[int]] = {}
    for stack, _ in report.decompositions:
        for k, kept in enumerate(stack.kept, start=1):
            if stack.judges[k - 1] == "person":
                (keep if kept else drop).setdefault(stack.stack, []).append(k)
    return Verdicts(keep, drop)


def judged_anew(report: Report, verdicts: Verdicts) -> Report:
    """The report with a person's verdicts in it; the rest of it is of the result as it was.

    Raises
    ------
    ParameterError
        When there is no such eigenpatch, or none of a stack would be left.
    """
    verdicts.check(report)
    stacks = [_judged(stack, verdicts) for stack in report.stack_reports]
    judged = replace(report, stack_reports=stacks)
    if report.weights:
        judged = replace(judged, weights=_weights(report, stacks[0]))
    if report.recovery is not None:
        recovery = _judged(report.recovery.stack_report, verdicts)
        judged = replace(judged, recovery=replace(report.recovery, stack_report=recovery))
    return judged


def _judged(stack: StackReport, verdicts: Verdicts) -> StackReport:
    said = verdicts.of_stack(stack.stack)
    if not said:
        return stack
    kept: list[bool] = list(stack.kept)
    judges: list[Judge] = list(stack.judges)
    for k, verdict in said.items():
        kept[k], judges[k] = verdict, "person"
    if not any(kept):
        raise ParameterError(
            "drop", f"got all eigenpatches of stack {stack.stack}, expected at least one to stay"
        )
    return replace(stack, kept=kept, judged_by=judges)


def _weights(report: Report, stack: StackReport) -> list[float]:
    """As they were, but for eigenpatches whose verdict has changed."""
    fresh = weights_of(stack, report.spacing)
    return [
        old if kept == before else float(new)
        for old, new, kept, before in zip(
            report.weights, fresh, stack.kept, report.stack_reports[0].kept, strict=True
        )
    ]


def revise(
    image: NDArray[Any],
    report: Report,
    eigenpatches: Sequence[FloatArray],
    verdicts: Verdicts,
    *,
    threads: int | None = None,
    memory: int | None = None,
) -> tuple[FloatArray, NDArray[np.int32], Report]:
    """The result with a person's verdicts, and its report.

    Parameters
    ----------
    image : ndarray, shape (m, n), integer or floating
        What was denoised. Never modified.
    report : Report
        Of that.
    eigenpatches : sequence of ndarray, shape (k, p, p)
        All offered ones of each decomposition.
    verdicts : Verdicts
    threads : int, optional
    memory : int, optional
        Bytes that may be used; by default what the machine leaves free.

    Returns
    -------
    image : ndarray, shape (m, n), float32 or float64
    coverage : ndarray, shape (m, n), int32
    report : Report

    Raises
    ------
    ParameterError
        When there is no such eigenpatch, or none of a stack would be left.
    ImageError
        When the image cannot be denoised in the report's precision.
    """
    clock = Clock()
    judged = judged_anew(report, verdicts)
    revised, coverage = replay(image, judged, eigenpatches, threads=threads, memory=memory)
    clock.lap("replay")
    assessment = _assessed(image, revised, judged, eigenpatches)
    clock.lap("assess")
    stale = [*_said(report.assessment), *_told_of_people(report)]
    warnings = [warning for warning in report.warnings if warning not in stale]
    judged = replace(
        judged,
        assessment=assessment,
        warnings=[*warnings, *_said(assessment), *_told_of_people(judged)],
        seconds=clock.seconds,
        versions=library_versions(),
    )
    return revised, coverage, judged


def _assessed(
    image: NDArray[Any], revised: FloatArray, report: Report, eigenpatches: Sequence[FloatArray]
) -> Assessment | None:
    """As the result was assessed, but for what would need another denoising."""
    if report.assessment is None:
        return None
    noisy = as_working_image(image, report.precision)  # type: ignore[arg-type]
    stacks, p = report.stack_reports, report.patch_size
    if report.noise is None:
        passed = [stack.n_kept / p**2 for stack in stacks]
        return assess_one_scale(revised, noisy, sum(passed) / len(passed))
    first = stacks[0]
    decomposition = Decomposition(
        eigenpatches[0],
        np.array(first.singular_values),
        first.n_patches,
        first.energy,
        1 / report.spacing**2,
    )
    lattice = Lattice(p, report.spacing, decomposition, first, np.array(report.weights))
    recovered, recovery = 0.0, report.recovery
    if recovery is not None:
        passed_there = recovery.stack_report.n_kept / recovery.patch_size**2
        recovered = recovery.share * passed_there * (1 - lattice.passed)
    measured, clean = noisy, revised
    if report.outliers is not None and report.outliers.rows:
        measured, clean = without(noisy, report.outliers), revised.copy()
        clean[report.outliers.positions] = measured[report.outliers.positions]
    whitening = Whitening.of(report.noise)
    residual = whitening.whiten(measured - clean)
    return assess(whitening.whiten(clean), residual, lattice, report.noise, recovered)


def _said(assessment: Assessment | None) -> list[str]:
    """What warnings say of an assessment."""
    return [] if assessment is None else assessment.doubts


def _told_of_people(report: Report) -> list[str]:
    told = verdicts_of_people(report)
    kept, dropped = (sum(map(len, said.values())) for said in (told.keep, told.drop))
    if not kept + dropped:
        return []
    return [f"a person decided to keep {kept} and to leave out {dropped} of the eigenpatches"]
