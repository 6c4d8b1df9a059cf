"""What the API says of a file's signals: numbers of series, notes, origins, and no default."""

from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np

from tests.support.field import writers as w

FLAT = np.ones((24, 20), np.uint16)


def test_series_keep_their_numbers(api: httpx.Client, tmp_path: Path) -> None:
    """10 comes after 2, and each has the metadata of its number."""
    w.emi(tmp_path / "a.emi", [w.emi_object(n, n * 1e-6) for n in range(1, 13)])
    for number in (2, 10):
        w.ser(tmp_path / f"a_{number}.ser", [FLAT * number])
    names = ["a_10.ser", "a.emi", "a_2.ser"]
    sent = [("file", (name, (tmp_path / name).read_bytes())) for name in names]
    image = api.post("/images", files=sent).json()
    dwells = [(each["title"], round(each["dwell_time"] * 1e6)) for each in image["signals"]]
    assert dwells == [("image 2", 2), ("image 10", 10)]


def test_notes_and_origin_are_told(api: httpx.Client, tmp_path: Path) -> None:
    axes = [w.hspy_axis("y", 0.5, "nm", -3.0), w.hspy_axis("x", 0.5, "nm", 4.0)]
    w.hspy(tmp_path / "a.hspy", FLAT, axes)
    (signal,) = _signals(api, tmp_path / "a.hspy")
    assert (signal["origin"], signal["frame_origin"], signal["notes"]) == ([-3, 4], None, [])
    w.mrc(tmp_path / "a.mrc", FLAT, cell=(1, 1))
    (signal,) = _signals(api, tmp_path / "a.mrc")
    assert "1 Å per pixel" in signal["notes"][0]


def _signals(api: httpx.Client, path: Path) -> list[dict[str, Any]]:
    image = api.post("/images", files={"file": path.read_bytes()}).json()
    return list(image["signals"])


def test_a_job_names_one_of_several_arrays(api: httpx.Client, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("lattice/image", "lattice/original"):
            file[name] = w.counts((24, 20))
    image = api.post("/images", files={"file": (tmp_path / "a.h5").read_bytes()}).json()
    assert image["default_signal"] is None
    refused = api.post("/jobs", json={"image_id": image["id"]})
    assert refused.status_code == 422
    assert "0 'lattice/image', 1 'lattice/original'" in refused.text
    chosen = api.post("/jobs", json={"image_id": image["id"], "params": {"signal": 1}})
    assert chosen.status_code == 202, chosen.text
