"""Live sessions of the client, against a server whose worker is in this process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_client import AsyncClient, Client, LiveSession, ProblemError, UnreachableError
from reucid_client.errors import ReucidClientError
from tests.client.conftest import IMPATIENT
from tests.support.inprocess import Api, running, working
from tests.support.live import SHAPE, frame_of, worker
from tests.support.relays import Relay, relaying
from tests.support.servers import valkey_server
from tests.support.waiting import until
from worker.contract import Scope

LINKS = ["websocket", "requests"]
ROOMY = {"live_workers": 99, "live_sessions_per_key": 99}
OPTIONS: dict[str, Any] = {"keep_frames": 3, "history": 4, "method": "paper"}


@pytest.fixture(scope="module")
def live_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder: Path = tmp_path_factory.mktemp("live")
    with (
        valkey_server(folder) as valkey,
        running(folder / "data", redis_url=valkey.url, rate_limit="", **ROOMY) as api,
        working(api),
    ):
        yield api


@pytest.fixture(scope="module")
def live_key(live_api: Api) -> str:
    return live_api.key("ada", Scope.SUBMIT, Scope.READ)


@pytest.fixture
def live_client(live_api: Api, live_key: str) -> Iterator[Client]:
    with Client(live_api.url, live_key, retrying=IMPATIENT) as client:
        yield client


@contextmanager
def served(api: Api, session: LiveSession) -> Iterator[LiveSession]:
    """A session with a worker."""
    with session, worker(api.settings.redis_url or "", api.database, session.id):
        yield session


@contextmanager
def relayed(api: Api, key: str) -> Iterator[tuple[Relay, Client]]:
    with relaying(api.url) as relay, Client(relay.url, key, retrying=IMPATIENT) as client:
        yield relay, client


@pytest.mark.parametrize("link", LINKS)
def test_frames_in_results_out_and_a_job_at_the_end(
    live_api: Api, live_client: Client, link: str
) -> None:
    session = live_client.live(SHAPE, link=link, labels={"run": link}, **OPTIONS)
    with served(live_api, session):
        frame = frame_of(0)
        copy = frame.copy()
        assert session.send(frame, captured_at=1.5) == 0
        result = session.newest(timeout=60)
        assert result is not None
        assert (result.frame, result.complete, result.denoised) == (0, True, True)
        assert (result.image.shape, result.image.dtype) == (SHAPE, np.float32)
        assert result.captured_at == 1.5
        assert 0 < np.mean((result.image - frame) ** 2) < frame.var()
        np.testing.assert_array_equal(frame, copy)
        assert session.send(frame_of(1)) == 1
        session.flush()
        assert session.counts["received"] == 2
        kept = session.keep("last")
        job = session.close("stack")
        assert job is not None
        assert job.id != kept.id
        assert session.ended is not None
        assert session.ended["jobs"] == [kept.id, job.id]
    ended = live_client.wait(job.id)
    assert (ended.state, ended.data["labels"]) == ("succeeded", {"run": link})
    assert live_client.report(job.id)["parameters"]["session"]["frames"] == [0, 1]


@pytest.mark.parametrize("link", LINKS)
def test_rows_fill_in(live_api: Api, live_client: Client, link: str) -> None:
    with served(live_api, live_client.live(SHAPE, link=link, **OPTIONS)) as session:
        after = 0
        for number in range(2):
            for first in range(0, SHAPE[0], 16):
                rows = frame_of(number)[first : first + 16]
                assert session.send(rows, first_row=first) == number
                result = session.newest(after, timeout=60)
                assert result is not None
                after = result.sequence
                assert result.frame == number
                assert np.isfinite(result.image[: first + 16]).all()
                assert np.isnan(result.image[first + 16 :]).all()


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("every", [False, True])
def test_results_are_iterated_until_the_session_ends(
    live_api: Api, live_client: Client, link: str, every: bool
) -> None:
    with served(live_api, live_client.live(SHAPE, link=link, **OPTIONS)) as session:
        seen: list[int] = []

        def look() -> None:
            seen.extend(result.frame for result in session.results(every=every))

        viewer = threading.Thread(target=look)
        viewer.start()
        for number in range(4):
            session.send(frame_of(number))
            until(lambda number=number: number in seen)
        assert session.close(keep=None) is None
        viewer.join(60)
        assert not viewer.is_alive()
        assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("link", LINKS)
def test_a_broken_connection_is_made_again_and_nothing_is_lost(
    live_api: Api, live_key: str, link: str
) -> None:
    with relayed(live_api, live_key) as (relay, client):
        options = OPTIONS | {"mode": "lossless"}
        with served(live_api, client.live(SHAPE, link=link, **options)) as session:
            seen: set[int] = set()

            def look() -> None:
                seen.update(result.frame for result in session.results(every=True))

            viewer = threading.Thread(target=look)
            viewer.start()
            for number in range(12):
                if number % 4 == 2:
                    relay.cut()
                session.send(frame_of(number))
            session.flush()
            until(lambda: 11 in seen)
            session.close(keep=None)
            viewer.join(60)
        counts = client.live_session(session.id)
        with counts:
            assert counts.data["counts"]["processed"] == 12
            assert counts.data["counts"]["received"] == 12
        assert relay.connections > 3


def test_a_viewer_comes_back_where_it_was(live_api: Api, live_client: Client) -> None:
    with served(live_api, live_client.live(SHAPE, **OPTIONS)) as session:
        for number in range(3):
            session.send(frame_of(number))
            until(lambda number=number: session.newest(0).frame == number)  # type: ignore[union-attr]
        with live_client.live_session(session.id) as viewer:
            newest = viewer.newest(timeout=60)
            assert newest is not None
            assert newest.frame == 2
        with live_client.live_session(session.id, after=newest.sequence - 2) as viewer:
            results = viewer.results(every=True)
            assert [next(results).frame, next(results).frame] == [1, 2]
            results.close()
            assert viewer.send(frame_of(3)) == 3  # whoever may, goes on with the frames


def test_what_the_server_refuses_is_raised_with_its_frame(live_client: Client) -> None:
    with live_client.live(SHAPE, **OPTIONS) as session:
        session.send(frame_of(0), 5)
        session.send(frame_of(0)[:9], 4)
        with pytest.raises(ProblemError) as refused:
            session.flush()
        assert refused.value.code == "frame_passed"
        assert refused.value.problem["frame"] == 4
        session.send(frame_of(0), 6)
        session.flush()


@pytest.mark.parametrize(
    ("pixels", "first_row", "told"),
    [
        (np.zeros(SHAPE, np.float64), 0, "got pixels of float64, expected uint16"),
        (np.zeros((48, 39), np.uint16), 0, "expected .k, 40. within 48 rows"),
        (np.zeros((4, 40), np.uint16), 45, "from row 45"),
        (np.zeros((4, 40), np.uint16), -1, "got first_row -1"),
        (np.zeros((0, 40), np.uint16), 0, "expected"),
        (np.zeros(40, np.uint16), 0, "expected"),
    ],
)
def test_rows_that_do_not_fit_are_not_sent(
    live_client: Client, pixels: Any, first_row: int, told: str
) -> None:
    with live_client.live(SHAPE, **OPTIONS) as session:
        with pytest.raises(ValueError, match=told):
            session.send(pixels, first_row=first_row)
        session.flush()
        assert not session.counts.get("received")


def test_big_endian_pixels_are_sent_as_what_they_are(live_api: Api, live_client: Client) -> None:
    with live_client.live(SHAPE, **OPTIONS) as session:
        session.send(frame_of(0).astype(">u2"))
        session.flush()
        with live_api.client(live_client._stated[1]) as client:
            raw = client.get(f"/sessions/{session.id}/frames/0").content
        assert raw == frame_of(0).tobytes()


@pytest.mark.parametrize("link", LINKS)
def test_a_session_that_has_ended_takes_nothing(live_client: Client, link: str) -> None:
    with live_client.live(SHAPE, link=link, **OPTIONS) as session:
        with live_client.live_session(session.id) as other:
            assert other.close(keep=None) is None
        session.send(frame_of(0))
        with pytest.raises(ProblemError) as refused:
            session.flush()
        assert refused.value.code == "session_closed"
        assert list(session.results()) == []


def test_frames_that_are_too_many_for_the_connection_are_left_out(live_key: str) -> None:
    data = {"id": "s", "shape": SHAPE, "dtype": "uint16", "mode": "latest"}

    def nowhere() -> AsyncClient:
        return AsyncClient("http://127.0.0.1:9", live_key, retrying=IMPATIENT)

    with LiveSession(nowhere, data) as session:
        for number in range(6):
            session.send(frame_of(number))
        assert session.left_out == 4
        with pytest.raises(UnreachableError):
            session.flush()
        with pytest.raises(UnreachableError):
            session.send(frame_of(0))


@pytest.mark.parametrize("link", LINKS)
def test_another_owners_session_is_not_there(live_api: Api, live_client: Client, link: str) -> None:
    with live_client.live(SHAPE, **OPTIONS) as session:
        key = live_api.key("eve", Scope.SUBMIT, Scope.READ)
        with Client(live_api.url, key, retrying=IMPATIENT) as other:
            with pytest.raises(ProblemError) as refused:
                other.live_session(session.id)
            assert refused.value.status == 404
            data = {**session.data, "owner": "eve"}
            with (
                LiveSession(other._of_another_thread, data, link=link) as stolen,
                pytest.raises(ReucidClientError),  # from either, as soon as the server has said so
            ):
                _send_all(stolen, frame_of(0))


def _send_all(session: LiveSession, frame: NDArray[Any]) -> None:
    session.send(frame)
    session.flush()


def test_a_link_of_no_kind_is_refused(live_client: Client) -> None:
    with pytest.raises(ValueError, match="expected one of auto, websocket, requests"):
        live_client.live(SHAPE, link="pigeon", **OPTIONS)


def test_with_await(live_api: Api, live_key: str) -> None:
    async def scan() -> None:
        async with AsyncClient(live_api.url, live_key, retrying=IMPATIENT) as client:
            session = await client.live(SHAPE, **OPTIONS)
            with worker(live_api.settings.redis_url or "", live_api.database, session.id):
                async with session:
                    await session.send(frame_of(0))
                    async for result in session.results():
                        assert result.frame == 0
                        break
                    job = await session.close()
                assert job is not None
            assert (await client.wait(job.id)).state == "succeeded"

    asyncio.run(scan())
