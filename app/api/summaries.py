"""A table of jobs and what came of them."""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from app.api.artifacts import read_report
from app.api.errors import to_problem
from app.api.schemas import Verdict
from app.api.services import Services
from app.http.problems import Problem
from worker.contract import JobRecord, State
from worker.denoising.reports import frame_reports
from worker.formats.text import cell
from worker.ledger.refusals import LedgerError

COLUMNS = (
    "file",
    "job",
    "image",
    "external_id",
    "sample_id",
    "state",
    "created_at",
    "started_at",
    "finished_at",
    "method",
    "patch_size",
    "noise_removed",
    "suspicious",
    "verdict",
    "error",
)


def summary(services: Services, jobs: list[JobRecord]) -> Iterator[str]:
    """Lines of CSV: the columns, then a job at a time."""
    yield _line(COLUMNS)
    for job in jobs:
        yield _line(_row(services, job).get(column, "") for column in COLUMNS)


def _row(services: Services, job: JobRecord) -> dict[str, str]:
    request = job.request
    row = {
        "file": cell(job.image_name),
        "job": job.id,
        "image": request.image_id,
        "external_id": cell(request.external_id or ""),
        "sample_id": cell(request.sample_id or ""),
        "state": str(job.state),
        "created_at": _moment(job.created_at),
        "started_at": _moment(job.started_at),
        "finished_at": _moment(job.finished_at),
    }
    if job.failure is not None:
        return row | {"error": cell(f"{job.failure.code}: {job.failure.detail}")}
    if job.state is not State.SUCCEEDED:
        return row
    try:
        whole = services.jobs.get(job.id, owner=request.owner)  # a list has no artifacts
        report = read_report(services, whole)
    except (Problem, LedgerError, OSError) as error:
        problem = to_problem(error)
        return row | {"error": cell(f"{problem.code}: {problem.detail}")}
    return row | _told(report)


def _told(report: Mapping[str, Any]) -> dict[str, str]:
    """What a report tells; of a stack, the ranges or means over its frames."""
    frames = frame_reports(report)
    sizes = sorted({each["patch_size"] for each in frames})
    removed = [each["assessment"]["noise_removed"] for each in frames if each["assessment"]]
    verdict = Verdict.of(report)
    return {
        "method": " ".join(sorted({each["method"] for each in frames})),
        "patch_size": "-".join(str(size) for size in dict.fromkeys((sizes[0], sizes[-1]))),
        "noise_removed": f"{sum(removed) / len(removed):.3f}" if removed else "",
        "suspicious": "yes" if verdict.suspicious else "no",
        "verdict": cell(" ".join(verdict.sentences)),
    }


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _line(cells: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
