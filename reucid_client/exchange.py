"""What is asked of a server, and what is made of the answers: without sending anything.

Each function is a generator that yields requests, is sent the answers, and returns what came of
them. `Client` and `AsyncClient` send them, in their own way of waiting.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import (
    Any,
    BinaryIO,
    TypeVar,
    Union,
)
from urllib.parse import quote
from uuid import uuid4

import httpx
import numpy as np

from reucid_client.errors import JobError
from reucid_client.models import Event, Image, Job

T = TypeVar("T")
Array = np.ndarray[Any, Any]
Source = Union[str, Path, bytes, Array]  # a file, its bytes, or pixels
Sources = Union[Source, Sequence[Union[str, Path]]]  # several: an EMI file with its SER files
Images = Union[str, Path, Sequence[Image]]  # a zip of files, or what was uploaded before

LONG_POLL = 25.0  # s; below what proxies allow
CHUNK = 2**20  # bytes
BETWEEN = 1.0  # s between looks for which there is no long poll
FIELDS = ("priority", "external_id", "sample_id", "batch", "labels", "metadata")
MEDIA_TYPES = {
    ".tif": "tiff",
    ".tiff": "tiff",
    ".npy": "npy",
    ".png": "png",
    ".mrc": "mrc",
    ".hspy": "hspy",
}


@dataclass(frozen=True)
class Request:
    """A request that can be sent again."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    files: tuple[tuple[str, Path | bytes], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None

    def options(self, open_files: ExitStack) -> dict[str, Any]:
        """What httpx takes, with files opened anew."""
        query = {name: value for name, value in self.query.items() if value is not None}
        options: dict[str, Any] = {"params": query, "headers": dict(self.headers)}
        if self.json is not None:
            options["json"] = self.json
        if self.content is not None:
            options["content"] = self.content
        if self.files:
            options["data"] = dict(self.fields)
            options["files"] = [
                ("file", (name, _opened(content, open_files))) for name, content in self.files
            ]
        return options

    def is_done(self, answer: httpx.Response, *, repeated: bool) -> bool:
        """Whether an answer is final and good; what an earlier try has deleted is gone now."""
        gone = repeated and self.method == "DELETE" and answer.status_code in (404, 410)
        return answer.is_success or gone


Exchange = Generator[Request, httpx.Response, T]


def identified(key: str | None = None) -> dict[str, str]:
    """The header by which the server knows a request that is sent again."""
    return {"Idempotency-Key": key or uuid4().hex}


def upload(source: Sources, name: str | None = None) -> Exchange[Image]:
    """A file, kept for jobs to come."""
    response = yield Request("POST", "/v1/images", files=_files(source, name))
    return Image.of(response.json())


def submit(
    source: Sources | Image, options: Mapping[str, Any], key: str | None = None
) -> Exchange[Job]:
    """A job; repeated with its key, the same one."""
    fields = {name: options[name] for name in FIELDS if options.get(name) is not None}
    params = {
        name: value for name, value in options.items() if name not in FIELDS and name != "name"
    }
    headers = identified(key)
    if isinstance(source, Image):
        body = {"image_id": source.id, "params": params, **fields}
        response = yield Request("POST", "/v1/jobs", json=body, headers=headers)
    else:
        files = _files(source, options.get("name"))
        sent = {name: _as_text(value) for name, value in fields.items()}
        sent["params"] = json.dumps(params)
        response = yield Request("POST", "/v1/jobs", fields=sent, files=files, headers=headers)
    return Job.of(response.json())


def show(job_id: str, wait: float = 0.0) -> Exchange[Job]:
    """The job, once it has ended or after some seconds."""
    response = yield Request("GET", f"/v1/jobs/{job_id}", {"wait": wait or None})
    return Job.of(response.json())


def act(job_id: str, action: str) -> Exchange[Job]:
    """Cancel or finish a job, which may be told twice."""
    response = yield Request("POST", f"/v1/jobs/{job_id}/{action}")
    return Job.of(response.json())


def retry(job_id: str) -> Exchange[Job]:
    """A new job like another one; sent again after a failure, the same new one."""
    response = yield Request("POST", f"/v1/jobs/{job_id}/retry", headers=identified())
    return Job.of(response.json())


def describe(job_id: str, changes: Mapping[str, Any]) -> Exchange[Job]:
    """What a job is called, changed."""
    response = yield Request("PATCH", f"/v1/jobs/{job_id}", json=changes)
    return Job.of(response.json())


def submit_batch(
    images: Images, options: Mapping[str, Any], key: str | None
) -> Exchange[dict[str, Any]]:
    """Uploaded images, or those of a zip, denoised alike; repeated with its key, the same jobs."""
    fields = {name: options[name] for name in FIELDS if options.get(name) is not None}
    params = {name: value for name, value in options.items() if name not in FIELDS}
    if "batch" in fields:
        fields["name"] = fields.pop("batch")
    headers = identified(key)
    if isinstance(images, (str, Path)):
        sent = {name: _as_text(value) for name, value in fields.items()}
        sent["params"] = json.dumps(params)
        files = _files(images, None)
        request = Request("POST", "/v1/batches", fields=sent, files=files, headers=headers)
    else:
        body = {"image_ids": [image.id for image in images], "params": params, **fields}
        request = Request("POST", "/v1/batches", json=body, headers=headers)
    data: dict[str, Any] = (yield request).json()
    return data


def batch(name: str, action: str | None = None) -> Exchange[dict[str, Any]]:
    """Where a batch stands, perhaps once it was canceled."""
    here = f"/v1/batches/{quote(name, safe='')}"
    request = Request("GET", here) if action is None else Request("POST", f"{here}/{action}")
    data: dict[str, Any] = (yield request).json()
    return data


def delete(path: str) -> Exchange[None]:
    """An image or a job."""
    yield Request("DELETE", path)


def page(query: Mapping[str, Any]) -> Exchange[tuple[Sequence[Job], str | None]]:
    """Some jobs, newest first, and the cursor of the next page."""
    data = (yield Request("GET", "/v1/jobs", query)).json()
    return [Job.of(each) for each in data["jobs"]], data["next"]


def pixels(job_id: str, part: str) -> Exchange[Array]:
    """Result, residual or coverage as an array, float32 or float64."""
    response = yield Request("GET", f"/v1/jobs/{job_id}/{part}", {"format": "npy"})
    array: Array = np.load(io.BytesIO(response.content), allow_pickle=False)
    return array


def events(job_id: str, after: int) -> Request:
    """The stream of what happens to a job after an event."""
    return Request("GET", f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(after)})


def report(job_id: str) -> Exchange[dict[str, Any]]:
    """The classification report."""
    data: dict[str, Any] = (yield Request("GET", f"/v1/jobs/{job_id}/report")).json()
    return data


def download(job_id: str, part: str, path: Path, query: Mapping[str, Any]) -> Request:
    """A part in the format of a file's suffix."""
    said = {} if "." in part or part == "report" else {"format": format_of(path)}
    return Request("GET", f"/v1/jobs/{job_id}/{part}", {**said, **query})


def format_of(path: Path) -> str:
    """The server's name of the format that a suffix names."""
    try:
        return MEDIA_TYPES[path.suffix.lower()]
    except KeyError:
        expected = ", ".join(MEDIA_TYPES)
        raise ValueError(f"got {path.name!r}, expected a name that ends in {expected}") from None


def rest(wait: float, took: float) -> float:
    """Seconds until a job is asked for again, whose answer was to come within `wait`.

    A server that is about to end answers at once, again and again.
    """
    return max(0.0, min(wait, BETWEEN) - took)


def has_ended(batch: Mapping[str, Any]) -> bool:
    """Whether no job of a batch waits or runs."""
    return batch["finished_at"] is not None


def summary(name: str) -> Request:
    """A batch's table."""
    return Request("GET", f"/v1/batches/{quote(name, safe='')}/summary.csv")


def succeeded(job: Job) -> Job:
    """The job itself; raises JobError when it has no result."""
    if job.state != "succeeded":
        raise JobError(job)
    return job


def key_of(source: Sources, options: Mapping[str, Any]) -> str:
    """An Idempotency-Key that the same files with the same options always have."""
    digest = hashlib.sha256(json.dumps(dict(options), sort_keys=True).encode())
    for _, content in _files(source, None):
        with ExitStack() as open_files:
            file = _opened(content, open_files)
            for chunk in (
                [file] if isinstance(file, bytes) else iter(partial(file.read, CHUNK), b"")
            ):
                digest.update(chunk)
    return f"sha256-{digest.hexdigest()}"


def verdict_of(report: Mapping[str, Any]) -> Sequence[str]:
    """The report's own sentences on how far the result can be trusted, doubts first."""
    return list(report["verdict"])


class EventLines:
    """Server-sent events from the lines of a stream."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def feed(self, line: str) -> Event | None:
        """The event that a line ends, if it does."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value[1:] if value.startswith(" ") else value
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields or "event" not in fields:
            return None
        return Event(int(fields.get("id", 0)), fields["event"], json.loads(fields["data"]))


def _files(source: Sources, name: str | None) -> tuple[tuple[str, Path | bytes], ...]:
    if isinstance(source, np.ndarray):
        buffer = io.BytesIO()
        np.save(buffer, source, allow_pickle=False)
        return ((name or "image.npy", buffer.getvalue()),)
    if isinstance(source, bytes):
        return ((name or "image", source),)
    paths = [source] if isinstance(source, (str, Path)) else list(source)
    return tuple((name or _sendable(Path(path).name), Path(path)) for path in paths)


def _sendable(name: str) -> str:
    """A file's name, with a mark for each byte that is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def _opened(content: Path | bytes, open_files: ExitStack) -> BinaryIO | bytes:
    return content if isinstance(content, bytes) else open_files.enter_context(content.open("rb"))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
