"""The one place where the environment is read."""

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

KIB, MIB = 2**10, 2**20
DAY = 86400.0  # s
LEDGER = "ledger.sqlite"  # in the data folder


class Settings(BaseSettings):
    """Settings of a server, each from `REUCID_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="REUCID_", frozen=True)

    data_dir: Path = Field(
        default=Path.home() / ".local" / "share" / "reucid",
        description="Folder of the ledger, the inputs and the results.",
    )
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL of the ledger; SQLite in `data_dir` when unset."
    )
    store_url: str | None = Field(
        default=None,
        description="Where inputs and results are kept: a folder, or "
        "`s3://BUCKET/PREFIX?endpoint=URL&region=REGION`; `data_dir` when unset.",
    )
    store_cache_mib: int = Field(
        default=10_240,
        ge=1,
        description="Disk space for copies of what a store in a bucket keeps; what was used "
        "within the last minutes may go beyond it.",
    )
    ledger_on_network: bool = Field(
        default=False, description="Allow an SQLite ledger on a network filesystem."
    )
    redis_url: str | None = Field(
        default=None, description="Redis or Valkey to use; an embedded Valkey when unset."
    )
    host: str = Field(
        default="127.0.0.1", description="Address to listen on; other than loopback needs a key."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks one.")
    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="Path under which a proxy publishes the server, such as `/reucid`.",
    )
    workers: int = Field(default=1, ge=1, description="Worker processes.")
    threads: int = Field(default=1, ge=1, description="Threads of one worker (BLAS, FFT, torch).")
    memory_budget_mib: int | None = Field(
        default=None,
        ge=1,
        description="Working memory of one job; found from the machine if unset.",
    )
    model: Path | None = Field(
        default=None, description="Classifier weights (safetensors); the bundled ones when unset."
    )
    model_dir: Path | None = Field(
        default=None, description="Folder of further classifiers (.safetensors) that jobs may name."
    )
    heartbeat_file: Path | None = Field(
        default=None,
        description="File that a dispatcher or worker touches while it is well, one for each "
        "process; `reucid healthy` looks at its age.",
    )
    max_upload_mib: int = Field(default=2048, ge=1, description="Largest accepted file.")
    max_queued: int = Field(default=10_000, ge=1, description="Queued jobs of all owners.")
    max_queued_per_owner: int = Field(default=2000, ge=1, description="Queued jobs of one owner.")
    max_waiting_per_key: int = Field(
        default=128, ge=1, description="Open event streams and long polls of one key."
    )
    max_waiting: int = Field(
        default=1024, ge=1, description="Open event streams and long polls of an API process."
    )
    rate_limit: str = Field(
        default="3000/minute",
        pattern=r"^([1-9][0-9]*/(second|minute|hour|day))?$",
        description="Requests of one key, as N/second, minute, hour or day; no limit when empty.",
    )
    owner_quota_mib: int | None = Field(
        default=None,
        ge=1,
        description="Disk space for the files of one owner; no limit when unset.",
    )
    min_free_mib: int = Field(
        default=256, ge=0, description="Free disk space that uploads and jobs must leave."
    )
    client_timeout_s: float = Field(
        default=30.0,
        gt=0,
        description="Time that a client may let the server wait: for the head of a request, for "
        "its body beyond what `min_rate_kib` allows, for room to send on.",
    )
    min_rate_kib: float = Field(
        default=16.0,
        gt=0,
        description="KiB of a body that allow its client one more second.",
    )
    cors_origins: str = Field(
        default="",
        description="Other sites whose pages may use the API, such as `https://lims.example.org`; "
        "separated by spaces.",
    )
    max_pixels: int = Field(
        default=2**28,
        ge=9,
        description="Largest accepted image, in pixels of all its frames and signals.",
    )
    decode_timeout_s: float = Field(
        default=30.0, gt=0, description="Time limit of decoding a file."
    )
    part_pixels: int = Field(
        default=2**20,
        ge=9,
        description="A stack with more pixels is denoised in parts of at most so many, at least "
        "one frame each, by all workers that have no job of their own.",
    )
    job_timeout_s: int = Field(default=3600, ge=1, description="Time limit of one attempt.")
    lease_s: float = Field(
        default=15.0,
        ge=8,
        description="A running job silent for this long is given to another worker.",
    )
    stop_grace_s: float = Field(
        default=8.0,
        ge=0,
        description="Time a job has to end when its worker is stopped, before it is given back.",
    )
    max_attempts: int = Field(
        default=3, ge=1, description="Attempts lost with their worker before a job fails."
    )
    result_days: float = Field(default=30.0, gt=0, description="Days until a result expires.")
    input_days: float = Field(
        default=30.0,
        gt=0,
        description="Days until an input expires that is not used, nor needed by a live result.",
    )
    job_days: float = Field(
        default=365.0, gt=0, description="Days until the record of an ended job expires."
    )
    tombstone_days: float = Field(
        default=1825.0,
        gt=0,
        description="Days for which an expired job or image is answered with 410; after that "
        "with 404.",
    )
    rendition_days: float = Field(
        default=7.0,
        gt=0,
        description="Days after which a cached picture that nobody asked for is removed.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        exclude=True,
        description="Key that `reucid submit`, `bundle` and `doctor` show to the server.",
    )
    metrics_open: bool = Field(
        default=False,
        description="Show `/metrics` to everybody, not only to this machine and to keys with the "
        "scope `read`.",
    )
    trusted_proxies: str = Field(
        default="127.0.0.1,::1",
        description="Addresses of proxies whose `X-Forwarded-For` and `-Proto` are believed, "
        "separated by commas.",
    )
    webhook_private: bool = Field(
        default=False,
        description="Let webhooks point to this machine and to local networks.",
    )
    live_workers: int = Field(
        default=1,
        ge=0,
        description="Processes that denoise while a microscope scans, one for each open session.",
    )
    live_sessions: int | None = Field(
        default=None,
        ge=0,
        description="Open live sessions of all owners; as many as `live_workers` when unset.",
    )
    live_sessions_per_key: int = Field(default=4, ge=1, description="Open live sessions of a key.")
    live_max_pixels: int = Field(
        default=2**22, ge=9, description="Largest frame of a live session, in pixels."
    )
    live_memory_mib: int = Field(
        default=512,
        ge=1,
        description="Memory of Valkey that all open live sessions may take: frames that wait, "
        "raw frames that are kept, the last results.",
    )
    live_rate: int = Field(
        default=2000, ge=1, description="Frames or blocks of rows of a live session, in a second."
    )
    live_idle_s: float = Field(
        default=300.0, gt=0, description="A live session without frames for so long is closed."
    )
    log_level: Literal["debug", "info", "warning"] = Field(
        default="info", description="`debug` also logs successful read requests."
    )
    log_json: bool = Field(default=False, description="Log JSON lines instead of console lines.")

    @field_validator("data_dir", "model", "model_dir", "heartbeat_file")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Of the folder of this process: a decoder's child works in another one."""
        return None if path is None else path.absolute()

    def as_environment(self) -> dict[str, str]:
        """The environment in which another process has these settings."""
        stated = self.model_dump(mode="json", exclude_none=True)
        return {f"REUCID_{name.upper()}": str(value) for name, value in stated.items()}

    @cached_property
    def ledger_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / LEDGER}"

    @property
    def key(self) -> str | None:
        """The key of this client."""
        return None if self.api_key is None else self.api_key.get_secret_value()

    @property
    def memory_budget(self) -> int | None:
        """Working memory of one job in bytes, None to find it from the machine."""
        return None if self.memory_budget_mib is None else self.memory_budget_mib * MIB

    @property
    def owner_quota(self) -> int | None:
        """What the files of one owner may take, in bytes."""
        return None if self.owner_quota_mib is None else self.owner_quota_mib * MIB

    @property
    def store_cache(self) -> int:
        """What copies of objects may take on this machine, in bytes."""
        return self.store_cache_mib * MIB

    @property
    def live_memory(self) -> int:
        """Memory of Valkey that all open live sessions may take, in bytes."""
        return self.live_memory_mib * MIB

    @property
    def most_live_sessions(self) -> int:
        """How many live sessions may be open, of all owners."""
        return self.live_workers if self.live_sessions is None else self.live_sessions

    @property
    def min_free(self) -> int:
        """Free space of the store that uploads and jobs must leave, in bytes."""
        return self.min_free_mib * MIB

    @property
    def min_rate(self) -> float:
        """Bytes of a body that give its client one more second."""
        return self.min_rate_kib * KIB

    @property
    def max_upload(self) -> int:
        """Largest accepted file in bytes."""
        return self.max_upload_mib * MIB
