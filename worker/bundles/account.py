"""What a report that nobody vouches for tells, of an image or of a stack of images."""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reucid_core import DenoiseParams
from reucid_core.plan import check_fits
from reucid_core.report import Report
from worker.bundles.scales import check_scales
from worker.bundles.verdicts import Refuted, refuting
from worker.denoising.reports import is_of_stack
from worker.denoising.selection import Frames, Selection


@dataclass(frozen=True)
class Taken:
    """What of the input was denoised."""

    signal: int
    frame: int | None


@dataclass(frozen=True)
class ImageTold:
    """What the report of an image says beside that of its denoising."""

    parameters: dict[str, Any]  # as given
    input: Taken


@dataclass(frozen=True)
class StackTold(ImageTold):
    """The report of a stack of images."""

    shape: tuple[int, int, int]
    frames: Frames
    frames_done: int
    frame_reports: list[Report]


@dataclass(frozen=True)
class Account:
    """A report, of an image or of a stack.

    Parameters
    ----------
    raw : dict
        As it is written.
    parameters : dict
        As given.
    selection : Selection
        What was denoised, resolved.
    shape : tuple of int
        (m, n) or (frames, m, n).
    joint : bool
        Whether all frames share the eigenpatches of the first.
    reports : list of Report
        Of each frame that was denoised.
    """

    raw: dict[str, Any]
    parameters: dict[str, Any]
    selection: Selection
    shape: tuple[int, ...]
    joint: bool
    reports: list[Report]


def account_of(raw: dict[str, Any]) -> Account:
    """Check a report's types, and whether any denoising could have given it.

    Raises
    ------
    Refuted
    """
    try:
        if not is_of_stack(raw):
            head, stack = TypeAdapter(ImageTold).validate_python(raw), None
            reports = [TypeAdapter(Report).validate_python(raw)]
        else:
            head = stack = TypeAdapter(StackTold).validate_python(raw)
            reports = stack.frame_reports
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refuted(f"report.json is not a report: {where}: {first['msg']}") from error
    shape = reports[0].shape if stack is None else stack.shape
    if stack and not 1 <= len(reports) == stack.frames_done <= shape[0]:
        raise Refuted(
            f"report.json tells of {len(reports)} frames, of which {stack.frames_done} of "
            f"{shape[0]} are done"
        )
    for report in reports:
        if report.shape != shape[-2:]:
            raise Refuted(f"report.json speaks of a frame of {report.shape} in one of {shape}")
        _check_report(report)
        if (report.model, report.scan_noise) != (reports[0].model, reports[0].scan_noise):
            raise Refuted("report.json names several classifiers, expected one of all frames")
    return Account(
        raw,
        head.parameters,
        Selection(signal=head.input.signal, frame=head.input.frame),
        shape,
        stack is not None and stack.frames == "joint",
        reports,
    )


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
    if report.method not in ("paper", "two-scale"):
        raise Refuted(f"report.json names the method {report.method!r}")
    check_scales(report)
    for stack, p in report.decompositions:
        lists = (stack.kept, stack.utilities, stack.singular_values, stack.judges)
        if not 1 <= len(stack.kept) <= p**2 or len({len(x) for x in lists}) > 1:
            raise Refuted(f"report.json: stack {stack.stack} has lists of different lengths")
        if not any(stack.kept):
            raise Refuted(f"report.json: stack {stack.stack} keeps nothing, expected at least one")
