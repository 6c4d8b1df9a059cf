"""Reading the report of a job, which has one shape for an image and one for a stack of images.

That of an image tells of its denoising; that of a stack tells of each frame's, under one head.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from worker.formats.text import cell

COLUMNS = {
    "singular_value": "singular_values",
    "relative_singular_value": "relative_singular_values",
    "energy_share": "energy_shares",
    "utility": "utilities",
    "kept": "kept",
}


def is_of_stack(report: Mapping[str, Any]) -> bool:
    """Whether it tells of a stack of images, even of one frame."""
    return "frame_reports" in report


def frame_reports(report: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Of each frame that was denoised; of an image, its own."""
    reports: Sequence[Mapping[str, Any]] = report.get("frame_reports", [report])
    return reports


def is_joint(report: Mapping[str, Any]) -> bool:
    """Whether all frames share the eigenpatches, and the verdicts, of the first."""
    return report.get("frames") == "joint"


def decompositions(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The verdicts of a frame's report on all that was decomposed, in order."""
    recovery = report.get("recovery")
    return [*report["stack_reports"], *([recovery["stack_report"]] if recovery else [])]


def is_whole(report: Mapping[str, Any]) -> bool:
    """Whether all patches of all frames are in; then the coverage follows from the patch size."""
    return all(each["complete"] for each in (report, *frame_reports(report)))


def has_departures(report: Mapping[str, Any]) -> bool:
    """Whether it tells where the image, or one of a stack, is not its lattice."""
    return any(each["recovery"] is not None for each in frame_reports(report))


def eigenpatches_key(frame: int, stack: int) -> str:
    """The name of a stack's eigenpatches; those of the first frame, or of all, have no frame's."""
    return f"frame{frame}-stack{stack}" if frame else f"stack{stack}"


def decomposed_frame(report: Mapping[str, Any], frame: int) -> int:
    """The frame that a frame's eigenpatches are named by: joint frames share those of the first."""
    return 0 if is_joint(report) else frame


def told_of_people(report: Mapping[str, Any]) -> str:
    """Which eigenpatches people judged, in words; nothing where none did."""
    told = []
    for frame, each in enumerate(frame_reports(report)):
        where = f"frame {frame}, " if is_of_stack(report) else ""
        for stack in decompositions(each):
            said: dict[bool, list[str]] = {True: [], False: []}
            for k, judge in enumerate(stack.get("judged_by", ()), start=1):
                if judge == "person":
                    said[stack["kept"][k - 1]].append(str(k))
            told += [
                f"{where}stack {stack['stack']}: {what} {', '.join(said[kept])}"
                for kept, what in ((True, "kept"), (False, "left out"))
                if said[kept]
            ]
    return "; ".join(told)


def to_csv(report: Mapping[str, Any]) -> str:
    """One line per eigenpatch, each complete in itself: tables of several jobs can be joined."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["frame", "stack", "eigenpatch", *COLUMNS, "judged_by", "scan_noise", "model"])
    for frame, each in enumerate(frame_reports(report)):
        for stack in each["stack_reports"]:
            judges = stack.get("judged_by") or ["classifier"] * len(stack["kept"])
            rows = zip(*(stack[name] for name in COLUMNS.values()), judges, strict=True)
            for index, row in enumerate(rows, start=1):
                place = [frame, stack["stack"], index]
                writer.writerow([*place, *row, each.get("scan_noise"), cell(each["model"])])
    return text.getvalue()
