"""An uploaded file as it was sent, by as many ranges as a reader of it wants."""

import os
from pathlib import Path

import pytest

from tests.support.inprocess import npy, running
from worker.store import checked
from worker.store.files import sha256_of


def test_many_ranges_cost_one_reading_and_no_damage_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(*paths: Path) -> str:
        read.extend(paths)
        return sha256_of(*paths)

    monkeypatch.setattr(checked, "sha256_of", counted)
    monkeypatch.setattr(checked, "SETTLED", -60.0)  # it has just been written
    with running(tmp_path) as api, api.client() as client:
        image_id = client.post("/images", files={"file": ("a.npy", npy(3))}).json()["id"]
        here = f"/images/{image_id}/content"
        for first in range(3):
            answer = client.get(here, headers={"Range": f"bytes={first}-{first}"})
            assert (answer.status_code, answer.content) == (206, npy(3)[first : first + 1])
        (path,) = read
        content = bytearray(path.read_bytes())
        content[0] ^= 1
        path.write_bytes(content)
        os.utime(path, (0, 0))
        answer = client.get(here, headers={"Range": "bytes=9-9"})
        assert (answer.status_code, answer.json()["code"]) == (500, "damaged_image")
