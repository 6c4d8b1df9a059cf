"""The client for programs that wait."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

import httpx

from reucid_client import exchange, live_messages
from reucid_client.asynchronous import AsyncClient
from reucid_client.exchange import Array, Exchange, Images, Request, Sources, T
from reucid_client.live import LiveSession, checked_link
from reucid_client.models import Event, Image, Job
from reucid_client.progress import Progress, shown
from reucid_client.retrying import Attempts, BrokenError, Retrying
from reucid_client.wire import GLANCE, TIMEOUT, Digest, checked, headers_for, problem_of, whole_file


@dataclass(frozen=True)
class Result:
    """What a job yielded.

    Parameters
    ----------
    job : Job
    image : ndarray, shape (m, n) or (frames, m, n)
        Denoised, in the units of the source.
    residual : ndarray
        The source minus `image`.
    report : dict
        The classification report.
    """

    job: Job
    image: Array = field(repr=False)
    residual: Array = field(repr=False)
    report: Mapping[str, Any] = field(repr=False)
    _client: Client = field(repr=False)

    @property
    def verdict(self) -> Sequence[str]:
        """How far it can be trusted, in sentences."""
        return exchange.verdict_of(self.report)

    def save(self, path: str | Path, part: str = "result") -> Path:
        """Write the result, or another part, with the calibration of the source.

        The suffix says in which format: .tif, .npy, .mrc, .hspy, .png; `part` may also be
        `bundle.zip` or `report`.
        """
        return self._client.download(self.job.id, path, part)


class Client:
    """A server's images and jobs.

    Parameters
    ----------
    url : str
        Such as `http://server:8000`.
    key : str, optional
        By default that in the environment variable `REUCID_API_KEY`, if any.
    retrying : Retrying, optional
        How long to ask again when the network or the server fails for a while.
    timeout : httpx.Timeout, optional

    All methods raise `ProblemError` when the server refuses, `UnreachableError` when it does not
    answer for longer than `retrying` has patience.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retrying: Retrying | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._stated = url, key, timeout
        headers = headers_for(key or os.environ.get("REUCID_API_KEY"))
        self._http = httpx.Client(
            base_url=checked(url), headers=headers, timeout=timeout, transport=transport
        )
        self._retrying = retrying or Retrying()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ready(self) -> bool:
        """Whether the server takes jobs and has a worker for them, asked once.

        Raises
        ------
        UnreachableError
            When there is no answer, at once: `retrying` is not for this question.
        """
        try:
            answer = self._http.get("/readyz", timeout=GLANCE)
        except httpx.TransportError as error:
            raise problem_of(None, error, self._http.base_url) from error
        return answer.status_code == 200 and answer.json()["status"] == "ok"

    # --- the whole way ---

    def denoise(self, source: Sources | Image, *, progress: bool = False, **options: Any) -> Result:
        """Denoise a file or an array, and wait for the result.

        Parameters
        ----------
        source : path, bytes, ndarray, Image, or list of paths
            An EMI file is sent as a list: itself and its SER files.
        progress : bool
            Show a bar, in a terminal or a notebook.
        **options
            Parameters of the denoising (`patch_size=11`, `method="paper"`, ...), and `priority`,
            `external_id`, `sample_id`, `batch`, `labels`, `metadata` of the job.

        Raises
        ------
        JobError
            When the job failed or was canceled.
        """
        job = self.submit(source, **options)
        with shown(progress, job) as bar:
            job = self.wait(job.id, bar=bar)
        return self.result(job)

    def result(self, job: Job | str) -> Result:
        """Everything that a job yielded."""
        if isinstance(job, str):
            job = self.job(job)
        job_id = exchange.succeeded(job).id
        image, residual = (self.pixels(job_id, part) for part in ("result", "residual"))
        return Result(job, image, residual, self.report(job_id), self)

    # --- images ---

    def upload(self, source: Sources, name: str | None = None) -> Image:
        """Send a file, for jobs to come; the same file again is the same image."""
        return self._do(exchange.upload(source, name))

    def delete_image(self, image_id: str) -> None:
        """Remove an image that no job needs."""
        self._do(exchange.delete(f"/v1/images/{image_id}"))

    # --- jobs ---

    def submit(self, source: Sources | Image, *, key: str | None = None, **options: Any) -> Job:
        """Submit a job without waiting for it; options as of `denoise`.

        A submission with the `key` of an earlier one makes no second job.
        """
        return self._do(exchange.submit(source, options, key))

    def job(self, job_id: str, wait: float = 0.0) -> Job:
        """The job as it stands, or once it has ended within `wait` seconds."""
        return self._do(exchange.show(job_id, wait))

    def wait(
        self, job_id: str, timeout: float | None = None, *, bar: Progress | None = None
    ) -> Job:
        """The job once it has ended; TimeoutError after so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = exchange.LONG_POLL if end is None else end - time.monotonic()
            wait = max(0.0, min(left, 1.0 if bar else exchange.LONG_POLL))
            asked = time.monotonic()
            job = self.job(job_id, wait)
            if bar:
                bar(job)
            if job.ended:
                return job
            if left <= 0:
                raise TimeoutError(f"job {job_id} is {job.state} after {timeout} s")
            time.sleep(exchange.rest(wait, time.monotonic() - asked))

    def jobs(self, **filters: Any) -> Iterator[Job]:
        """Own jobs, newest first; `state`, `label="name=value"`, `external_id`, `batch`, ..."""
        cursor: str | None = None
        while True:
            jobs, cursor = self._do(exchange.page({**filters, "cursor": cursor}))
            yield from jobs
            if cursor is None:
                return

    def cancel(self, job_id: str) -> Job:
        """Stop a job."""
        return self._do(exchange.act(job_id, "cancel"))

    def finish(self, job_id: str) -> Job:
        """Let a job end with what it has."""
        return self._do(exchange.act(job_id, "finish"))

    def retry(self, job_id: str) -> Job:
        """A new job with the same image and parameters."""
        return self._do(exchange.retry(job_id))

    def describe(self, job_id: str, **changes: Any) -> Job:
        """Change `external_id`, `sample_id`, `batch` or `labels`; None takes one away."""
        return self._do(exchange.describe(job_id, changes))

    def delete(self, job_id: str) -> None:
        """Remove a job that has ended, and all it yielded."""
        self._do(exchange.delete(f"/v1/jobs/{job_id}"))

    def events(self, job_id: str, after: int = 0) -> Iterator[Event]:
        """What happens to a job, up to its end; goes on where a connection broke."""
        attempts = self._retrying.attempts()
        while True:
            broken = BrokenError(f"the events of job {job_id} ended before it did")
            try:
                for event in self._stream_of_events(job_id, after, attempts):
                    after = event.id
                    yield event
                if self.job(job_id).ended:
                    return
            except httpx.TransportError as error:
                broken = BrokenError(error)
            except BrokenError as error:
                broken = error
            pause = attempts.pause(broken.answer)
            if pause is None:
                raise problem_of(broken.answer, broken, self._http.base_url) from broken
            time.sleep(pause)

    # --- many at once ---

    def submit_batch(
        self, images: Images, *, key: str | None = None, **options: Any
    ) -> dict[str, Any]:
        """Denoise uploaded images, or a zip of files, alike; options as of `Client.denoise`.

        All are accepted or none. In a zip an EMI file goes with the SER files beside it.
        Returns the batch: `name`, `total`, `counts` by state, `progress`, `links`.
        """
        return self._do(exchange.submit_batch(images, options, key))

    def batch(self, name: str) -> dict[str, Any]:
        """Where the jobs that share this name stand."""
        return self._do(exchange.batch(name))

    def wait_batch(
        self, name: str, *, tell: Callable[[Mapping[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """The batch once all its jobs have ended; `tell` is called with it at every look."""
        while True:
            batch = self.batch(name)
            if tell is not None:
                tell(batch)
            if exchange.has_ended(batch):
                return batch
            time.sleep(exchange.BETWEEN)

    def download_summary(self, name: str, path: str | Path) -> Path:
        """Write what came of each job of a batch into a CSV file."""
        path = Path(path)
        self._sent(exchange.summary(name), path)
        return path

    def cancel_batch(self, name: str) -> dict[str, Any]:
        """Stop all jobs of a batch that wait or run."""
        return self._do(exchange.batch(name, "cancel"))

    # --- live ---

    def live(
        self, shape: Sequence[int], dtype: str = "uint16", *, link: str = "auto", **options: Any
    ) -> LiveSession:
        """Open a live session: frames in while they are scanned, results out.

        Parameters
        ----------
        shape : (int, int)
            Of a frame.
        dtype : str
            Of its pixels: uint8, uint16, int16, uint32 or float32.
        link : {"auto", "websocket", "requests"}
            How it is connected; `auto` uses requests where `websockets` is not installed.
        **options
            `mode`, `memory_frames`, `keep_frames`, `history`, `deadline_ms`, `pixel_size`, `unit`,
            `external_id`, `sample_id`, `labels`, `metadata`; others are parameters of the
            denoising, as `method="paper"`.
        """
        options = {"dtype": dtype, **options}
        link = checked_link(link)
        data = self._do(live_messages.open_session(shape, options))
        return LiveSession(self._of_another_thread, data, link=link)

    def live_session(self, session_id: str, *, after: int = 0, link: str = "auto") -> LiveSession:
        """A session that is open already, to look at or to go on with.

        With `after`, the number of the last result that is known, those that the server still
        holds come first.
        """
        data = self._do(live_messages.show_session(session_id))
        return LiveSession(self._of_another_thread, data, after=after, link=link)

    def _of_another_thread(self) -> AsyncClient:
        url, key, timeout = self._stated
        return AsyncClient(url, key, retrying=self._retrying, timeout=timeout)

    # --- what they yield ---

    def pixels(self, job_id: str, part: str = "result") -> Array:
        """`result`, `residual` or `coverage` as an array."""
        return self._do(exchange.pixels(job_id, part))

    def report(self, job_id: str) -> dict[str, Any]:
        """The classification report."""
        return self._do(exchange.report(job_id))

    def download(self, job_id: str, path: str | Path, part: str = "result", **query: Any) -> Path:
        """Write a part of a job into a file, whole or not at all.

        `query` are parameters of the part: `frame=0` of a picture, `input=False` of `bundle.zip`.
        """
        path = Path(path)
        self._sent(exchange.download(job_id, part, path, query), path)
        return path

    # --- sending ---

    def _do(self, steps: Exchange[T]) -> T:
        """Send what an exchange asks for, until it returns."""
        try:
            request = next(steps)
            while True:
                request = steps.send(self._sent(request))
        except StopIteration as end:
            result: T = end.value
            return result

    def _sent(self, request: Request, into: Path | None = None) -> httpx.Response:
        """The answer, read or written into a file; asked again as `retrying` says."""
        attempts = self._retrying.attempts()
        while True:
            answer: httpx.Response | None = None
            failure: httpx.TransportError | None = None
            try:
                with ExitStack() as files:
                    options = request.options(files)
                    with self._http.stream(request.method, request.path, **options) as answer:
                        _take(answer, into)
                        if request.is_done(answer, repeated=attempts.is_repetition):
                            return answer
            except httpx.TransportError as error:
                answer, failure = None, error
            pause = attempts.pause(answer)
            if pause is None:
                raise problem_of(answer, failure, self._http.base_url) from failure
            time.sleep(pause)

    def _stream_of_events(self, job_id: str, after: int, attempts: Attempts) -> Iterator[Event]:
        request = exchange.events(job_id, after)
        with self._http.stream(request.method, request.path, headers=request.headers) as got:
            if not got.is_success:
                got.read()
                raise BrokenError(f"the server answered {got.status_code}", got)
            lines = exchange.EventLines()
            for line in got.iter_lines():
                attempts.succeeded()  # also by one that only says that the server is there
                event = lines.feed(line)
                if event is not None:
                    yield event


def _take(response: httpx.Response, into: Path | None) -> None:
    digest = Digest(response)
    if into is None or not response.is_success:
        digest.feed(response.read())
        digest.check()
        return
    with whole_file(into) as file:
        for chunk in response.iter_bytes():
            digest.feed(chunk)
            file.write(chunk)
        digest.check()
