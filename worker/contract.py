"""What the API, the dispatcher and the workers say to each other.

Small frozen dataclasses and names; no behaviour, no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

QUEUE = "reucid"
JOB_FUNCTION = "worker.processes.job.run"
# Redis pub/sub; the payload is a job id, the truth is in the ledger
WAKE_CHANNEL = "reucid:wake"  # for dispatchers and readers
NEWS_CHANNEL = "reucid:news"  # for readers alone: how far a job is
PART_FUNCTION = "worker.processes.helping.run"
LIVE_QUEUE = "reucid-live"
LIVE_FUNCTION = "worker.processes.live_job.run"
LIVE_CHANNEL = "reucid:live"  # Redis pub/sub; the payload is the id of a session with news

WORKER_SILENCE = 15.0  # s without a sign of life after which a worker counts as gone


class State(StrEnum):
    """Where a job stands. The last three are terminal and never left."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        return self not in (State.QUEUED, State.RUNNING)


class Stage(StrEnum):
    """What a running job is doing."""

    LOADING = "loading"
    DENOISING = "denoising"
    SAVING = "saving"


class Work(StrEnum):
    """What is done with the frames of a part."""

    FIRST_SUMS = "sums-1"  # what joint frames share is added up over them, twice
    SECOND_SUMS = "sums-2"
    FRAMES = "frames"  # they are denoised


class PartState(StrEnum):
    """Where a part stands."""

    OPEN = "open"
    RUNNING = "running"
    DONE = "done"


class Priority(StrEnum):
    """`interactive` jobs are dispatched before any `batch` job."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class Scope(StrEnum):
    """What a key allows; `admin` includes the others and sees every owner's objects."""

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"


class SessionState(StrEnum):
    """Where a live session stands. The last two are terminal and never left."""

    OPEN = "open"
    CLOSED = "closed"
    FAILED = "failed"


class Mode(StrEnum):
    """What a live session does with frames that come faster than they are denoised."""

    LATEST = "latest"
    LOSSLESS = "lossless"


class EventType(StrEnum):
    """The kinds of ledger events, which are also the names of the server-sent events."""

    QUEUED = "queued"
    STARTED = "started"
    STAGE = "stage"
    INTERIM = "interim"
    WARNING = "warning"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def terminal(self) -> bool:
        return self in (EventType.SUCCEEDED, EventType.FAILED, EventType.CANCELED)


class Topic(StrEnum):
    """What a webhook can be told of."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    IMAGE_EXPIRED = "image.expired"
    TEST = "test"


class DeliveryState(StrEnum):
    """Where a delivery to a webhook stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class ImageInfo:
    """What is known of one image signal of a file: everything a result needs beside the pixels."""

    format: str  # of the file, as in worker.formats.FORMATS
    shape: tuple[int, ...]  # rows, columns; of a stack: frames, rows, columns
    dtype: str  # of the source, as numpy spells it: "uint16"
    pixel_size: tuple[float, float] | None = None  # height, width of a pixel in `unit`
    unit: str | None = None  # "nm", "µm", ...; None when uncalibrated
    metadata: Mapping[str, Any] = field(default_factory=dict)  # what else the file says, cut short
    title: str = ""
    frame_step: float | None = None  # from frame to frame, in `frame_unit`
    frame_unit: str | None = None  # "s", "deg", "nm", ...
    detector: str | None = None
    beam_energy: float | None = None  # keV
    dwell_time: float | None = None  # s
    dose: float | None = None  # electrons per square ångström and frame, from the beam current
    origin: tuple[float, float] | None = None  # row and column of the first pixel, in `unit`
    frame_origin: float | None = None  # where the first frame is, in `frame_unit`
    notes: tuple[str, ...] = ()  # what was doubtful in the file, and how it was taken

    @property
    def frames(self) -> int:
        return self.shape[0] if len(self.shape) == 3 else 1

    @property
    def frame_shape(self) -> tuple[int, int]:
        return self.shape[-2], self.shape[-1]


@dataclass(frozen=True)
class SkippedSignal:
    """A signal of a file that is no image, and why."""

    title: str
    reason: str


@dataclass(frozen=True)
class Reduced:
    """Means of a large array at smaller scales, in files beside it."""

    levels: str  # SHA-256 of the means
    tiles: str  # and of the digests of their tiles


@dataclass(frozen=True)
class FileInfo:
    """What decoding found in a file."""

    format: str
    signals: tuple[ImageInfo, ...]
    skipped: tuple[SkippedSignal, ...] = ()
    default: int | None = 0  # the signal that is denoised when none is chosen; None: one has to be
    digests: tuple[str, ...] = ()  # SHA-256 of each decoded signal's file, of an accepted image
    folder: str = ""  # of the store, of an accepted image; its id where nothing is stated
    reduced: tuple[Reduced | None, ...] = ()  # of each large signal, of an accepted image


@dataclass(frozen=True)
class Artifact:
    """One file of a finished attempt, as the ledger vouches for it."""

    name: str
    sha256: str
    size: int  # bytes


@dataclass(frozen=True)
class Failure:
    """Why a job failed: a stable code for programs and a sentence for people."""

    code: str  # "invalid_input", "worker_lost", "timeout", "internal", ...
    detail: str


@dataclass(frozen=True)
class JobRequest:
    """A job as its client asked for it, before the ledger gives it an id."""

    owner: str
    image_id: str
    params: Mapping[str, Any]  # worker.denoising.params.JobParams, as JSON
    priority: Priority = Priority.INTERACTIVE
    external_id: str | None = None
    sample_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    retry_of: str | None = None
    batch: str | None = None
    request_id: str | None = None  # of the HTTP request, for the logs


@dataclass(frozen=True)
class Room:
    """How many jobs may be queued."""

    per_owner: int
    everyone: int


@dataclass(frozen=True)
class JobRecord:
    """A job as the ledger holds it. Times are seconds since the epoch, by the database's clock."""

    id: str
    serial: int  # grows in the order of acceptance
    request: JobRequest
    state: State
    attempt: int  # 1 for the first; counted up when a lease is lost
    created_at: float
    stage: Stage | None = None
    stacks_done: int = 0
    stacks: int | None = None
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    finish_requested: bool = False
    failure: Failure | None = None
    artifacts: tuple[Artifact, ...] = ()
    image_name: str = ""  # as its owner calls the file

    def artifact(self, name: str) -> Artifact | None:
        """What the ledger vouches for under this name, of a job that succeeded."""
        return next((held for held in self.artifacts if held.name == name), None)


@dataclass(frozen=True)
class PartRecord:
    """Frames of a job's stack that one worker works on, as the ledger holds them.

    Its files are in the store under its own id and attempt, as those of a job.
    """

    id: str
    job_id: str
    work: Work
    number: int  # from 0, in the order of the frames
    first: int  # frame, from 0
    stop: int  # frame after the last one
    state: PartState
    attempt: int
    age: float  # s since the job was spread
    worker: str | None = None  # that does it, or has done it
    frames_done: int = 0
    artifacts: tuple[Artifact, ...] = ()  # of one that is done
    seconds: float | None = None  # that it took

    def artifact(self, name: str) -> Artifact | None:
        """What the ledger vouches for under this name, of a part that is done."""
        return next((held for held in self.artifacts if held.name == name), None)


@dataclass(frozen=True)
class ImageRecord:
    """An accepted image as the ledger holds it."""

    id: str
    owner: str
    name: str  # the client's file name: shown, never used as a path
    sha256: str  # of the bytes that were sent
    size: int  # bytes
    created_at: float
    contents: FileInfo
    expired_at: float | None = None  # since when its files are gone

    @property
    def folder(self) -> str:
        """Where its files are in the store."""
        return self.contents.folder or self.id

    @property
    def info(self) -> ImageInfo:
        """Of the signal that is denoised when none is chosen, or the first where one has to be."""
        return self.contents.signals[self.contents.default or 0]


@dataclass(frozen=True)
class KeyRecord:
    """A key as the ledger holds it: all but the key itself, of which only the hash is kept."""

    id: str
    owner: str
    name: str  # what its maker calls it: "LIMS", "microscope 2"
    prefix: str  # its first characters, to tell it by
    scopes: frozenset[Scope]
    state: Literal["valid", "expired", "revoked"]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None  # to the minute


@dataclass(frozen=True)
class Event:
    """One line of a job's history; `id` grows over the whole ledger, so a reader can resume."""

    id: int
    job_id: str
    attempt: int
    type: EventType
    data: Mapping[str, Any]
    created_at: float


@dataclass(frozen=True)
class WebhookRecord:
    """A webhook as the ledger holds it, without its secret."""

    id: str
    owner: str
    url: str
    topics: tuple[Topic, ...]
    created_at: float
    failing_since: float | None = None
    disabled_at: float | None = None
    disabled_reason: str | None = None


@dataclass(frozen=True)
class DeliveryRecord:
    """Something that a webhook is told; `number` grows in the order in which it came true."""

    number: int
    webhook_id: str
    subject: str  # id of the job or image it is about
    topic: Topic
    data: Mapping[str, Any]
    created_at: float
    state: DeliveryState
    attempts: int
    due_at: float
    ended_at: float | None
    status: int | None
    error: str | None


@dataclass(frozen=True)
class SessionRequest:
    """A live session as its client asked for it, before the ledger gives it an id."""

    owner: str
    shape: tuple[int, int]  # rows, columns of every frame
    dtype: str  # as numpy spells it: "uint16"; little-endian on the wire
    params: Mapping[str, Any]  # worker.denoising.params.JobParams, as JSON
    memory: int  # bytes of Valkey that the session may take
    history: int  # results of whole frames that are held for who comes later
    keep_frames: int  # newest whole raw frames that are held for a job
    key_id: str | None = None  # of the key that opened it
    mode: Mode = Mode.LATEST
    deadline_ms: int | None = None  # age from which a frame is left out when a newer one waits
    memory_frames: float = 8.0  # half-life of what earlier frames have shown
    pixel_size: tuple[float, float] | None = None  # height, width of a pixel in `unit`
    unit: str | None = None
    external_id: str | None = None
    sample_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None

    @property
    def itemsize(self) -> int:
        """Bytes of a pixel."""
        return int(self.dtype.lstrip("abcdefghijklmnopqrstuvwxyz")) // 8

    @property
    def row_bytes(self) -> int:
        return self.shape[1] * self.itemsize

    @property
    def frame_bytes(self) -> int:
        return self.shape[0] * self.row_bytes


@dataclass(frozen=True)
class SessionRecord:
    """A live session as the ledger holds it. Times are seconds since the epoch."""

    id: str
    request: SessionRequest
    state: SessionState
    attempt: int  # 1 for the first worker that is bound to it; one more for each that follows
    created_at: float
    touched_at: float  # when the last frame was seen to have come
    worker: str | None = None
    ended_at: float | None = None
    reason: str | None = None  # why it ended: "closed", "idle", "worker_lost"
    account: Mapping[str, Any] = field(default_factory=dict)  # counts and course, once it ended
    jobs: tuple[str, ...] = ()  # that were made of its frames

    @property
    def restarts(self) -> int:
        return self.attempt - 1
