"""Lists are short whatever is in them; what they leave out is there by id."""

import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from app.http import paging
from tests.support.inprocess import Api, npy, running
from worker.contract import FileInfo, ImageInfo, SkippedSignal
from worker.decoding.budget import CUT, OF_DEFAULT, OF_OTHERS, within_budget
from worker.ledger.images import Images

json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3000),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=200), below),
    max_leaves=20,
)


def info(*metadata: dict[str, Any], default: int = 0, title: str = "") -> FileInfo:
    signals = (ImageInfo("tiff", (9, 9), "uint8", metadata=each, title=title) for each in metadata)
    return FileInfo("tiff", tuple(signals), default=default)


@given(metadata=st.lists(st.dictionaries(st.text(max_size=99), json_values), min_size=1))
def test_the_metadata_of_a_file_have_one_budget(metadata: list[dict[str, Any]]) -> None:
    many = [{**each, "long": "x" * 9999, "deep": {"er": ["y" * 9999] * 9}} for each in metadata] * 9
    kept = [each.metadata for each in within_budget(info(*many, default=3)).signals]
    assert len(kept) == len(many)
    assert sum(len(json.dumps(each)) for each in kept) <= OF_DEFAULT + OF_OTHERS
    for whole, cut in zip(many, kept, strict=True):
        assert cut == whole or cut["truncated"] is True
        assert cut.keys() <= whole.keys() | CUT.keys()


def test_what_fits_is_kept_as_it_is() -> None:
    small = info({"a": {"b": [1, 2.5, None]}}, {"c": "\u00e4"}, title="HAADF")
    assert within_budget(small) == small


def test_long_texts_are_cut() -> None:
    skipped = (SkippedSignal("t" * 9999, "r" * 9999),) * 999
    long = FileInfo("tiff", info({}, title="x" * 2**16).signals, skipped)
    assert len(str(within_budget(long))) < 64 * 1024


def many_channels() -> bytes:
    """64 images, each with a description of its own that is as long as may be."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        for channel in range(64):
            tiff.write(
                np.full((16, 16 + channel), channel, np.uint8),
                description=json.dumps(
                    {f"key {n}": f"{channel} {n} " + "x" * 60 for n in range(900)}
                ),
                metadata=None,
            )
    return file.getvalue()


def test_a_list_of_images_is_short_and_one_by_id_is_whole(tmp_path: Path) -> None:
    with running(tmp_path) as api, api.client() as client:
        answer = client.post("/images", content=many_channels(), headers=OCTETS)
        assert answer.status_code == 201, answer.text
        for seed in range(3):
            assert client.post("/images", files={"file": npy(seed)}).status_code == 201
        listed = client.get("/images")
        assert len(listed.content) < 4 * 2048
        for each in listed.json()["images"]:
            whole = client.get(f"/images/{each['id']}")
            assert len(whole.content) < 2**19
            assert whole.json().items() >= each.items()
            assert each["signal_count"] == len(whole.json()["signals"])


OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def api_of_jobs(tmp_path: Path) -> Any:
    with running(tmp_path) as api:
        yield api


def submitted(client: httpx.Client, image: str, **fields: Any) -> httpx.Response:
    return client.post("/jobs", json={"image_id": image, **fields})


def test_jobs_are_listed_without_their_metadata(api_of_jobs: Api) -> None:
    with api_of_jobs.client() as client:
        image = client.post("/images", files={"file": npy(1)}).json()["id"]
        large = {"note": "x" * 60_000}
        for _ in range(5):
            assert submitted(client, image, metadata=large).status_code == 202
        refused = submitted(client, image, metadata={"note": "x" * 70_000})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "metadata")
        listed = client.get("/jobs")
        assert len(listed.content) < 10_000
        for each in listed.json()["jobs"]:
            whole = client.get(f"/jobs/{each['id']}").json()
            assert whole["metadata"] == large
            assert whole.items() >= each.items()


def test_a_page_ends_where_it_would_be_long(
    api_of_jobs: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "LARGEST", 5000)
    with api_of_jobs.client() as client:
        image = client.post("/images", files={"file": npy(1)}).json()["id"]
        labels = {f"name {n}": "x" * 99 for n in range(20)}
        ids = [submitted(client, image, labels=labels).json()["id"] for _ in range(7)]
        for kind, expected in (("jobs", ids[::-1]), ("images", [image])):
            found: list[str] = []
            query: dict[str, Any] = {"limit": 200}
            while True:
                answer = client.get(f"/{kind}", params=query)
                assert len(answer.content) < 6000
                found += [each["id"] for each in answer.json()[kind]]
                if answer.json()["next"] is None:
                    break
                query["cursor"] = answer.json()["next"]
            assert found == expected


def test_a_page_of_images_is_read_without_metadata(tmp_path: Path) -> None:
    with running(tmp_path) as api, api.client() as client:
        client.post("/images", content=many_channels(), headers=OCTETS)
        (record,) = Images(api.database).page()
        assert all(signal.metadata == {} for signal in record.contents.signals)
