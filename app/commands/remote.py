"""A server that a command talks to: missed at once, waited for later; and what jobs yield."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reucid_client import Client, Job, JobError, Retrying, ReucidClientError
from worker.denoising.reports import has_departures
from worker.settings import Settings

PATIENT = Retrying(patience=60.0)  # with a server that was there
PARTS = {  # of a job, by the names they are saved under
    "result.tif": "result",
    "residual.tif": "residual",
    "coverage.tif": "coverage",
    "departures.tif": "departures",
    "report.json": "report",
    "eigenpatches.png": "eigenpatches.png",
}
INPUT_CODES = ("invalid_image", "invalid_parameter", "canceled")  # of jobs that failed for those


@contextmanager
def connected(url: str) -> Iterator[Client]:
    """A client, with the key of the environment, of a server that answers now.

    Raises
    ------
    AddressError, UnreachableError
    """
    with Client(url, Settings().key, retrying=PATIENT) as client:
        client.ready()
        yield client


def fetch_all(
    client: Client, job: Job, report: Mapping[str, Any], folder: Path, prefix: str = ""
) -> list[Path]:
    """Download all images of a job, the interim ones too, its report and eigenpatches.

    `prefix` goes before each of `PARTS`, and before `interim-0001.tif` and so on.
    """
    parts = [
        (part, name)
        for name, part in PARTS.items()
        if part != "departures" or has_departures(report)
    ]
    done = range(1, int(job.data["stacks_done"]) + 1)
    parts += [(f"interim/{n}", f"interim-{n:04d}.tif") for n in done]
    return [client.download(job.id, folder / f"{prefix}{name}", part) for part, name in parts]


class BatchError(ReucidClientError):
    """Some jobs of a batch have no result; `ours` where no image is at fault."""

    def __init__(self, message: str, *, ours: bool) -> None:
        super().__init__(message)
        self.ours = ours


def failure_of(failed: Sequence[Job], total: int) -> BatchError:
    """What to say of a batch of which some jobs have no result."""
    errors = [JobError(job) for job in failed]
    told = "; ".join(f"{error.job.data['image_name']}: {error.detail}" for error in errors[:3])
    more = f", and {len(errors) - 3} more" if len(errors) > 3 else ""
    return BatchError(
        f"{len(errors)} of {total} images have no result: {told}{more}",
        ours=not any(map(is_users_fault, errors)),
    )


def is_users_fault(error: JobError) -> bool:
    """Whether a job failed for its image or its parameters."""
    return error.code in INPUT_CODES
