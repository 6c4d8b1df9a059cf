"""What a client downloads: an artifact of the ledger in the format and type it asked for.

Rendered from bytes whose digest the ledger holds, and cached beside the job with a digest of its
own that is checked whenever it is served.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from starlette.responses import Response

from app.deps import Services
from app.errors import Problem
from app.files import send_file
from app.montage import grays, montage
from app.negotiation import choose
from app.preview import draw_preview
from worker import formats
from worker.contract import Artifact, EventType, ImageRecord, JobRecord, State
from worker.store import sha256_of, write_atomic

Format = Literal["tiff", "npy", "png"]
Name = Literal["result", "residual", "coverage"]

BY_MEDIA_TYPE: dict[str, Format] = {
    media_type: format_  # type: ignore[misc]
    for format_, media_type in formats.MEDIA_TYPES.items()
}
SUFFIX = {"tiff": "tif", "npy": "npy", "png": "png"}


@dataclass(frozen=True)
class Rendition:
    """A file to serve and what it is called."""

    path: Path
    etag: str
    media_type: str
    filename: str

    def response(self, request: Request) -> Response:
        """The file, a range of it, or 304 for a client that has it."""
        return send_file(
            request,
            self.path,
            self.etag,
            media_type=self.media_type,
            filename=self.filename,
            vary="Accept",
        )


def negotiate(accept: str, stated: Format | None) -> Format:
    """The format a client wants: stated, else the one it likes best, TIFF if it takes anything."""
    if stated is not None:
        return stated
    return BY_MEDIA_TYPE[choose(accept, list(BY_MEDIA_TYPE))]


def artifact(services: Services, job: JobRecord, name: str) -> tuple[Path, Artifact]:
    """A file of a succeeded job, its bytes checked against the ledger."""
    held = _require(job, name)
    path = services.store.artifact(job.id, job.attempt, name)
    if not path.exists() or sha256_of(path) != held.sha256:
        raise Problem(
            500, "damaged_artifact", f"{name} of this job is missing or damaged in the store"
        )
    return path, held


def render(
    services: Services, job: JobRecord, name: Name, format_: Format, *, source: bool
) -> Rendition:
    """Result, residual or coverage of a succeeded job."""
    _require(job, "result.npy")
    image = services.ledger.image(job.request.image_id, owner=job.request.owner)
    stem = f"{name}-source" if source else name
    return _cached(
        services.store.renditions(job.id),
        f"{stem}.{SUFFIX[format_]}",
        formats.MEDIA_TYPES[format_],
        lambda path: formats.write(
            path, _pixels(services, job, image, name), image.info, format_, source=source
        ),
        job.id,
    )


def render_interim(services: Services, job: JobRecord, n: int | None, format_: Format) -> Rendition:
    """An interim result of the current attempt, the latest by default."""
    _check_expiry(job)
    interims = {
        int(event.data["n"]): str(event.data["sha256"])
        for event in services.ledger.events(job.id)
        if event.type is EventType.INTERIM and event.attempt == job.attempt
    }
    n = max(interims, default=0) if n is None else n
    if n not in interims:
        if not job.state.terminal:
            raise _not_ready(f"got {len(interims)} interim results so far, expected more")
        raise Problem(404, "not_found", f"this job has {len(interims)} interim results")
    path = services.store.interim(job.id, job.attempt, n)
    if not path.exists() and job.state.terminal:
        raise Problem(410, "expired", "the interim results of this job were removed")
    if sha256_of(path) != interims[n]:
        raise Problem(500, "damaged_artifact", f"interim result {n} is damaged in the store")
    image = services.ledger.image(job.request.image_id, owner=job.request.owner)
    return _cached(
        services.store.renditions(job.id),
        f"interim-{job.attempt}-{n:04d}.{SUFFIX[format_]}",
        formats.MEDIA_TYPES[format_],
        lambda target: formats.write(target, np.load(path), image.info, format_),
        job.id,
    )


def render_eigenpatches(services: Services, job: JobRecord, report: dict[str, Any]) -> Rendition:
    """The montage of all offered eigenpatches with the classifier's verdicts."""
    path, _ = artifact(services, job, "eigenpatches.npz")

    def draw(target: Path) -> None:
        with np.load(path) as eigenpatches:
            montage(eigenpatches, report["stack_reports"]).save(target, format="PNG")

    return _cached(services.store.renditions(job.id), "eigenpatches.png", "image/png", draw, job.id)


def render_eigenpatch(services: Services, job: JobRecord, stack: int, index: int) -> Rendition:
    """One eigenpatch of one stack, both counted from 1."""
    path, _ = artifact(services, job, "eigenpatches.npz")
    with np.load(path) as stacks:
        name = f"stack{stack}"
        if name not in stacks or not 1 <= index <= len(stacks[name]):
            raise Problem(404, "not_found", f"this job has no eigenpatch {index} of stack {stack}")
        patch = stacks[name][index - 1]
    return _cached(
        services.store.renditions(job.id),
        f"eigenpatch-{stack}-{index}.png",
        "image/png",
        lambda target: grays(patch).save(target, format="PNG"),
        job.id,
    )


def render_preview(services: Services, image: ImageRecord, side: int) -> Rendition:
    """An uploaded image, small and stretched."""
    pixels = services.store.pixels(image.id)
    return _cached(
        services.store.image_renditions(image.id),
        f"preview-{side}.png",
        "image/png",
        lambda target: draw_preview(np.load(pixels, mmap_mode="r"), target, side=side),
        image.id,
    )


def _pixels(services: Services, job: JobRecord, image: ImageRecord, name: Name) -> NDArray[Any]:
    if name == "coverage":
        return _load(services, job, "coverage.npy")
    result = _load(services, job, "result.npy")
    if name == "result":
        return result
    noisy = np.load(services.store.pixels(image.id), mmap_mode="r")
    return np.asarray(noisy.astype(result.dtype) - result)


def _load(services: Services, job: JobRecord, name: str) -> NDArray[Any]:
    path, _ = artifact(services, job, name)
    return np.asarray(np.load(path, mmap_mode="r"))


def _cached(
    folder: Path, filename: str, media_type: str, draw: Callable[[Path], None], of: str
) -> Rendition:
    path = folder / filename
    digest = path.with_name(f"{filename}.sha256")
    if not digest.exists() or not path.exists() or sha256_of(path) != digest.read_text():
        with write_atomic(path) as temporary:
            draw(temporary)
        with write_atomic(digest) as temporary:
            temporary.write_text(sha256_of(path))
    else:
        path.touch()  # somebody asks for it: it stays
        digest.touch()
    return Rendition(path, digest.read_text(), media_type, f"{of[:8]}-{filename}")


def _not_ready(detail: str) -> Problem:
    return Problem(409, "not_ready", detail, headers={"Retry-After": "1"})


def _check_expiry(job: JobRecord) -> None:
    if job.expires_at is not None and job.expires_at < time.time():
        expired = datetime.fromtimestamp(job.expires_at, UTC).isoformat(timespec="seconds")
        raise Problem(410, "expired", f"the results of this job expired at {expired}")


def _require(job: JobRecord, name: str) -> Artifact:
    if not job.state.terminal:
        raise _not_ready(f"the job is {job.state}, its {name.split('.')[0]} is not there yet")
    _check_expiry(job)
    if job.state is not State.SUCCEEDED:
        raise Problem(409, "no_result", f"the job {job.state} and has no {name.split('.')[0]}")
    for held in job.artifacts:
        if held.name == name:
            return held
    raise Problem(404, "not_found", f"this job has no {name}")
