"""What the API takes and gives of batches."""

from collections.abc import Mapping
from typing import Annotated, Self
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, Field

from app.api.archives import MOST_JOBS
from app.api.examples import example
from app.api.schemas import (
    BatchName,
    Labels,
    Metadata,
    Params,
    SampleId,
    ShortText,
    Strict,
    Time,
)
from worker.contract import Priority, State
from worker.ledger.batches import BatchRecord


def _different(ids: list[str]) -> list[str]:
    if len(set(ids)) < len(ids):
        raise ValueError(f"got {len(ids) - len(set(ids))} ids twice, expected each once")
    return ids


ImageIds = Annotated[
    list[Annotated[str, Field(pattern="^[0-9a-f]{32}$")]],
    Field(
        min_length=1,
        max_length=MOST_JOBS,
        description="From `POST /v1/images`, each once.",
        examples=[["0123456789abcdef0123456789abcdef"]],
    ),
    AfterValidator(_different),
]


class BatchFields(Strict):
    """How images are denoised alike, and what their jobs are called."""

    params: Params = Params()
    name: BatchName | None = Field(
        None,
        description="By which the batch is found; made up if left out. Jobs may be added to one.",
        examples=["series-7"],
    )
    priority: Priority = Priority.BATCH
    external_id: ShortText | None = Field(
        None, description="Of each job, in the client's system.", examples=["LIMS-2025-0042"]
    )
    sample_id: SampleId = None
    labels: Labels = Field({}, examples=[{"instrument": "STEM 2"}])
    metadata: Metadata = Field({}, max_length=64, examples=[{"beam_energy_kV": 300}])


class BatchSpec(BatchFields):
    """Images that are denoised alike."""

    image_ids: ImageIds


class BatchForm(BatchFields):
    """The fields beside `file` in a multipart submission; `params` and objects are JSON."""


class Batch(BaseModel):
    """The jobs that share a name, and where they stand."""

    model_config = example("Batch")

    name: str
    owner: str
    total: int = Field(description="Jobs.")
    counts: dict[State, int] = Field(description="Jobs by state.")
    progress: float = Field(ge=0, le=1)
    created_at: Time
    finished_at: Time | None = Field(description="When the last job ended.")
    links: dict[str, str]

    @classmethod
    def of(cls, record: BatchRecord, root: str = "") -> Self:
        counts = {state: record.counts.get(state, 0) for state in State}
        return cls.model_validate(
            {
                "name": record.name,
                "owner": record.owner,
                "total": record.total,
                "counts": counts,
                "progress": record.done / record.total,
                "created_at": record.created_at,
                "finished_at": record.finished_at,
                "links": batch_links(record.name, root),
            }
        )


class BatchList(BaseModel):
    """A page of batches, that with the newest job first."""

    model_config = example("BatchList")

    batches: list[Batch]
    next: str | None = Field(description="Pass it as `cursor` to get the next page.")


def batch_links(name: str, root: str) -> Mapping[str, str]:
    """Where a batch and what belongs to it are."""
    quoted = quote(name, safe="")
    here = f"{root}/v1/batches/{quoted}"
    return {
        "self": here,
        "jobs": f"{root}/v1/jobs?batch={quoted}",
        "summary": f"{here}/summary.csv",
        "archive": f"{root}/v1/jobs/archive?batch={quoted}",
        "cancel": f"{here}/cancel",
    }
