"""Drawing is bounded: in children, few at a time, in fair turns, in steps, within the quota."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api import cache, drawing, pictures
from app.api.drawing import Easel, check_place
from app.api.pictures import LADDER, block_means, block_means_in_pieces, rung
from app.http.problems import Problem
from tests.support.inprocess import Api, npy, running
from worker import formats
from worker.contract import Scope
from worker.store.folder import FolderStore


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path) as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


@pytest.fixture
def image(client: httpx.Client) -> str:
    return str(client.post("/images", files={"file": npy(1)}).json()["id"])


@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    step=st.integers(1, 80),
    piece=st.integers(1, 200),
)
def test_means_in_pieces_are_the_means(shape: tuple[int, int], step: int, piece: int) -> None:
    frame = np.random.default_rng(3).poisson(9, shape).astype(np.uint16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "PIECE", piece)
        assert np.array_equal(block_means_in_pieces(frame, step), block_means(frame, step))


def test_there_are_few_sizes() -> None:
    sides = range(16, 2049)
    assert {rung(side) for side in sides} == set(LADDER)
    assert all(side / 2 < rung(side) <= side for side in sides)


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("drawn in the server's own process")


def test_the_server_itself_draws_nothing(
    api: Api, client: httpx.Client, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = {"image_id": image, "params": {"patch_size": 5, "components": 4}}
    job = client.post("/jobs", json=wish).json()["id"]
    api.work(job)
    for name in ("load", "percentile"):
        monkeypatch.setattr(np, name, refuse)
    for module, name in ((formats, "write"), (pictures, "draw_preview")):
        monkeypatch.setattr(module, name, refuse)
    for path in (
        f"/images/{image}/preview.png",
        f"/jobs/{job}/eigenpatches.png",
        f"/jobs/{job}/eigenpatches/1/1.png",
        *(
            f"/jobs/{job}/{kind}?format={format_}"
            for kind in ("result", "residual", "coverage")
            for format_ in ("tiff", "npy", "mrc", "hspy", "png")
        ),
        f"/jobs/{job}/result?format=png&percentiles=1,99&colormap=viridis&scalebar=true",
        f"/jobs/{job}/result?dtype=source",
        f"/jobs/{job}/bundle.zip",
    ):
        assert client.get(path).status_code == 200, path


def test_what_takes_too_long_is_ended_and_said(
    client: httpx.Client, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "SECONDS", 0.001)
    answer = client.get(f"/images/{image}/preview.png")
    assert (answer.status_code, answer.json()["code"]) == (503, "too_large_to_draw")
    monkeypatch.undo()
    assert client.get(f"/images/{image}/preview.png").status_code == 200


async def turns(asked: list[str], most_waiting: int = 99) -> list[str]:
    """In which order owners are served who ask in this one, while the first has the only place."""
    easel, order = Easel(1, 1, most_waiting), []
    begun, go_on = threading.Event(), threading.Event()

    def make(owner: str) -> None:
        check_place()
        order.append(owner)
        begun.set()
        go_on.wait(60)

    tasks = []
    for owner in asked:
        tasks.append(asyncio.create_task(easel.drawn(owner, lambda owner=owner: make(owner))))
        while len(tasks) > 1 and not waits(easel, len(tasks) - 1) and not tasks[-1].done():
            await asyncio.sleep(0.001)
        if len(tasks) == 1:
            await asyncio.to_thread(begun.wait, 60)
    go_on.set()
    await asyncio.gather(*tasks)
    return order


def waits(easel: Easel, count: int) -> bool:
    return easel.turns.waiting == count


def test_owners_take_turns() -> None:
    asked = ["ada"] * 6 + ["bob", "eve", "bob"]
    assert asyncio.run(turns(asked)) == ["ada", "ada", "bob", "eve", "ada", "bob", *["ada"] * 3]


def test_an_owner_may_wait_so_often() -> None:
    with pytest.raises(Problem) as refused:
        asyncio.run(turns(["ada"] * 4, most_waiting=2))
    assert (refused.value.status, refused.value.code) == (429, "too_many_drawings")


async def cancel_one_who_waits() -> str:
    easel = Easel(1, 1)
    go_on = threading.Event()

    def make(given: str) -> str:
        check_place()
        go_on.wait(60)
        return given

    first, second, third = (
        asyncio.create_task(easel.drawn("ada", lambda given=given: make(given)))
        for given in ("first", "second", "third")
    )
    while not waits(easel, 2):
        await asyncio.sleep(0.001)
    second.cancel()
    go_on.set()
    await first
    return await asyncio.wait_for(third, 60)


def test_who_hangs_up_gives_the_place_on() -> None:
    assert asyncio.run(cancel_one_who_waits()) == "third"


def test_what_is_drawn_does_not_wait_and_who_waits_holds_nobody_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    draw = drawing.run_apart

    def stuck(*arguments: Any) -> int | None:
        begun.set()
        assert go_on.wait(60)
        return draw(*arguments)

    key = api.key("ada", Scope.SUBMIT, Scope.READ)
    with api.client(key) as client, ThreadPoolExecutor(80) as pool:
        image = client.post("/images", files={"file": npy(1)}).json()["id"]
        path = f"/images/{image}/preview.png"
        assert client.get(path, params={"side": 32}).status_code == 200
        monkeypatch.setattr(drawing, "run_apart", stuck)
        sides = [16, 64, 128, 256, 512] * 16
        looks = [pool.submit(client.get, path, params={"side": side}) for side in sides]
        assert begun.wait(60)
        assert client.get(path, params={"side": 32}).status_code == 200
        assert client.get("/jobs").status_code == 200
        go_on.set()
        assert {look.result().status_code for look in looks} == {200}


def test_renditions_leave_free_what_must_stay_free(
    client: httpx.Client, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderStore, "free", lambda _: 2**20)
    answer = client.get(f"/images/{image}/preview.png")
    assert (answer.status_code, answer.json()["code"]) == (507, "insufficient_storage")


def test_renditions_count_toward_the_quota(tmp_path: Path) -> None:
    with running(tmp_path, owner_quota_mib=6) as api, api.client() as client:
        image = client.post("/images", files={"file": npy(1)}).json()["id"]
        assert client.get(f"/images/{image}/preview.png?side=16").status_code == 200
        large = api.store.renditions_of("images", image) / "preview-64.png"
        large.write_bytes(bytes(3 * 2**20))
        answer = client.get(f"/images/{image}/preview.png?side=128")
        assert (answer.status_code, answer.json()["code"]) == (507, "quota_exceeded")


def test_there_are_so_many_renditions_of_one_thing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MOST_RENDITIONS", 4)

    def draw(target: Path) -> None:
        target.write_bytes(b"drawn")

    for number in range(20):
        cache.cached(tmp_path / f"{number:02}.png", "image/png", draw, "x" * 32)
    assert len(list(tmp_path.iterdir())) <= 2 * 4
    assert (tmp_path / "19.png").exists()
