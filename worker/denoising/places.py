"""Where what belongs to a frame lies among the artifacts of a job."""

from typing import Any


def eigenpatches_key(frame: int, stack: int) -> str:
    """The name of a stack's eigenpatches; those of the first frame, or of all, have no frame's."""
    return f"frame{frame}-stack{stack}" if frame else f"stack{stack}"


def frame_report(report: dict[str, Any], frame: int) -> dict[str, Any]:
    """The report of one frame; of an image, its own."""
    reports: list[dict[str, Any]] = report.get("frame_reports", [report])
    return reports[frame]
