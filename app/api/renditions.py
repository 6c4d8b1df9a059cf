"""What a client downloads: an artifact of the ledger in the format and type it asked for.

Rendered from bytes whose digest the ledger holds, and cached beside the job with a digest of its
own that is checked whenever it is served.
"""

import contextlib
import hashlib
import io
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from weakref import WeakValueDictionary

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from starlette.responses import Response

from app.api.deps import Services
from app.api.montage import grays, montage
from app.api.preview import draw_preview
from app.http.conditional import has_it
from app.http.files import send_file
from app.http.negotiation import choose
from app.http.problems import Problem
from worker import formats
from worker.bundles import bundle
from worker.bundles import record as provenance
from worker.contract import Artifact, EventType, ImageRecord, JobRecord, State
from worker.denoising import artifacts
from worker.denoising.places import eigenpatches_key, frame_report
from worker.denoising.selection import Chosen, Selection, as_stack
from worker.formats import Look
from worker.store import sha256_of, write_atomic

Format = Literal["tiff", "npy", "png", "mrc", "hspy"]
Name = Literal["result", "residual", "coverage"]

BY_MEDIA_TYPE: dict[str, Format] = {
    media_type: format_  # type: ignore[misc]
    for format_, media_type in formats.MEDIA_TYPES.items()
}
CLIPPED = "Reucid-Clipped-Pixels"


@dataclass(frozen=True)
class Wish:
    """How a client wants an image."""

    format: Format
    source: bool = False  # in the type of the source
    frame: int | None = None  # of a stack, one frame
    look: Look | None = None  # of a picture

    @property
    def stem(self) -> str:
        """What tells its file from those of other wishes, beside the format."""
        frame = "" if self.frame is None else f"-frame{self.frame:04d}"
        return f"{frame}-source" if self.source else frame


@dataclass(frozen=True)
class Rendition:
    """A file to serve and what it is called."""

    path: Path
    etag: str
    media_type: str
    filename: str
    clipped: int | None = None  # pixels out of the range of the source's type

    def response(self, request: Request) -> Response:
        """The file, a range of it, or 304 for a client that has it."""
        more = {} if self.clipped is None else {CLIPPED: str(self.clipped)}
        return send_file(
            request,
            self.path,
            self.etag,
            media_type=self.media_type,
            filename=self.filename,
            vary="Accept",
            more=more,
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
        services.jobs.get(job.id)  # deleted meanwhile: not found, instead of damaged
        raise Problem(
            500, "damaged_artifact", f"{name} of this job is missing or damaged in the store"
        )
    return path, held


def render(services: Services, job: JobRecord, name: Name, wish: Wish) -> Rendition:
    """Result, residual or coverage of a succeeded job."""
    _require(job, "result.npy")
    chosen = chosen_signal(services, job)
    stack = len(chosen.info.shape) == 3 and wish.frame is None and wish.format != "png"

    def draw(path: Path) -> int | None:
        pixels = _one_frame(_pixels(services, job, chosen, name), wish)
        formats.write(path, pixels, chosen.info, wish.format, source=wish.source)
        dtype = np.dtype(chosen.info.dtype)
        return formats.clipped_pixels(pixels, dtype) if wish.source else None

    suffix = formats.suffix_of(wish.format, stack=stack)
    return _cached(
        services.store.renditions(job.id),
        f"{name}{wish.stem}{suffix}",
        formats.MEDIA_TYPES[wish.format],
        draw,
        job.id,
    )


def render_picture(
    request: Request, services: Services, job: JobRecord, name: Name, wish: Wish
) -> Response:
    """Result, residual or coverage as a picture with a look of its own; drawn, and not kept."""
    _require(job, "result.npy")
    chosen = chosen_signal(services, job)
    pixels = _one_frame(_pixels(services, job, chosen, name), wish)
    buffer = io.BytesIO()
    formats.picture(pixels, chosen.info, wish.look).save(buffer, format="PNG")
    etag = f'"{hashlib.sha256(buffer.getvalue()).hexdigest()}"'
    headers = {"Vary": "Accept", "Cache-Control": "private, no-cache", "ETag": etag}
    if has_it(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(buffer.getvalue(), media_type="image/png", headers=headers)


def render_interim(services: Services, job: JobRecord, n: int | None, wish: Wish) -> Rendition:
    """An interim result of the current attempt, the latest by default."""
    _check_expiry(job)
    interims = {
        int(event.data["n"]): str(event.data["sha256"])
        for event in services.jobs.events(job.id)
        if event.type is EventType.INTERIM and event.attempt == job.attempt
    }
    n = max(interims, default=0) if n is None else n
    if n not in interims:
        if not job.state.terminal:
            raise _not_ready(f"got {len(interims)} interim results so far, expected more")
        if not interims and job.state is not State.SUCCEEDED:
            raise Problem(409, "no_result", f"the job {job.state} and has no interim results")
        raise Problem(404, "not_found", f"this job has {len(interims)} interim results")
    path = services.store.interim(job.id, job.attempt, n)
    if not path.exists() and job.state.terminal:
        raise Problem(410, "expired", "the interim results of this job were removed")
    if sha256_of(path) != interims[n]:
        raise Problem(500, "damaged_artifact", f"interim result {n} is damaged in the store")
    info = chosen_signal(services, job).info
    return _cached(
        services.store.renditions(job.id),
        f"interim-{job.attempt}-{n:04d}{formats.suffix_of(wish.format, stack=False)}",
        formats.MEDIA_TYPES[wish.format],
        lambda target: formats.write(target, np.load(path), info, wish.format),
        job.id,
    )


def render_eigenpatches(
    services: Services, job: JobRecord, report: dict[str, Any], frame: int
) -> Rendition:
    """The montage of a frame's offered eigenpatches with the classifier's verdicts."""
    path, _ = artifact(services, job, "eigenpatches.npz")
    stack_reports = _of_frame(report, frame)["stack_reports"]
    drawn = _drawn(report, frame)

    def draw(target: Path) -> None:
        with np.load(path) as stored:
            named = {
                f"stack{each['stack']}": stored[eigenpatches_key(drawn, each["stack"])]
                for each in stack_reports
            }
            montage(named, stack_reports).save(target, format="PNG")

    suffix = f"-frame{frame:04d}" if frame else ""
    return _cached(
        services.store.renditions(job.id),
        f"eigenpatches{suffix}.png",
        "image/png",
        draw,
        job.id,
    )


def render_eigenpatch(
    services: Services, job: JobRecord, report: dict[str, Any], stack: int, index: int, frame: int
) -> Rendition:
    """One eigenpatch of one stack, both counted from 1, of a frame, counted from 0."""
    path, _ = artifact(services, job, "eigenpatches.npz")
    _of_frame(report, frame)  # 404 beyond the last, which a joint job's one set would not show
    with np.load(path) as stacks:
        name = eigenpatches_key(_drawn(report, frame), stack)
        if name not in stacks or not 1 <= index <= len(stacks[name]):
            raise Problem(404, "not_found", f"this job has no eigenpatch {index} of stack {stack}")
        patch = stacks[name][index - 1]
    suffix = f"-frame{frame:04d}" if frame else ""
    return _cached(
        services.store.renditions(job.id),
        f"eigenpatch-{stack}-{index}{suffix}.png",
        "image/png",
        lambda target: grays(patch).save(target, format="PNG"),
        job.id,
    )


def render_preview(services: Services, image: ImageRecord, side: int) -> Rendition:
    """The default signal of an uploaded file, of a stack the first frame, small and stretched."""
    pixels = as_stack(services.store.load_pixels(image, image.contents.default))
    return _cached(
        services.store.image_renditions(image.id),
        f"preview-{side}.png",
        "image/png",
        lambda target: draw_preview(pixels[0], target, side=side),
        image.id,
    )


def render_bundle(services: Services, job: JobRecord, *, with_input: bool) -> Rendition:
    """Everything of a succeeded job in one file."""
    run, files, inputs = _run(services, job)
    return _cached(
        services.store.renditions(job.id),
        "bundle.zip" if with_input else "bundle-without-input.zip",
        bundle.MEDIA_TYPE,
        lambda path: bundle.write(path, run, files, inputs, with_input=with_input),
        job.id,
    )


def render_provenance(services: Services, job: JobRecord, *, with_input: bool) -> Rendition:
    """The record that the bundle of a succeeded job holds."""
    run, files, inputs = _run(services, job)
    return _cached(
        services.store.renditions(job.id),
        provenance.RECORD if with_input else f"without-input-{provenance.RECORD}",
        provenance.MEDIA_TYPE,
        lambda path: bundle.write_record(path, run, files, inputs, with_input=with_input),
        job.id,
    )


def _run(
    services: Services, job: JobRecord
) -> tuple[provenance.Run, dict[str, Path], dict[str, Path]]:
    """What a bundle tells of a job, and the files of its result and input by their names there."""
    report = json.loads(artifact(services, job, "report.json")[0].read_bytes())
    image = _image(services, job)
    run = provenance.Run(
        input_name=image.name,
        info=chosen_signal(services, job).info,
        report=report,
        started_at=job.started_at or job.created_at,
        finished_at=job.finished_at or job.created_at,
        job_id=job.id,
        sample_id=job.request.sample_id,
    )
    files = {name: _part(services, job, name) for name in bundle.parts(report)}
    return run, files, bundle.inputs(image.contents.format, services.store.sent_files(image))


def _part(services: Services, job: JobRecord, name: str) -> Path:
    match name:
        case "result.tif":
            return render(services, job, "result", Wish("tiff")).path
        case "residual.tif":
            return render(services, job, "residual", Wish("tiff")).path
        case _:
            return artifact(services, job, name)[0]


def chosen_signal(services: Services, job: JobRecord) -> Chosen:
    """What the job is about."""
    selection, _ = Selection.split(job.request.params)
    return selection.of(_image(services, job).contents)


def _image(services: Services, job: JobRecord) -> ImageRecord:
    return services.images.get(job.request.image_id, owner=job.request.owner)


def _of_frame(report: dict[str, Any], frame: int) -> dict[str, Any]:
    try:
        return frame_report(report, frame)
    except IndexError:
        raise Problem(404, "not_found", f"frame {frame} of this job was not denoised") from None


def _drawn(report: dict[str, Any], frame: int) -> int:
    """The frame under which a frame's eigenpatches lie: of a joint job, one set for all."""
    return 0 if report.get("frames") == "joint" else frame


def _one_frame(pixels: NDArray[Any], wish: Wish) -> NDArray[Any]:
    """The frame that is wanted, if any; a picture shows the first of a stack."""
    frame = 0 if wish.frame is None and wish.format == "png" else wish.frame
    if frame is None:
        return pixels
    frames = as_stack(pixels)
    if frame >= len(frames):
        raise Problem(404, "not_found", f"no frame {frame}: this job has {len(frames)}, from 0 on")
    return np.asarray(frames[frame])


def _pixels(services: Services, job: JobRecord, chosen: Chosen, name: Name) -> NDArray[Any]:
    if name == "coverage":
        return _coverage(services, job)
    result = _load(services, job, "result.npy")
    if name == "result":
        return result
    signal = services.store.load_pixels(_image(services, job), chosen.index)
    return np.asarray(chosen.pixels_of(signal).astype(result.dtype) - result)


def _coverage(services: Services, job: JobRecord) -> NDArray[Any]:
    """Kept only where patches are missing."""
    report = json.loads(artifact(services, job, artifacts.REPORT)[0].read_bytes())
    if artifacts.is_whole(report):
        return artifacts.whole_coverage(report)
    return _load(services, job, artifacts.COVERAGE)


def _load(services: Services, job: JobRecord, name: str) -> NDArray[Any]:
    path, _ = artifact(services, job, name)
    return np.asarray(np.load(path, mmap_mode="r"))


def _cached(
    folder: Path, filename: str, media_type: str, draw: Callable[[Path], int | None], of: str
) -> Rendition:
    """A rendition, drawn if it was not yet or is damaged; `draw` gives the clipped pixels."""
    path = folder / filename
    known = path.with_name(f"{filename}.json")
    for each in (path, known):  # first: somebody asks for it, so no sweep takes it meanwhile
        with contextlib.suppress(FileNotFoundError):
            os.utime(each)
    with _alone_at(path):
        if not _is_intact(path, known):
            with write_atomic(path) as temporary:
                clipped = draw(temporary)
            with write_atomic(known) as temporary:
                temporary.write_text(json.dumps({"sha256": sha256_of(path), "clipped": clipped}))
    facts = json.loads(known.read_text())
    return Rendition(path, facts["sha256"], media_type, f"{of[:8]}-{filename}", facts["clipped"])


_drawing: WeakValueDictionary[Path, threading.Lock] = WeakValueDictionary()
_drawing_guard = threading.Lock()


def _alone_at(path: Path) -> threading.Lock:
    """Held while a rendition is drawn: many who ask for it at once cost the memory of one."""
    with _drawing_guard:
        return _drawing.setdefault(path, threading.Lock())


def _is_intact(path: Path, known: Path) -> bool:
    try:
        return bool(sha256_of(path) == json.loads(known.read_text())["sha256"])
    except (OSError, ValueError, TypeError, KeyError):
        return False


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
