"""What a child can do when the file has won: run what it likes, within the limits."""

import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hostile import tiffs
from tests.hostile.cases import Canary
from tests.hostile.collection import hostile_files, plant
from tests.worker.decoding import insiders
from tests.worker.decoding.children import in_child
from tests.worker.decoding.insiders import MIB
from worker.contract import FileInfo
from worker.decoding import admission, landlock, parent, sandbox
from worker.decoding.terms import PRINTED, DecoderError, Limits
from worker.formats import reading
from worker.formats.errors import FormatError

SECRET = "REUCID_TEST_SECRET"  # noqa: S105  (a name)


def test_a_child_has_no_secrets_and_no_files_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "hunter2")
    environment, files, descriptors = in_child(insiders.environment, tmp_path / "own")
    assert environment == sandbox.ENVIRONMENT
    assert files == [PRINTED]
    assert descriptors == [0, 1, 2]


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_a_child_reaches_its_upload_and_the_libraries_only(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("another's upload")
    own = tmp_path / "own"
    paths = [*("/etc/passwd", "/proc/1/environ", str(tmp_path / "other"), f"{own}/../new")]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reads, writes, connects = in_child(
            insiders.reachable, own, [*paths, insiders.__file__, os.__file__, f"{own}/mine"], port
        )
    assert reads == [insiders.__file__, os.__file__]
    assert writes == [f"{own}/mine"]
    assert connects == (landlock.version() < 4)


def test_memory_follows_what_the_file_declares(tmp_path: Path) -> None:
    small = in_child(insiders.hoard, tmp_path / "small", 0)
    large = in_child(insiders.hoard, tmp_path / "large", 100 * MIB)
    assert 300 * MIB < small <= sandbox.BASE
    assert large - small == pytest.approx(sandbox.COPIES * 100 * MIB, abs=16 * MIB)


def test_a_child_writes_no_more_than_the_pixels(tmp_path: Path) -> None:
    assert in_child(insiders.fill_disk, tmp_path / "own") == sandbox.BASE_OUTPUT + MIB


# --- what the server makes of a child that was taken over ---


def lie(folder: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], Any]) -> FileInfo:
    """What is decoded when a child does this instead of decoding."""
    source = folder / "original"
    source.write_bytes(tiffs.valid().content)
    monkeypatch.setattr(parent, "_in_child", insiders.Liar(act))
    return parent.decode(
        source, folder, Limits(2**20, seconds=1.0 if act is insiders.asleep else 20.0)
    )


@pytest.mark.parametrize("act", insiders.LIES, ids=lambda act: act.__name__)
def test_nonsense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], Any]
) -> None:
    expected = FormatError if act is insiders.asleep else DecoderError  # never of a damaged file
    with pytest.raises(expected) as refusal:
        lie(tmp_path, monkeypatch, act)
    assert refusal.value.code == ("too_slow" if act is insiders.asleep else "decoder_failed")
    assert {path.name for path in tmp_path.iterdir()} <= {"original", "elsewhere.npy"}


def test_a_child_that_works_too_long_is_ended_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FormatError, match="of processor time") as refusal:
        lie(tmp_path, monkeypatch, insiders.busy)
    assert refusal.value.code == "too_slow"


def test_what_no_database_can_hold_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (image,) = lie(tmp_path, monkeypatch, insiders.honest).signals
    assert (image.shape, image.title, dict(image.metadata)) == ((4, 5), "a\ufffdb?", {"gain": None})


def test_children_that_end_at_the_same_time_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    read_signed = forkserver.read_signed  # type: ignore[attr-defined]

    def slowly(descriptor: int) -> int:
        time.sleep(float(rng.uniform(0, 0.2)))
        return int(read_signed(descriptor))

    monkeypatch.setattr(forkserver, "read_signed", slowly)

    def run(number: int) -> int | None:
        folder = tmp_path / str(number)
        folder.mkdir()
        return parent._run([tmp_path / "missing"], folder, Limits(2**20, seconds=30.0))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(run, range(24))) == {1}  # each died of the missing file


# --- the readers alone, as where the kernel has no Landlock ---


def test_no_reader_follows_a_file_to_another(tmp_path: Path) -> None:
    canary = plant(tmp_path)
    (tmp_path / "uploads" / "0").mkdir(parents=True)
    source = tmp_path / "uploads" / "0" / "original"
    read = []
    for case in hostile_files(canary):
        if _names_a_file(case.content, canary):
            source.write_bytes(case.content)
            read += [case.name for pixels in _read(source) if pixels == canary.secret]
    assert read == []


def _names_a_file(content: bytes, canary: Canary) -> bool:
    return b"canary." in content or b"/etc/passwd" in content or bytes(canary.raw) in content


def _read(source: Path) -> list[bytes]:
    try:
        admission.check([source], max_pixels=2**20)
        return [pixels.tobytes() for pixels in reading.read(source, max_pixels=2**20).pixels]
    except FormatError:
        return []
