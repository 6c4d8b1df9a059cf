"""Files of several jobs in one zip, sent as they are made."""

import io
import json
import os
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Literal
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from anyio import to_thread
from fastapi.concurrency import run_in_threadpool

from app.api.artifacts import artifact
from app.api.deps import Services
from app.api.errors import to_problem
from app.api.renditions import render, render_bundle
from app.api.wishes import FileFormat, Wish
from app.http.problems import Problem
from worker.contract import JobRecord
from worker.denoising.artifacts import REPORT
from worker.ledger.refusals import LedgerError
from worker.store import DamagedError

Part = Literal["result", "residual", "report", "bundle"]

MOST_JOBS = 500  # in one archive
CHUNK = 2**18  # bytes
CONTENTS = "contents.json"
LONGEST_NAME = 120  # characters of an entry's, before what tells it from others
UNUSUAL = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
REGULAR_FILE = 0o100644 << 16
ENDINGS = {"result": "", "residual": "-residual", "report": "-report", "bundle": "-bundle"}
FAILURES = (Problem, LedgerError, DamagedError, OSError)


@dataclass(frozen=True)
class Order:
    """What is wanted of each job."""

    parts: Sequence[Part]
    format: FileFormat


class _Sink(io.RawIOBase):
    """What a zip is written into, in order; taken away as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def write(self, data: Any, /) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


async def archived(
    services: Services, job_ids: Sequence[str], owner: str | None, order: Order
) -> AsyncIterator[bytes]:
    """A zip of what there is of these jobs; `contents.json` says of each what is missing, and why.

    What fails while it is sent ends the answer: whoever does not get its end does not get a zip.
    """
    sink, contents, taken = _Sink(), list[dict[str, Any]](), {CONTENTS}
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for job_id in job_ids:
            told: dict[str, Any] = {"job_id": job_id, "files": [], "problem": None}
            contents.append(told)
            for part in order.parts:
                try:
                    made = await _made(services, job_id, owner, part, order.format)
                except FAILURES as error:
                    problem = to_problem(error)
                    told["problem"] = {"code": problem.code, "detail": problem.detail}
                    break
                with made.file as file:
                    info = made.entry(taken)
                    told |= made.told
                    told["files"].append(info.filename)
                    with archive.open(info, "w") as entry:
                        while chunk := await to_thread.run_sync(file.read, CHUNK):
                            entry.write(chunk)
                            yield sink.take()
        archive.writestr(CONTENTS, json.dumps({"jobs": contents}, indent=1, ensure_ascii=False))
    yield sink.take()


@dataclass(frozen=True)
class _Made:
    """A file of a job, open: what is removed from now on is still sent."""

    job: JobRecord
    file: BinaryIO
    ending: str
    told: dict[str, Any]

    def entry(self, taken: set[str]) -> ZipInfo:
        """Named after the input, and told from the others of its name."""
        stem = UNUSUAL.sub("_", PurePath(self.job.image_name).stem).strip(". ")[:LONGEST_NAME]
        stem = stem.encode("utf-8", "replace").decode() or "image"
        for told_from in ("", f"-{self.job.id[:8]}", f"-{self.job.id}"):
            name = f"{stem}{told_from}{self.ending}"
            if name.casefold() not in taken:  # some file systems see no difference
                break
        taken.add(name.casefold())
        ended = datetime.fromtimestamp(self.job.finished_at or self.job.created_at, UTC)
        info = ZipInfo(name, ended.timetuple()[:6])
        info.external_attr = REGULAR_FILE
        info.file_size = os.fstat(self.file.fileno()).st_size
        return info


async def _made(
    services: Services, job_id: str, owner: str | None, part: Part, format_: FileFormat
) -> _Made:
    """A file of a job, made if need be when it is its owner's turn."""
    job = await run_in_threadpool(services.jobs.get, job_id, owner=owner)

    def make() -> _Made:
        path = _path(services, job, part, format_)
        told = {"input": job.image_name, "external_id": job.request.external_id}
        ending = f"{ENDINGS[part]}{path.suffix}"
        return _Made(job, path.open("rb"), ending, told | {"labels": dict(job.request.labels)})

    return await services.easel.drawn(job.request.owner, make)


def _path(services: Services, job: JobRecord, part: Part, format_: FileFormat) -> Path:
    match part:
        case "report":
            return artifact(services, job, REPORT)[0]
        case "bundle":
            return render_bundle(services, job, with_input=True).path
        case _:
            return render(services, job, part, Wish(format_)).path
