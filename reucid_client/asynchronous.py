"""The client for programs that do other things meanwhile."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

import httpx

from reucid_client import exchange, live_messages
from reucid_client.exchange import Array, Exchange, Images, Request, Sources, T
from reucid_client.live import AsyncLiveSession, checked_link
from reucid_client.models import Event, Image, Job
from reucid_client.retrying import Attempts, BrokenError, Retrying
from reucid_client.wire import (
    GLANCE,
    TIMEOUT,
    Digest,
    checked,
    headers_for,
    problem_of,
    whole_file,
)


@dataclass(frozen=True)
class AsyncResult:
    """What a job yielded; as `Result`, but `save` is awaited."""

    job: Job
    image: Array = field(repr=False)
    residual: Array = field(repr=False)
    report: Mapping[str, Any] = field(repr=False)
    _client: AsyncClient = field(repr=False)

    @property
    def verdict(self) -> Sequence[str]:
        """How far it can be trusted, in sentences."""
        return exchange.verdict_of(self.report)

    async def save(self, path: str | Path, part: str = "result") -> Path:
        """Write the result, or another part, with the calibration of the source."""
        return await self._client.download(self.job.id, path, part)


class AsyncClient:
    """As `Client`, with `await`."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retrying: Retrying | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = headers_for(key or os.environ.get("REUCID_API_KEY"))
        self._http = httpx.AsyncClient(
            base_url=checked(url), headers=headers, timeout=timeout, transport=transport
        )
        self._retrying = retrying or Retrying()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ready(self) -> bool:
        """Whether the server takes jobs and has a worker for them, asked once.

        Raises
        ------
        UnreachableError
            When there is no answer, at once: `retrying` is not for this question.
        """
        try:
            answer = await self._http.get("/readyz", timeout=GLANCE)
        except httpx.TransportError as error:
            raise problem_of(None, error, self._http.base_url) from error
        return answer.status_code == 200 and answer.json()["status"] == "ok"

    # --- the whole way ---

    async def denoise(self, source: Sources | Image, **options: Any) -> AsyncResult:
        """Denoise a file or an array, and wait for the result; see `Client.denoise`."""
        job = await self.submit(source, **options)
        return await self.result(await self.wait(job.id))

    async def result(self, job: Job | str) -> AsyncResult:
        """Everything that a job yielded."""
        if isinstance(job, str):
            job = await self.job(job)
        job_id = exchange.succeeded(job).id
        image, residual, report = await asyncio.gather(
            self.pixels(job_id), self.pixels(job_id, "residual"), self.report(job_id)
        )
        return AsyncResult(job, image, residual, report, self)

    # --- images ---

    async def upload(self, source: Sources, name: str | None = None) -> Image:
        """Send a file, for jobs to come; the same file again is the same image."""
        return await self._do(exchange.upload(source, name))

    async def delete_image(self, image_id: str) -> None:
        """Remove an image that no job needs."""
        await self._do(exchange.delete(f"/v1/images/{image_id}"))

    # --- jobs ---

    async def submit(
        self, source: Sources | Image, *, key: str | None = None, **options: Any
    ) -> Job:
        """Submit a job without waiting for it; options as of `Client.denoise`."""
        return await self._do(exchange.submit(source, options, key))

    async def job(self, job_id: str, wait: float = 0.0) -> Job:
        """The job as it stands, or once it has ended within `wait` seconds."""
        return await self._do(exchange.show(job_id, wait))

    async def wait(self, job_id: str) -> Job:
        """The job once it has ended; bound it with `asyncio.wait_for`."""
        while True:
            asked = time.monotonic()
            job = await self.job(job_id, exchange.LONG_POLL)
            if job.ended:
                return job
            await asyncio.sleep(exchange.rest(exchange.LONG_POLL, time.monotonic() - asked))

    async def jobs(self, **filters: Any) -> AsyncIterator[Job]:
        """Own jobs, newest first; `state`, `label="name=value"`, `external_id`, `batch`, ..."""
        cursor: str | None = None
        while True:
            jobs, cursor = await self._do(exchange.page({**filters, "cursor": cursor}))
            for job in jobs:
                yield job
            if cursor is None:
                return

    async def cancel(self, job_id: str) -> Job:
        """Stop a job."""
        return await self._do(exchange.act(job_id, "cancel"))

    async def finish(self, job_id: str) -> Job:
        """Let a job end with what it has."""
        return await self._do(exchange.act(job_id, "finish"))

    async def retry(self, job_id: str) -> Job:
        """A new job with the same image and parameters."""
        return await self._do(exchange.retry(job_id))

    async def describe(self, job_id: str, **changes: Any) -> Job:
        """Change `external_id`, `sample_id`, `batch` or `labels`; None takes one away."""
        return await self._do(exchange.describe(job_id, changes))

    async def delete(self, job_id: str) -> None:
        """Remove a job that has ended, and all it yielded."""
        await self._do(exchange.delete(f"/v1/jobs/{job_id}"))

    async def events(self, job_id: str, after: int = 0) -> AsyncIterator[Event]:
        """What happens to a job, up to its end; goes on where a connection broke."""
        attempts = self._retrying.attempts()
        while True:
            broken = BrokenError(f"the events of job {job_id} ended before it did")
            try:
                async for event in self._stream_of_events(job_id, after, attempts):
                    after = event.id
                    yield event
                if (await self.job(job_id)).ended:
                    return
            except httpx.TransportError as error:
                broken = BrokenError(error)
            except BrokenError as error:
                broken = error
            pause = attempts.pause(broken.answer)
            if pause is None:
                raise problem_of(broken.answer, broken, self._http.base_url) from broken
            await asyncio.sleep(pause)

    # --- many at once ---

    async def submit_batch(
        self, images: Images, *, key: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Denoise uploaded images, or a zip of files, alike; options as of `Client.denoise`.

        All are accepted or none. In a zip an EMI file goes with the SER files beside it.
        Returns the batch: `name`, `total`, `counts` by state, `progress`, `links`.
        """
        return await self._do(exchange.submit_batch(images, options, key))

    async def batch(self, name: str) -> dict[str, Any]:
        """Where the jobs that share this name stand."""
        return await self._do(exchange.batch(name))

    async def wait_batch(
        self, name: str, *, tell: Callable[[Mapping[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """The batch once all its jobs have ended; `tell` is called with it at every look."""
        while True:
            batch = await self.batch(name)
            if tell is not None:
                tell(batch)
            if exchange.has_ended(batch):
                return batch
            await asyncio.sleep(exchange.BETWEEN)

    async def download_summary(self, name: str, path: str | Path) -> Path:
        """Write what came of each job of a batch into a CSV file."""
        path = Path(path)
        await self._sent(exchange.summary(name), path)
        return path

    async def cancel_batch(self, name: str) -> dict[str, Any]:
        """Stop all jobs of a batch that wait or run."""
        return await self._do(exchange.batch(name, "cancel"))

    # --- live ---

    async def live(
        self, shape: Sequence[int], dtype: str = "uint16", *, link: str = "auto", **options: Any
    ) -> AsyncLiveSession:
        """Open a live session; see `Client.live`."""
        options = {"dtype": dtype, **options}
        link = checked_link(link)
        data = await self._do(live_messages.open_session(shape, options))
        return self.connected(data, link=link)

    async def live_session(
        self, session_id: str, *, after: int = 0, link: str = "auto"
    ) -> AsyncLiveSession:
        """A session that is open already; see `Client.live_session`."""
        data = await self._do(live_messages.show_session(session_id))
        return self.connected(data, after=after, link=link)

    def connected(
        self, data: Mapping[str, Any], *, after: int = 0, link: str = "auto"
    ) -> AsyncLiveSession:
        """A session as the server told it, connected."""
        return AsyncLiveSession(self._http, self._do, self._retrying, data, after=after, link=link)

    # --- what they yield ---

    async def pixels(self, job_id: str, part: str = "result") -> Array:
        """`result`, `residual` or `coverage` as an array."""
        return await self._do(exchange.pixels(job_id, part))

    async def report(self, job_id: str) -> dict[str, Any]:
        """The classification report."""
        return await self._do(exchange.report(job_id))

    async def download(
        self, job_id: str, path: str | Path, part: str = "result", **query: Any
    ) -> Path:
        """Write a part of a job into a file, whole or not at all.

        `query` are parameters of the part: `frame=0` of a picture, `input=False` of `bundle.zip`.
        """
        path = Path(path)
        await self._sent(exchange.download(job_id, part, path, query), path)
        return path

    # --- sending ---

    async def _do(self, steps: Exchange[T]) -> T:
        """Send what an exchange asks for, until it returns."""
        try:
            request = next(steps)
            while True:
                request = steps.send(await self._sent(request))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _sent(self, request: Request, into: Path | None = None) -> httpx.Response:
        """The answer, read or written into a file; asked again as `retrying` says."""
        attempts = self._retrying.attempts()
        while True:
            answer: httpx.Response | None = None
            failure: httpx.TransportError | None = None
            try:
                with ExitStack() as files:
                    options = request.options(files)
                    async with self._http.stream(request.method, request.path, **options) as answer:
                        await _take(answer, into)
                        if request.is_done(answer, repeated=attempts.is_repetition):
                            return answer
            except httpx.TransportError as error:
                answer, failure = None, error
            pause = attempts.pause(answer)
            if pause is None:
                raise problem_of(answer, failure, self._http.base_url) from failure
            await asyncio.sleep(pause)

    async def _stream_of_events(
        self, job_id: str, after: int, attempts: Attempts
    ) -> AsyncIterator[Event]:
        request = exchange.events(job_id, after)
        async with self._http.stream(request.method, request.path, headers=request.headers) as got:
            if not got.is_success:
                await got.aread()
                raise BrokenError(f"the server answered {got.status_code}", got)
            lines = exchange.EventLines()
            async for line in got.aiter_lines():
                attempts.succeeded()  # also by one that only says that the server is there
                event = lines.feed(line)
                if event is not None:
                    yield event


async def _take(response: httpx.Response, into: Path | None) -> None:
    digest = Digest(response)
    if into is None or not response.is_success:
        digest.feed(await response.aread())
        digest.check()
        return
    with whole_file(into) as file:
        async for chunk in response.aiter_bytes():
            digest.feed(chunk)
            file.write(chunk)
        digest.check()
