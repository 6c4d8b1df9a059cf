"""Live sessions: frames in while the microscope scans, results out, through broken connections.

`AsyncLiveSession` does the work in tasks of the event loop; `LiveSession` gives it a loop in a
thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import httpx
import numpy as np

from reucid_client import live_messages
from reucid_client.errors import ProblemError, ReucidClientError
from reucid_client.exchange import Array, Exchange
from reucid_client.live_links import PASSING, Link, Word, by_requests, by_websocket
from reucid_client.live_messages import LiveResult, Rows
from reucid_client.models import Job
from reucid_client.retrying import BrokenError, Retrying
from reucid_client.wire import problem_of

if TYPE_CHECKING:
    from reucid_client.asynchronous import AsyncClient

LARGEST_FRAME = 2**53 - 1
HELD = 32  # results that wait for whoever wants all
WAITING = {"latest": 2, "lossless": 8}  # frames that wait here, before they are sent
UNDER_WAY = 4  # frames that are sent and not answered yet
COUNTED = (
    *("received", "processed", "superseded", "dropped", "waiting", "partial", "repeated"),
    *("newest", "shown", "sequence", "restarts", "age_ms"),
)
LINKS = ("auto", "websocket", "requests")

T = TypeVar("T")
Do = Callable[[Exchange[Any]], Awaitable[Any]]


class AsyncLiveSession:
    """A live session of a server; made by `AsyncClient.live` and `AsyncClient.live_session`.

    Leaving its context only disconnects: `close` ends the session and makes a job of it. A
    connection that breaks is made again, as long as `Retrying` has patience: rows that were not
    answered are sent again, and results go on after the last one that came.

    Attributes
    ----------
    id : str
    shape : (int, int)
    dtype : numpy.dtype
        Of the pixels that are sent.
    data : dict
        All that the server told when the session was opened.
    counts : mapping
        What came of the frames, as the server told last: `received`, `processed`, `dropped`, ...
    left_out : int
        Frames that were not sent, since newer ones came faster than the connection took them.
    ended : mapping or None
        `state`, `reason` and `jobs` of a session that has ended.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        do: Do,
        retrying: Retrying,
        data: Mapping[str, Any],
        *,
        after: int = 0,
        link: str = "auto",
    ) -> None:
        self.data = dict(data)
        self.id = str(data["id"])
        self.shape: tuple[int, int] = (data["shape"][0], data["shape"][1])
        self.dtype = np.dtype(data["dtype"])
        self.counts: Mapping[str, Any] = data.get("counts") or {}
        self.left_out = 0
        self.ended: Word | None = None
        self._http, self._do, self._by = http, do, link
        self._is_lossless = data["mode"] == "lossless"
        self._sequence = after  # of the newest result that came
        self._results: deque[LiveResult] = deque(maxlen=HELD)
        self._unsent: deque[Rows] = deque()
        self._unanswered: deque[Rows] = deque()
        self._frame = int(-1 if self.counts.get("newest") is None else self.counts["newest"])
        self._wanted = False  # results
        self._attempts = retrying.attempts()  # to be connected
        self._is_closed = False  # the server says so
        self._pause = 0.0  # s before rows are sent again
        self._refused: list[ReucidClientError] = []  # of rows, to be told at the next call
        self._failure: ReucidClientError | None = None  # for good
        self._changed = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())
        self._task.add_done_callback(self._left)

    async def __aenter__(self) -> AsyncLiveSession:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.disconnect()

    async def disconnect(self) -> None:
        """Leave the session as it is; without frames it ends by itself after a while."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # --- frames in ---

    async def send(
        self,
        pixels: Array,
        frame: int | None = None,
        *,
        first_row: int = 0,
        captured_at: float | None = None,
    ) -> int:
        """Send a frame, or rows of it as the scan delivers them.

        Returns as soon as they are on their way. In mode `latest` nothing waits: where the
        connection is slower, the oldest frames that wait are left out (`left_out`). In mode
        `lossless` it waits until there is room.

        Parameters
        ----------
        pixels : ndarray, shape (m, n) or (k, n)
            Of the session's type.
        frame : int, optional
            Its number. By default the one after the last, of rows from row 0 on; else the last.
        first_row : int
            Where the first of the rows lies.
        captured_at : float, optional
            When the last row was captured, in seconds since 1970; now by default.

        Returns
        -------
        int
            The number of the frame.

        Raises
        ------
        ProblemError
            When the server has refused rows, of this call or one before: `problem["frame"]`. Those
            of this call are on their way all the same, unless the session has ended.
        ValueError
            When they do not fit the session.
        """
        rows = self._rows(pixels, frame, first_row, captured_at)
        self._raise()
        self._frame = rows.frame
        self._unsent.append(rows)
        self._changed.set()
        most = WAITING["lossless" if self._is_lossless else "latest"]
        if self._is_lossless:
            await self._until_sent(lambda: _frames(self._unsent) <= most)
        while _frames(self._unsent) > most:
            oldest = self._unsent[0].frame
            self._unsent = deque(each for each in self._unsent if each.frame != oldest)
            self.left_out += 1
        if self._refused:
            raise self._refused.pop(0)
        return rows.frame

    async def flush(self) -> None:
        """Wait until the server has answered all rows that were sent."""
        await self._until_sent(lambda: not self._unsent and not self._unanswered)

    # --- results out ---

    async def results(self, *, every: bool = False) -> AsyncGenerator[LiveResult, None]:
        """Results as they come, until the session ends.

        Parameters
        ----------
        every : bool
            All that the server has sent, of which the last 32 wait; else the newest at each turn.
            Either way what a slow connection had no time for is left out.
        """
        after = self._want()
        while True:
            await self._until_newer(after)
            newer = [each for each in self._results if each.sequence > after]
            if not newer:
                return
            found = newer[0] if every else newer[-1]
            after = found.sequence
            yield found

    async def newest(self, after: int = 0, timeout: float | None = None) -> LiveResult | None:
        """The newest result, once there is one after a number; None after so many seconds."""
        self._want()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._until_newer(after), timeout)
        newest = self._results[-1] if self._results else None
        return newest if newest is not None and newest.sequence > after else None

    # --- the end ---

    async def keep(self, what: str = "last") -> Job:
        """A job of what the server holds now: `last`, `stack` or `sum`; the session goes on."""
        await self.flush()
        job: Job = await self._do(live_messages.keep(self.id, what))
        return job

    async def close(self, keep: str | None = "last") -> Job | None:
        """End the session; what is kept of it becomes a job like any other."""
        await self.flush()
        job: Job | None = await self._do(live_messages.close(self.id, keep))
        await self._see_the_end()
        await self.disconnect()
        return job

    # --- the connection ---

    def _rows(
        self, pixels: Array, frame: int | None, first_row: int, captured_at: float | None
    ) -> Rows:
        m, n = self.shape
        pixels = np.asarray(pixels)
        if pixels.dtype.name != self.dtype.name:
            raise ValueError(
                f"got pixels of {pixels.dtype.name}, expected {self.dtype.name}, for which the "
                "session was opened"
            )
        if pixels.ndim != 2 or pixels.shape[1] != n or not 0 < len(pixels) <= m - first_row:
            raise ValueError(
                f"got rows of shape {pixels.shape} from row {first_row}, expected (k, {n}) within "
                f"{m} rows"
            )
        if first_row < 0:
            raise ValueError(f"got first_row {first_row}, expected at least 0")
        if frame is None:
            frame = self._frame + 1 if first_row == 0 else max(0, self._frame)
        if not 0 <= frame <= LARGEST_FRAME:
            raise ValueError(f"got frame {frame}, expected a number from 0 to {LARGEST_FRAME}")
        little = pixels.astype(self.dtype.newbyteorder("<"))  # a copy: the caller's may change
        at = time.time() if captured_at is None else captured_at
        return Rows(frame, first_row, self.shape, little, at)

    def _want(self) -> int:
        """Ask for results; from which number on."""
        self._wanted = True
        self._changed.set()
        return self._results[0].sequence - 1 if self._results else self._sequence

    def _raise(self) -> None:
        """What does not let the session go on."""
        if self._failure is not None:
            raise self._failure
        if self.ended is not None:
            detail = f"the session {self.id} has ended ({self.ended.get('reason')})"
            raise ProblemError(409, {"code": "session_closed", "detail": detail})

    async def _until_sent(self, condition: Callable[[], bool]) -> None:
        """Wait for rows to be gone; raises what the server has refused of them."""
        while True:
            if self._refused:
                raise self._refused.pop(0)
            if condition():
                return
            self._raise()
            self._changed.clear()
            await self._changed.wait()

    async def _until_newer(self, after: int) -> None:
        """Wait for a result after a number, or for the end."""
        while self._sequence <= after and self.ended is None:
            self._raise()
            self._changed.clear()
            await self._changed.wait()

    async def _run(self) -> None:
        """Be connected until the session ends or patience does."""
        while self.ended is None and self._failure is None:
            broken = BrokenError("the connection was closed")
            try:
                async with AsyncExitStack() as stack:
                    await self._serve(await self._linked(stack))
            except BrokenError as error:
                broken = error
            if self._is_closed or (broken.answer is not None and broken.answer.status_code == 409):
                with suppress(ReucidClientError):
                    await self._see_the_end()
            if self.ended is not None:
                return
            pause = self._attempts.pause(broken.answer)
            if pause is None:
                failure = None if broken.answer is not None else broken
                self._failure = problem_of(broken.answer, failure, self._http.base_url)
                return
            await asyncio.sleep(pause)

    async def _linked(self, stack: AsyncExitStack) -> Link:
        pixels = self.shape[0] * self.shape[1]
        if self._by != "requests":
            try:
                way = by_websocket(self._http, self.id, pixels, self._take)
                return await stack.enter_async_context(way)
            except ImportError:
                if self._by == "websocket":
                    raise
                self._by = "requests"
        return await stack.enter_async_context(by_requests(self._http, self.id, self._take))

    async def _serve(self, link: Link) -> None:
        """Send and receive until the link breaks, or the session ends."""
        self._unsent.extendleft(reversed(self._unanswered))
        self._unanswered.clear()
        tasks = [asyncio.ensure_future(each) for each in (self._send_all(link), link.receive())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, link: Link) -> None:
        subscribed = False
        while True:
            if self._wanted and not subscribed:
                subscribed = True
                await link.subscribe(self._sequence)
            elif self._unsent and self._may_send():
                await asyncio.sleep(self._pause)
                self._pause = 0.0
                rows = self._unsent.popleft()
                self._unanswered.append(rows)
                self._changed.set()
                await link.send(rows)
            else:
                self._changed.clear()
                await self._changed.wait()

    def _may_send(self) -> bool:
        """Whether there is room for rows that are not answered; `lossless`, for one block."""
        if self._is_lossless:
            return not self._unanswered
        return _frames(self._unanswered) < UNDER_WAY

    def _take(self, told: Word | LiveResult) -> None:
        self._attempts.succeeded()
        if isinstance(told, LiveResult):
            if told.sequence > self._sequence:
                self._sequence = told.sequence
                self._results.append(told)
        elif told["type"] == "ended":
            self.ended = told
        elif told["type"] == "problem":
            self._take_problem(told)
        else:
            if told["type"] == "received" and self._unanswered:
                self._unanswered.popleft()
            self.counts = {**self.counts, **{k: v for k, v in told.items() if k in COUNTED}}
        self._changed.set()

    def _take_problem(self, told: Word) -> None:
        passes = told.get("code") in PASSING
        if "frame" not in told:  # of the connection, not of rows
            if told.get("code") == "session_closed":
                self._is_closed = True
            elif not passes:
                self._failure = ProblemError(int(told.get("status", 400)), told)
            return
        rows = self._unanswered.popleft() if self._unanswered else None
        if passes and self._is_lossless and rows is not None:
            self._unsent.appendleft(rows)
            self._pause = float(told.get("retry_after", 1))
        elif passes:
            self.left_out += 1
        elif told.get("code") != "frame_passed" or rows is None or rows.frame == self._frame:
            # Rows of a frame that has passed were sent again after a connection had broken.
            self._refused.append(ProblemError(int(told.get("status", 422)), told))

    def _left(self, task: asyncio.Future[None]) -> None:
        """Nothing is connected any more: whoever waits is told."""
        error = None if task.cancelled() else task.exception()
        if self.ended is None and self._failure is None:
            self._failure = ReucidClientError(str(error or "this session was disconnected"))
        self._changed.set()

    async def _see_the_end(self) -> None:
        """What the server says of the end."""
        data = await self._do(live_messages.show_session(self.id))
        if data["state"] != "open":
            self.ended = {name: data[name] for name in ("state", "reason", "jobs")}
        self._changed.set()


class LiveSession:
    """As `AsyncLiveSession`, for programs that wait; its methods may be called by any thread."""

    def __init__(
        self,
        client: Callable[[], AsyncClient],
        data: Mapping[str, Any],
        *,
        after: int = 0,
        link: str = "auto",
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

        async def begin() -> tuple[AsyncClient, AsyncLiveSession]:
            own = client()
            return own, own.connected(data, after=after, link=link)

        try:
            self._client, self._session = self._wait(begin())
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> LiveSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()

    @property
    def id(self) -> str:
        """Of the session."""
        return self._session.id

    @property
    def data(self) -> Mapping[str, Any]:
        """All that the server told when the session was opened."""
        return self._session.data

    @property
    def counts(self) -> Mapping[str, Any]:
        """What came of the frames, as the server told last."""
        return self._session.counts

    @property
    def left_out(self) -> int:
        """Frames that were not sent, since the connection was slower."""
        return self._session.left_out

    @property
    def ended(self) -> Word | None:
        """`state`, `reason` and `jobs` of a session that has ended."""
        return self._session.ended

    def send(
        self,
        pixels: Array,
        frame: int | None = None,
        *,
        first_row: int = 0,
        captured_at: float | None = None,
    ) -> int:
        """Send a frame, or rows of it; see `AsyncLiveSession.send`."""
        sending = self._session.send(pixels, frame, first_row=first_row, captured_at=captured_at)
        return self._wait(sending)

    def flush(self) -> None:
        """Wait until the server has answered all rows that were sent."""
        self._wait(self._session.flush())

    def results(self, *, every: bool = False) -> Iterator[LiveResult]:
        """Results as they come, until the session ends: the newest at each turn, or every one."""
        results = self._session.results(every=every)
        try:
            while (found := self._wait(_next(results))) is not None:
                yield found
        finally:
            if self._thread.is_alive():
                self._wait(_closed(results))

    def newest(self, after: int = 0, timeout: float | None = None) -> LiveResult | None:
        """The newest result, once there is one after a number; None after so many seconds."""
        return self._wait(self._session.newest(after, timeout))

    def keep(self, what: str = "last") -> Job:
        """A job of what the server holds now: `last`, `stack` or `sum`; the session goes on."""
        return self._wait(self._session.keep(what))

    def close(self, keep: str | None = "last") -> Job | None:
        """End the session; what is kept of it becomes a job like any other."""
        return self._wait(self._session.close(keep))

    def disconnect(self) -> None:
        """Leave the session as it is; without frames it ends by itself after a while."""
        if self._thread.is_alive():
            self._wait(self._leave())
            self._stop()

    async def _leave(self) -> None:
        await self._session.disconnect()
        await self._client.close()

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:  # the caller was interrupted, and waits for nothing any more
            future.cancel()
            raise

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def checked_link(link: str) -> str:
    """A way to be connected; raises ValueError for what is none."""
    if link not in LINKS:
        raise ValueError(f"got link {link!r}, expected one of {', '.join(LINKS)}")
    return link


def _frames(rows: Iterable[Rows]) -> int:
    return len({each.frame for each in rows})


async def _next(results: AsyncGenerator[LiveResult, None]) -> LiveResult | None:
    async for found in results:
        return found
    return None


async def _closed(results: AsyncGenerator[LiveResult, None]) -> None:
    await results.aclose()
