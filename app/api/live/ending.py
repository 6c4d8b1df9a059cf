"""From the raw frames of a session to a job like any other."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray

from app.api.live.answers import info_of
from app.api.live.gate import Admitted
from app.api.live.schemas import Counts, Keep
from app.api.quotas import room
from app.api.services import Services
from app.api.uploads import accept, incoming
from app.http.problems import Problem
from app.http.requestid import request_id
from worker.acceptance import ReceivedFile
from worker.contract import JobRecord, JobRequest, SessionRecord
from worker.denoising.params import JobParams
from worker.formats.writing import write
from worker.live.transport import Standing, Transport
from worker.store import ORIGINAL, sha256_of
from worker.wake import wake

SUMS = (np.uint16, np.int16, np.uint32, np.int32)  # the smallest first
HEADERS = 2**16  # bytes that a file has beside its pixels

log = structlog.get_logger()


def account_of(record: SessionRecord, standing: Standing | None) -> dict[str, Any]:
    """What is told of a session when it has ended, and in the reports of its jobs."""
    if standing is None:
        return {}
    counts = Counts.of(standing).model_dump()
    counts["restarts"] = max(counts["restarts"], record.restarts)
    return {"counts": counts, "course": list(standing.course)}


async def make_job(
    services: Services, admitted: Admitted, keep: Keep, idempotency_key: str | None = None
) -> JobRecord:
    """A job on the newest whole frame, on all that are held, or on their sum.

    With a key that was used before, the job that was made then.

    When this returns, the frames are on the disk and the job is in the ledger, as any other.

    Raises
    ------
    Problem
        When there is no whole frame, or no room for the job.
    """
    session, transport = admitted.session, admitted.transport
    fingerprint = hashlib.sha256(f"{session.id} {keep}".encode()).hexdigest()
    first = await run_in_threadpool(
        services.jobs.repeated, session.request.owner, idempotency_key, fingerprint
    )
    if first is not None:
        await run_in_threadpool(services.sessions.note_job, session.id, first.id)
        return first
    standing = await services.live.ask(transport.standing)
    frames, pixels = await services.live.ask(_collect, transport, keep)
    if not frames:
        raise Problem(
            409,
            "no_frame",
            "no whole frame has come: send all rows of one, or end the session without a job",
        )
    told = {
        "id": session.id,
        "keep": keep,
        "frames": frames,
        "mode": str(session.request.mode),
        "memory_frames": session.request.memory_frames,
    } | account_of(session, standing)
    params = dict(session.request.params) | {"session": told}
    if keep == "stack" and len(frames) > 1:
        params["frames"] = "joint"
    checked = JobParams.from_json(params)
    request = session.request
    async with incoming(services, request.owner) as sent:
        await run_in_threadpool(sent.space.promise, 2 * (pixels.nbytes + HEADERS))
        file = await run_in_threadpool(_write, sent.folder, session, keep, frames, pixels)
        image, _ = await accept(
            services, file, owner=request.owner, space=sent.space, check=checked.check
        )
        job, _ = await run_in_threadpool(
            lambda: services.jobs.submit(
                JobRequest(
                    owner=request.owner,
                    image_id=image.id,
                    params=checked.to_json(),
                    external_id=request.external_id,
                    sample_id=request.sample_id,
                    labels=request.labels,
                    metadata=request.metadata,
                    request_id=request_id(),
                ),
                idempotency_key=idempotency_key,
                fingerprint=fingerprint,
                room=room(services),
            )
        )
    await run_in_threadpool(services.sessions.note_job, session.id, job.id)
    wake(services.redis, job.id)
    log.info("live_job", session_id=session.id, job_id=job.id, frames=len(frames))
    return job


def _collect(transport: Transport, keep: Keep) -> tuple[list[int], NDArray[Any]]:
    """The frames that a job is made of, and their pixels; a frame that goes meanwhile is left out.

    Shape (m, n); of a stack of more than one, (frames, m, n).
    """
    held = transport.kept()
    wanted = held[-1:] if keep == "last" else held
    found = [(frame, transport.raw(frame)) for frame in wanted]
    there = [(frame, pixels) for frame, pixels in found if pixels is not None]
    if not there:
        return [], np.empty(0)
    frames, images = [frame for frame, _ in there], [pixels for _, pixels in there]
    if keep == "sum":
        return frames, summed(images)
    return frames, images[0] if len(images) == 1 else np.stack(images)


def summed(images: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The sum of images, exact where they hold integers, in as small a type as holds it."""
    is_float = images[0].dtype.kind == "f"
    total: NDArray[Any] = np.stack(images).sum(axis=0, dtype=np.float64 if is_float else np.int64)
    if is_float:
        return total.astype(np.float32)
    low, high = int(total.min()), int(total.max())
    fits = [each for each in SUMS if np.iinfo(each).min <= low and high <= np.iinfo(each).max]
    return total.astype(fits[0] if fits else np.float64)


def _write(
    folder: Path, session: SessionRecord, keep: Keep, frames: Sequence[int], pixels: NDArray[Any]
) -> ReceivedFile:
    path = folder / ORIGINAL
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    info = info_of(session, native.shape, native.dtype.name)
    write(path, native, info, "tiff", source=True)
    which = f"{frames[0]}" if len(frames) == 1 else f"{frames[0]}-{frames[-1]}"
    name = f"live-{session.id[:8]}-{keep}-{which}.tif"
    return ReceivedFile(folder, name, sha256_of(path), path.stat().st_size)
