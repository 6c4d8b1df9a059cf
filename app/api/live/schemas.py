"""What the API takes and gives of live sessions."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from app.api.examples import example
from app.api.schemas import Metadata, Params, ShortText, Strict, Time
from worker.contract import Mode, SessionRecord, SessionRequest, SessionState
from worker.live.messages import Message
from worker.live.transport import Standing, memory_of

DType = Literal["uint8", "uint16", "int16", "uint32", "float32"]
Keep = Literal["last", "stack", "sum"]
Side = Annotated[int, Field(ge=3, le=2**16)]
Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]
MOST_KEPT = 1024


class SessionSpec(Strict):
    """A live session to be opened."""

    shape: list[Side] = Field(
        min_length=2, max_length=2, description="Rows and columns.", examples=[[512, 512]]
    )
    dtype: DType = Field("uint16", description="Of the pixels, which are sent little-endian.")
    mode: Mode = Field(
        Mode.LATEST,
        description="What is done with frames that come faster than they are denoised: `latest` "
        "leaves out and counts, `lossless` answers 429 until there is room.",
    )
    deadline_ms: int | None = Field(
        None,
        ge=1,
        le=60_000,
        description="Of mode `latest`: age from which a frame is left out when a newer one waits.",
    )
    memory_frames: float = Field(
        8.0,
        ge=0,
        le=1e6,
        allow_inf_nan=False,
        description="Half-life, in frames, of what earlier frames have shown of the specimen; 0: "
        "each frame by itself.",
    )
    keep_frames: int = Field(
        8,
        ge=1,
        le=MOST_KEPT,
        description="How many of the newest whole frames are held, raw, for a job to be made of.",
    )
    history: int = Field(
        8, ge=1, le=MOST_KEPT, description="How many results of the last whole frames are held."
    )
    params: Params = Params()
    pixel_size: list[Length] | None = Field(
        None, min_length=2, max_length=2, description="Height and width of a pixel, in `unit`."
    )
    unit: ShortText | None = Field(None, examples=["nm"])
    external_id: ShortText | None = Field(
        None, description="The session's name in the client's system.", examples=["LIMS-2025-0043"]
    )
    sample_id: ShortText | None = Field(None, description="The specimen.", examples=["Si110-b"])
    labels: dict[ShortText, ShortText] = Field(
        {}, max_length=32, examples=[{"instrument": "STEM 2"}]
    )
    metadata: Metadata = Field({}, max_length=64, examples=[{"dwell_time_us": 1}])

    def request(self, owner: str, key_id: str | None, request_id: str | None) -> SessionRequest:
        """As the ledger takes it; raises the core's ParameterError as `Params` does."""
        itemsize = int(self.dtype.lstrip("abcdefghijklmnopqrstuvwxyz")) // 8
        shape = (self.shape[0], self.shape[1])
        return SessionRequest(
            owner=owner,
            key_id=key_id,
            shape=shape,
            dtype=self.dtype,
            params=self.params.of_job().to_json(),
            memory=memory_of(shape, itemsize, self.mode, self.keep_frames, self.history),
            history=self.history,
            keep_frames=self.keep_frames,
            mode=self.mode,
            deadline_ms=self.deadline_ms,
            memory_frames=self.memory_frames,
            pixel_size=None if self.pixel_size is None else tuple(self.pixel_size[:2]),  # type: ignore[arg-type]
            unit=self.unit,
            external_id=self.external_id,
            sample_id=self.sample_id,
            labels=self.labels,
            metadata=self.metadata,
            request_id=request_id,
        )


class Counts(BaseModel):
    """What came of a session's frames.

    Each frame of which rows were received is processed, superseded, dropped or waiting, or the one
    at work.
    """

    model_config = example("Counts")

    received: int = Field(description="Frames of which rows came.")
    processed: int = Field(description="Whole frames whose result was shown.")
    superseded: int = Field(description="Frames that were shown in part until a newer one came.")
    dropped: int = Field(description="Frames that were never looked at.")
    waiting: int
    partial: int = Field(description="Frames of which the client did not send all rows.")
    repeated: int = Field(description="Blocks of rows that came again, and were ignored.")
    newest: int | None = Field(description="The newest frame of which rows came.")
    shown: int | None = Field(description="The frame of the newest result.")
    sequence: int = Field(description="Number of the newest result.")
    restarts: int = Field(description="Workers that were lost, each replaced by another.")
    age_ms: int | None = Field(
        description="Of the newest result: since the last row in it was received."
    )

    @classmethod
    def of(cls, standing: Standing, age_ms: int | None = None) -> Self:
        fields = {name: getattr(standing, name, None) for name in cls.model_fields}
        fields["restarts"] = standing.attempt - 1
        return cls.model_validate(fields | ({} if age_ms is None else {"age_ms": age_ms}))


class Session(BaseModel):
    """A live session."""

    model_config = example("Session")

    id: str
    owner: str
    state: SessionState
    reason: str | None = Field(
        description="Why it ended: `closed`, `idle`, `deleted` or `worker_lost`."
    )
    shape: list[int]
    dtype: str
    mode: Mode
    deadline_ms: int | None
    memory_frames: float
    keep_frames: int
    history: int
    params: dict[str, Any]
    pixel_size: list[float] | None
    unit: str | None
    external_id: str | None
    sample_id: str | None
    labels: dict[str, str]
    metadata: dict[str, Any]
    bound: bool = Field(description="Whether a worker serves it.")
    restarts: int = Field(description="Workers that were lost, each replaced by another.")
    counts: Counts | None = Field(
        description="null while no frame has come, or where the queue does not answer."
    )
    course: list[dict[str, Any]] = Field(
        description="Noise variance, patch size and verdicts of the frames from which something "
        "was different."
    )
    created_at: Time
    ended_at: Time | None
    jobs: list[str] = Field(description="Jobs that were made of its frames.")
    links: dict[str, str]

    @classmethod
    def of(cls, record: SessionRecord, standing: Standing | None, root: str) -> Self:
        here = f"{root}/v1/sessions/{record.id}"
        counts = None if standing is None else Counts.of(standing).model_dump()
        account = dict(record.account)
        course = account.pop("course", [] if standing is None else list(standing.course))
        links = {"self": here}
        if record.state is SessionState.OPEN:
            links |= {name: f"{here}/{name}" for name in ("latest", "results", "stream", "close")}
        links |= {f"job-{n}": f"{root}/v1/jobs/{job}" for n, job in enumerate(record.jobs, 1)}
        return cls.model_validate(
            vars(record.request)
            | vars(record)
            | {
                "shape": list(record.request.shape),
                "pixel_size": record.request.pixel_size and list(record.request.pixel_size),
                "bound": record.worker is not None,
                "restarts": record.restarts,
                "counts": account.get("counts") or counts,
                "course": course,
                "jobs": list(record.jobs),
                "links": links,
            }
        )


class SessionList(BaseModel):
    """A page of sessions, newest first."""

    model_config = example("SessionList")

    sessions: list[Session]
    next: str | None = Field(description="Pass it as `cursor` to get the next page.")


class Kept(Strict):
    """What becomes a job."""

    keep: Keep = Field(
        "last",
        examples=["stack"],
        description="`last`: the newest whole frame; `stack`: all frames that are held, denoised "
        "jointly; `sum`: their sum.",
    )


class Ending(Strict):
    """How a session ends."""

    keep: Keep | None = Field(
        "last",
        examples=["last"],
        description="What becomes a job, as in `keep`; null: nothing, the frames are gone.",
    )


class LiveResult(BaseModel):
    """A result that is held."""

    model_config = example("LiveResult")

    sequence: int
    frame: int
    age_ms: int = Field(description="From the reception of the last row to the result.")
    captured_at: Time | None

    @classmethod
    def of(cls, message: Message) -> Self:
        at = message.captured_at
        return cls.model_validate(vars(message) | {"captured_at": None if math.isnan(at) else at})


class LiveResultList(BaseModel):
    """The results of the last whole frames, oldest first."""

    model_config = example("LiveResultList")

    results: list[LiveResult]
