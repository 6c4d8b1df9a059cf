"""Uploads are decoded in fair turns: one owner's slow files never hold up another's."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.api.services import DECODERS
from tests.support.inprocess import npy, running
from worker import acceptance
from worker.contract import FileInfo, Scope
from worker.decoding.parent import decode
from worker.decoding.terms import Limits

SLOW = (64, 64)  # shape of the images that take their time


def test_one_owners_slow_files_never_hold_up_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    def slowly(
        source: Path, folder: Path, limits: Limits, companions: Sequence[Path] = ()
    ) -> FileInfo:
        info = decode(source, folder, limits, companions)
        if info.signals[0].shape == SLOW:
            begun.release()
            assert go_on.wait(60)
        return info

    monkeypatch.setattr(acceptance, "decode", slowly)
    with running(tmp_path) as api, ThreadPoolExecutor() as pool:
        keys = {owner: api.key(owner, Scope.SUBMIT) for owner in ("many", "one")}

        def upload(owner: str, content: bytes) -> int:
            with api.client(keys[owner]) as client:
                return client.post("/images", files={"file": content}).status_code

        waiting = [pool.submit(upload, "many", npy(seed, SLOW)) for seed in range(DECODERS + 3)]
        for _ in range(DECODERS):
            assert begun.acquire(timeout=60)
        assert upload("one", npy(99)) == 201  # while all of the other's are at work or waiting
        assert not any(each.done() for each in waiting)
        go_on.set()
        assert {each.result(60) for each in waiting} == {201}
