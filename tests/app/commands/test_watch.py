"""A watched folder: what is complete, what is done, what is told once."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.commands.batch import record as records
from app.commands.batch.order import Order
from app.commands.batch.record import Entry, Record, content_now, stamp_of
from app.commands.batch.rows import Row
from app.commands.batch.watch import AGAIN, Watch
from tests.support.commands import reucid
from tests.support.files import write_ser
from tests.support.waiting import until
from worker.denoising.model_files import Models
from worker.denoising.params import JobParams
from worker.local.targets import Form

SETTLE = 10.0  # s


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "in"
    place.mkdir()
    return place


@pytest.fixture
def order(folder: Path) -> Order:
    return Order(folder / "out", ".tif", JobParams(), Models(), Form())


@pytest.fixture
def record(order: Order) -> Iterator[Record]:
    order.folder.mkdir()
    with records.opened(order.folder) as record:
        yield record


@pytest.fixture
def watch(folder: Path, order: Order, record: Record) -> Watch:
    return Watch(folder, order, record, SETTLE)


def complete(watch: Watch, now: float) -> list[str]:
    return [str(source.relative) for source in watch.complete(now)]


def done(path: Path, order: Order, *, error: str = "", ours: bool = False) -> Entry:
    """That a file was denoised, or was not."""
    row = Row(path.name, "" if error else f"{path.stem}.tif", error=error, ours=ours)
    return Entry(stamp_of(path), content_now(path), order.digest, path.stem, row)


def test_a_file_is_complete_when_it_stays_as_it_is(folder: Path, watch: Watch) -> None:
    (folder / "a.tif").touch()
    assert complete(watch, 0) == complete(watch, 99) == []  # empty
    (folder / "a.tif").write_bytes(b"half")
    assert complete(watch, 100) == complete(watch, 109) == []
    (folder / "a.tif").write_bytes(b"half and more")
    assert complete(watch, 110) == complete(watch, 119) == []
    assert complete(watch, 120) == ["a.tif"]
    assert complete(watch, 130) == complete(watch, 999) == []
    (folder / "a.tif").write_bytes(b"another one")
    assert complete(watch, 1000) == []
    assert complete(watch, 1010) == ["a.tif"]


def test_an_emi_file_waits_for_the_series_it_names(folder: Path, watch: Watch) -> None:
    emi, image = folder / "scan.emi", np.zeros((8, 8), np.uint16)
    emi.write_bytes(b"JK\0\2 scan_1.ser <ObjectInfo></ObjectInfo> scan_2.ser")
    assert complete(watch, 0) == complete(watch, 20) == []
    write_ser(folder / "scan_1.ser", image)
    assert complete(watch, 30) == complete(watch, 50) == []
    write_ser(folder / "scan_2.ser", image)
    assert complete(watch, 60) == []
    assert complete(watch, 70) == ["scan.emi"]


def test_an_emi_file_waits_for_its_series_no_longer_than_long(folder: Path, watch: Watch) -> None:
    (folder / "scan.emi").write_bytes(b"JK\0\2 scan_1.ser")
    assert complete(watch, 0) == complete(watch, 10 * SETTLE) == []
    assert complete(watch, 10 * SETTLE + 1) == ["scan.emi"]  # and is told to be incomplete


def test_what_is_done_is_known_by_its_content(
    folder: Path, order: Order, record: Record, watch: Watch
) -> None:
    for name in ("same", "touched", "changed", "bad"):
        (folder / f"{name}.tif").write_text(name)
        record.add(done(folder / f"{name}.tif", order, error="no image" if name == "bad" else ""))
    os.utime(folder / "touched.tif", (1e9, 1e9))
    (folder / "changed.tif").write_text("changes")
    (folder / "out" / "own.tif").touch()
    assert complete(watch, 0) == []
    assert complete(watch, SETTLE) == ["changed.tif"]


def test_other_parameters_are_other_work(folder: Path, order: Order, record: Record) -> None:
    (folder / "a.tif").write_text("a")
    record.add(done(folder / "a.tif", order))
    other = Order(order.folder, ".npy", order.params, order.models, order.form)
    watch = Watch(folder, other, record, SETTLE)
    assert complete(watch, 0) == []
    assert complete(watch, SETTLE) == ["a.tif"]


def test_what_was_no_fault_of_the_file_is_tried_again(
    folder: Path, order: Order, watch: Watch
) -> None:
    (folder / "a.tif").write_text("a")
    assert list(watch.complete(0)) == []
    (source,) = watch.complete(SETTLE)
    watch.ended(source, done(source.path, order, error="disk full", ours=True), SETTLE)
    assert complete(watch, SETTLE + AGAIN - 1) == []
    assert complete(watch, SETTLE + AGAIN) == ["a.tif"]


@pytest.mark.parametrize("output", [".", "in"])
def test_the_watched_folder_is_not_that_of_the_results(
    folder: Path, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    assert reucid("watch", folder, "-o", output) == 2
    assert "does not hold the watched one" in capsys.readouterr().err


def test_a_watch_denoises_what_comes_and_goes_on_when_started_again(
    folder: Path, tiff: Path, tmp_path: Path
) -> None:
    out, log = folder / "denoised", tmp_path / "log"
    command = [sys.executable, "-m", "app", "watch", folder, "-o", out]
    command += ["--settle", "0.2", "--every", "0.1", "--jobs", "1"]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as file:
            return subprocess.Popen(command, stdout=file, stderr=file)

    def stop(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        process.send_signal(number)
        assert process.wait(60) == 0

    shutil.copy(tiff, folder / "first.tif")
    process = start()
    until((out / "first.tif").exists)
    (folder / "sub").mkdir()
    shutil.copy(tiff, folder / "sub" / "first.tif")
    (folder / "bad.tif").write_text("dear diary")
    until(lambda: log.read_bytes().count(b"first.tif ->") == 2)
    until(lambda: b"expected one of TIFF" in b" ".join(log.read_bytes().split()))
    stop(process, signal.SIGTERM)
    before = (out / "first.tif").stat()

    process = start()
    shutil.copy(tiff, folder / "second.tif")
    until((out / "second.tif").exists)
    until(lambda: "second.tif" in (out / "summary.csv").read_text())
    stop(process, signal.SIGINT)
    assert (out / "first.tif").stat() == before
    told = b" ".join(log.read_bytes().split())
    assert told.count(b"expected one of TIFF") == 1
    assert told.count(b"first.tif ->") == 2
    assert b"Traceback" not in told
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*.tif"))
    assert names == ["first.tif", "second.tif", "sub/first.tif"]
