"""What the API takes and gives, flat enough to generate clients from."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.api.examples import example
from reucid_core.params import MAX_DEADLINE, MAX_SEED, MIN_PATCH_SIZE
from reucid_core.revision import Verdicts
from worker.contract import (
    ImageInfo,
    ImageRecord,
    JobRecord,
    KeyRecord,
    Priority,
    Scope,
    Stage,
    State,
)
from worker.denoising.model_files import ModelInfo
from worker.denoising.params import JobParams
from worker.ledger.jobs import MOST_LABELS

LARGEST_METADATA = 64 * 1024  # characters of JSON

Colormap = Literal["gray", "viridis", "inferno", "magma"]


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    """JSON as every database can hold it: no NaN, no infinity, no NUL; and not too much of it."""
    text = json.dumps(value, allow_nan=False)
    if "\\u0000" in text:
        raise ValueError("got a NUL character, which a database cannot hold")
    if len(text) > LARGEST_METADATA:
        raise ValueError(f"got {len(text)} characters of JSON, at most {LARGEST_METADATA} are kept")
    return value


def _utc(moment: Any) -> Any:
    """A record's seconds since the epoch, as a time."""
    return datetime.fromtimestamp(moment, UTC) if isinstance(moment, int | float) else moment


ShortText = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
# A part of an address: a slash, or "." and "..", would not reach us as they were sent.
PART_OF_ADDRESS = r"^[^/\x00]*[^./\x00][^/\x00]*$"
BatchName = Annotated[str, Field(max_length=200, pattern=PART_OF_ADDRESS)]
ExternalId = Annotated[
    ShortText | None,
    Field(description="The job's name in the client's system.", examples=["LIMS-2025-0042"]),
]
SampleId = Annotated[ShortText | None, Field(description="The specimen.", examples=["Si110-b"])]
BatchOfJob = Annotated[
    BatchName | None,
    Field(description="Name that the jobs of one batch share.", examples=["series-7"]),
]
Labels = Annotated[dict[ShortText, ShortText], Field(max_length=MOST_LABELS)]
Metadata = Annotated[dict[str, Any], AfterValidator(_storable)]
Time = Annotated[datetime, BeforeValidator(_utc)]
Pair = Annotated[list[float], BeforeValidator(list), Field(min_length=2, max_length=2)]


class Strict(BaseModel):
    """A body whose unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Params(Strict):
    """Parameters of a denoising; every one may be left out."""

    method: Literal["auto", "two-scale", "paper"] = Field(
        "auto",
        description="`two-scale`: the noise is measured in the image, the lattice is found in "
        "large patches and what departs from it in small ones; `paper`: as published, for white "
        "noise; `auto`: `two-scale` unless engine `stacked`, `stacks`, `components` or `model` are "
        "stated, which only `paper` has. The report's `method` and `method_reason` say which.",
    )
    engine: Literal["auto", "exact", "stacked"] = Field(
        "auto",
        description="How the result is computed: `stacked` is Algorithm 1 of the paper, `exact` "
        "its result with one stack at a fraction of the cost.",
    )
    patch_size: int | None = Field(
        None,
        ge=MIN_PATCH_SIZE,
        description="Side of a patch in px, odd; by default the one of least estimated error, or "
        "with method `paper` the diameter of the point-spread function.",
        examples=[11],
    )
    patch_size_from: ShortText | None = Field(
        None,
        description="Name of a rule that gives the patch size, which is not stated then: "
        "`autocorrelation`, as method `paper` has by default, `information-limit`, which needs no "
        "feature of the autocorrelation, or one that the operator has installed. The report's "
        "`patch_size_origin` names it.",
        examples=["information-limit"],
    )
    stacks: int | None = Field(
        None,
        ge=1,
        description="Number of patch stacks, of method `paper`; by default as few as the memory "
        "allows.",
    )
    components: int | None = Field(
        None,
        ge=1,
        description="Eigenpatches per stack offered to the classifier, of method `paper`.",
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Utility from which an eigenpatch is kept; by default the one stored with the "
        "classifier.",
    )
    select: Literal["any", "leading"] = Field(
        "any",
        description="Which eigenpatches are kept: `any` that reaches the threshold, or as many "
        "from the first on, without gaps.",
    )
    seed: int = Field(
        0, ge=0, le=MAX_SEED, description="Same image, parameters and seed: same result."
    )
    precision: Literal["auto", "float32", "float64"] = Field(
        "auto", description="Floating-point type of the computation."
    )
    deadline: float | None = Field(
        None,
        ge=0,
        le=MAX_DEADLINE,
        description="Seconds after which no further stack is begun; with two scales, after which "
        "what departs from the lattice is not looked for any more.",
    )

    model: ShortText | None = Field(
        None,
        description="Classifier, by its name in `GET /v1/models`, all of which are for method "
        "`paper`; by default the one that is marked as default there. With `two-scale` the rule "
        "of the noise floor judges.",
        examples=["paper"],
    )
    scan_axis: Literal["auto", "x", "y"] = Field(
        "auto",
        description="Along which the fast scan runs, for method `two-scale`; `x`: along the rows.",
    )
    outliers: Literal["keep", "repair"] = Field(
        "keep",
        description="What hot pixels and spikes, bars and text drawn over the image, and rows that "
        "were lost, all left out of the decomposition, hold in the result of method `two-scale`: "
        "raw values, or what is made of their neighbours.",
    )
    bias: bool = Field(
        False,
        description="Whether the verdict tells how much of small changes in single columns is "
        "kept: found by denoising the result once more, in twice the time.",
    )
    scan_noise: Literal["auto", "keep", "remove"] = Field(
        "auto",
        description="Whether row offsets and row jitter of the scan are data, to `keep`, or an "
        "artefact, to `remove`; `auto`: `keep` with method `paper`, `remove` with `two-scale`.",
        examples=["remove"],
    )

    signal: Annotated[int, Field(ge=0)] | ShortText | None = Field(
        None,
        description="Image signal of the file, by its position from 0 or its title; by default "
        "the one that the image's listing marks so.",
    )
    frame: int | None = Field(
        None, ge=0, description="One frame of a stack, from 0; by default all of them."
    )
    frames: Literal["each", "joint"] = Field(
        "each",
        description="Of a stack: `each` frame by its own eigenpatches, or `joint`: one noise "
        "model, Gram matrix, patch size and verdict for all frames (engine `exact` only).",
    )

    def of_job(self) -> JobParams:
        """As a job takes them; raises the core's ParameterError for what a schema cannot say."""
        return JobParams.from_json(self.model_dump())


Stack = Annotated[str, Field(pattern="^[1-9][0-9]{0,5}$")]
Indices = Annotated[
    dict[Stack, Annotated[list[Annotated[int, Field(ge=1, le=10**6)]], Field(max_length=10**4)]],
    Field(max_length=1000),
]


class JobFields(Strict):
    """What a client may attach to a job; echoed with it."""

    priority: Priority = Priority.INTERACTIVE
    external_id: ExternalId = None
    sample_id: SampleId = None
    batch: BatchOfJob = None
    labels: Labels = Field({}, examples=[{"instrument": "STEM 2"}])
    metadata: Metadata = Field({}, max_length=64, examples=[{"beam_energy_kV": 300}])


class JobSpec(JobFields):
    """A job on an image that was uploaded before."""

    image_id: str = Field(
        pattern="^[0-9a-f]{32}$",
        description="From `POST /v1/images`.",
        examples=["0123456789abcdef0123456789abcdef"],
    )
    params: Params = Params()


class JobChange(Strict):
    """What a client calls a job, changed; what is left out stays, null takes it away."""

    external_id: ExternalId = None
    sample_id: SampleId = None
    batch: BatchOfJob = None
    labels: Annotated[dict[ShortText, ShortText | None], Field(max_length=2 * MOST_LABELS)] = Field(
        {},
        description="Labels to set, or with null to take away; the others stay.",
        examples=[{"instrument": "STEM 2", "draft": None}],
    )


class JobForm(JobFields):
    """The fields beside `file` in a multipart submission; `params` and objects are JSON."""

    params: Params = Params()


class Signal(BaseModel):
    """An image signal of a file."""

    model_config = example("Signal")

    title: str
    shape: list[int] = Field(description="Rows, columns; of a stack: frames, rows, columns.")
    frames: int
    dtype: str
    pixel_size: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        description="Height and width, in `unit`."
    )
    unit: str | None
    frame_step: float | None = Field(description="From frame to frame, in `frame_unit`.")
    frame_unit: str | None
    detector: str | None
    beam_energy: float | None = Field(description="keV.")
    dwell_time: float | None = Field(description="Seconds per pixel.")
    dose: float | None = Field(
        description="Electrons per square ångström and frame, from the beam current in the file."
    )
    origin: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        description="Row and column of the first pixel, in `unit`; null where they are 0."
    )
    frame_origin: float | None = Field(
        description="Where the first frame is, in `frame_unit`; null where it is at 0."
    )
    notes: list[str] = Field(description="What was doubtful in the file, and how it was taken.")
    metadata: dict[str, Any] = Field(
        description="What else the file says, cut to 256 KiB for the whole file."
    )

    @classmethod
    def of(cls, info: ImageInfo) -> "Signal":
        return cls.model_validate(info, from_attributes=True)


class Skipped(BaseModel):
    """A signal of a file that is no image."""

    model_config = example("Skipped")

    title: str
    reason: str


class ImageSummary(BaseModel):
    """An uploaded file; shape, type and calibration are those of its default signal."""

    model_config = example("ImageSummary")

    id: str
    owner: str
    name: str
    sha256: str = Field(
        description="Of the bytes that were sent; of several files, one after another."
    )
    size: int = Field(description="Bytes.")
    format: str
    shape: list[int] = Field(description="Rows, columns; of a stack: frames, rows, columns.")
    dtype: str
    pixel_size: Pair | None = Field(description="Height and width, in `unit`.")
    unit: str | None
    signal_count: int = Field(description="Images in the file; `GET /v1/images/{id}` lists them.")
    default_signal: int | None = Field(
        description="The signal that is denoised when a job names none; null where it has to."
    )
    created_at: Time
    expired_at: Time | None = Field(description="When its content was removed.")

    @classmethod
    def of(cls, record: ImageRecord) -> Self:
        return cls.model_validate(_of_image(record))


class Image(ImageSummary):
    """An uploaded file and all that is known of it."""

    model_config = example("Image")

    signals: list[Signal]
    skipped: list[Skipped]

    @classmethod
    def of(cls, record: ImageRecord) -> Self:
        held = record.contents
        signals = [Signal.of(each) for each in held.signals]
        skipped = [vars(each) for each in held.skipped]
        return cls.model_validate(_of_image(record) | {"signals": signals, "skipped": skipped})


class RevisionSpec(Strict):
    """A person's verdicts on the eigenpatches of a job's result."""

    keep: Indices = Field(
        {},
        description="Eigenpatches to keep, from 1, by the number of their stack, from 1. With "
        "method `two-scale` stack 1 is the lattice's and stack 2 that of what departs from it.",
        examples=[{"1": [3, 5]}],
    )
    drop: Indices = Field({}, description="Eigenpatches to leave out.", examples=[{"1": [7]}])
    frame: int = Field(
        0,
        ge=0,
        le=10**6,
        description="Of a stack of images, the frame whose eigenpatches they are, from 0; where "
        "all frames share theirs, it is of no account.",
    )

    def verdicts(self) -> Verdicts:
        return Verdicts(*({int(n): each for n, each in x.items()} for x in (self.keep, self.drop)))


class JobError(BaseModel):
    """Why a job failed."""

    model_config = example("JobError")

    code: str
    detail: str


class JobSummary(BaseModel):
    """A job and where it stands, without its metadata."""

    model_config = example("JobSummary")

    id: str
    owner: str
    state: State
    stage: Stage | None = Field(description="What a running job is doing.")
    progress: float = Field(ge=0, le=1)
    stacks_done: int = Field(
        description="Patch stacks or scales of an image; frames of a stack of images."
    )
    stacks: int | None = Field(description="How many there are in all.")
    eta_s: float | None = Field(description="Seconds until a running job is done, estimated.")
    queue_position: int | None = Field(description="0 is next; null when not queued.")
    attempt: int
    image_id: str
    image_name: str = Field(description="Of the input, as it was sent.")
    params: dict[str, Any]
    priority: Priority
    external_id: str | None
    sample_id: str | None
    batch: str | None
    labels: dict[str, str]
    retry_of: str | None
    revision_of: str | None = Field(
        description="The job whose result this one revises; its verdicts are in `params`."
    )
    finish_requested: bool
    error: JobError | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Time | None
    links: dict[str, str]

    @classmethod
    def of(
        cls, record: JobRecord, *, queue_position: int | None, now: float, root: str = ""
    ) -> Self:
        return cls.model_validate(
            vars(record.request)
            | vars(record)
            | {
                "progress": _progress(record),
                "eta_s": _eta(record, now),
                "queue_position": queue_position,
                "revision_of": (record.request.params.get("revision") or {}).get("of"),
                "error": record.failure and vars(record.failure),
                "links": _links(record.id, root),
            }
        )


class Job(JobSummary):
    """A job and where it stands."""

    model_config = example("Job")

    metadata: dict[str, Any]


class Verdict(BaseModel):
    """What a result says of itself, without a truth."""

    model_config = example("Verdict")

    suspicious: bool = Field(
        description="Whether it should not be used without a look: hardly any noise was removed, "
        "its residual holds structure, or detail was lost."
    )
    sentences: list[str] = Field(
        description="The doubts first. Of a stack, each says of how many frames it is true."
    )

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> "Verdict":
        """As a report tells."""
        doubted = set(report["warnings"])
        sentences = list(report["verdict"])
        return cls(suspicious=not doubted.isdisjoint(sentences), sentences=sentences)


class ImageList(BaseModel):
    """A page of images, newest first."""

    model_config = example("ImageList")

    images: list[ImageSummary]
    next: str | None = Field(description="Pass it as `cursor` to get the next page.")


class Model(BaseModel):
    """A classifier."""

    model_config = example("Model")

    name: str = Field(description="Value of a job's parameter `model`.")
    identity: str = Field(description="As reports name it: name and SHA-256 of the weights.")
    sha256: str
    default: bool = Field(description="Whether it is used when a job names none.")
    card: dict[str, Any] = Field(description="How the weights were made, from their file.")

    @classmethod
    def of(cls, info: ModelInfo, *, default: bool) -> "Model":
        return cls.model_validate(vars(info) | {"identity": info.identity, "default": default})


class ModelList(BaseModel):
    """The classifiers of this server, the default first."""

    model_config = example("ModelList")

    models: list[Model]


class JobList(BaseModel):
    """A page of jobs, newest first."""

    model_config = example("JobList")

    jobs: list[JobSummary]
    next: str | None = Field(description="Pass it as `cursor` to get the next page.")


class KeySpec(Strict):
    """A key to be made."""

    owner: str = Field(
        pattern="^[A-Za-z0-9._@-]{1,200}$",
        description="Everything made with the key belongs to this owner.",
        examples=["lab-3"],
    )
    scopes: list[Scope] = Field(min_length=1, examples=[["submit", "read"]])
    name: ShortText = Field("", description="What it is for.", examples=["LIMS"])
    expires_days: float | None = Field(
        None, gt=0, le=36500, description="Days until it ends; never if left out."
    )


class Key(BaseModel):
    """A key, without itself."""

    model_config = example("Key")

    id: str
    owner: str
    name: str
    prefix: str = Field(description="The key's first characters.")
    scopes: list[Scope]
    state: Literal["valid", "expired", "revoked"]
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    last_used_at: Time | None = Field(description="To the minute.")

    @classmethod
    def of(cls, record: KeyRecord) -> "Key":
        return cls.model_validate(vars(record) | {"scopes": sorted(record.scopes)})


class NewKey(Key):
    """A key that was just made."""

    model_config = example("NewKey")

    key: str = Field(description="The key itself, shown this once.")


class KeyList(BaseModel):
    """All keys."""

    model_config = example("KeyList")

    keys: list[Key]


class Index(BaseModel):
    """Where everything is."""

    model_config = example("Index")

    name: str
    links: dict[str, str]


class Version(BaseModel):
    """What runs here."""

    model_config = example("Version")

    version: str


class Health(BaseModel):
    """Whether the server can serve."""

    model_config = example("Health")

    status: Literal["ok", "degraded", "down"]
    problems: list[str] = []


def _of_image(record: ImageRecord) -> dict[str, Any]:
    held = record.contents
    counted = {"signal_count": len(held.signals), "default_signal": held.default}
    return vars(record.info) | vars(record) | counted


def _progress(record: JobRecord) -> float:
    if record.state is State.SUCCEEDED:
        return 1.0
    # Saving is not counted: below 1 until the result is there.
    return 0.99 * record.stacks_done / record.stacks if record.stacks else 0.0


def _eta(record: JobRecord, now: float) -> float | None:
    if record.state is not State.RUNNING or record.started_at is None:
        return None
    if not record.stacks_done or record.stacks is None:
        return None
    per_stack = (now - record.started_at) / record.stacks_done
    return round(max(0.0, per_stack * (record.stacks - record.stacks_done)), 1)


def _links(job_id: str, root: str) -> dict[str, str]:
    here = f"{root}/v1/jobs/{job_id}"
    images = ("result", "residual", "coverage", "departures", "input", "interim")
    parts = ("events", *images, "eigenpatches.png", "verdict", "report", "provenance", "bundle.zip")
    links = {part.split(".")[0]: f"{here}/{part}" for part in parts}
    return {"self": here} | links | {"eln": f"{here}/bundle.eln"}
