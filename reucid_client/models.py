"""What a server tells: images, jobs, events. `data` has all of it, also what later versions add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ENDED = ("succeeded", "failed", "canceled")


@dataclass(frozen=True)
class Image:
    """An uploaded file."""

    id: str
    name: str
    shape: tuple[int, ...]
    data: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Image:
        """From the server's JSON."""
        return cls(data["id"], data["name"], tuple(data["shape"]), data)


@dataclass(frozen=True)
class Job:
    """A denoising, as the server told it last."""

    id: str
    state: str  # queued, running, succeeded, failed, canceled
    stage: str | None
    progress: float  # 0 to 1
    error: dict[str, str] | None
    data: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Job:
        """From the server's JSON."""
        return cls(data["id"], data["state"], data["stage"], data["progress"], data["error"], data)

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.state in ENDED


@dataclass(frozen=True)
class Event:
    """Something that happened to a job."""

    id: int  # pass it as `after` to go on behind it
    type: str  # queued, started, stage, interim, warning, succeeded, failed, canceled
    data: Mapping[str, Any]
