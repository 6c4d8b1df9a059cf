"""Many files denoised into a folder: names, the record, what is refused, what stops nothing."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
import tifffile

from app.commands.batch import record as records
from app.commands.batch import team, work
from app.commands.batch.inputs import Source, sources
from app.commands.batch.naming import names
from app.commands.batch.record import Entry
from app.commands.batch.rows import Row, write_summary
from tests.support.commands import reucid
from tests.support.files import write_emi, write_ser
from tests.support.waiting import until


def rows(folder: Path) -> dict[str, dict[str, str]]:
    """`summary.csv`, by file."""
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_names_are_no_formulas_to_a_spreadsheet(tmp_path: Path) -> None:
    write_summary(tmp_path, [Row("=1+2.tif", noise_removed=-0.5, error="@SUM(A1)")])
    row = rows(tmp_path)["'=1+2.tif"]
    assert (row["error"], row["noise removed"]) == ("'@SUM(A1)", "-0.500")


def files(folder: Path) -> list[str]:
    """What was written, without what is for the program itself."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in found if path.name[0] != ".")


@pytest.fixture
def inputs(tiff: Path, tmp_path: Path) -> Path:
    """Two images of one name in different folders, and a file that is none."""
    folder = tmp_path / "in"
    for place in (folder / "a", folder / "b"):
        place.mkdir(parents=True)
        shutil.copy(tiff, place / "map.tif")
    (folder / "bad.tif").write_text("dear diary")
    return folder


def test_a_folder_is_denoised_into_one_and_a_bad_file_stops_nothing(
    inputs: Path, tmp_path: Path, tiff: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert reucid("denoise", inputs, "-o", out, "--jobs", 2, "--patch-size", 7) == 2
    assert files(out) == ["a/map.tif", "b/map.tif", "summary.csv"]
    printed = capsys.readouterr()
    assert "2 denoised, 1 FAILED" in printed.out
    assert "expected one of TIFF" in " ".join(printed.err.split())
    told = rows(out)
    assert "expected one of TIFF" in told["bad.tif"]["error"]
    good = told[str(PurePath("a", "map.tif"))]
    assert (good["patch size"], good["error"]) == ("7", "")
    alone = tmp_path / "alone.tif"
    assert reucid("denoise", tiff, "-o", alone, "--patch-size", 7) == 0
    np.testing.assert_array_equal(tifffile.imread(out / "a/map.tif"), tifffile.imread(alone))
    removed = tifffile.imread(tiff) - tifffile.imread(alone)
    assert float(good["removed"]) == pytest.approx(removed.std(), rel=1e-3)


def test_nothing_is_overwritten_and_resume_does_what_is_open(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, paths = tmp_path / "out", [inputs / "a" / "map.tif", inputs / "b" / "map.tif"]
    assert reucid("denoise", *paths, "-o", out) == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.tif")}
    assert reucid("denoise", *paths, "-o", out) == 2
    assert "--resume does what is missing" in capsys.readouterr().err

    (out / "b" / "map.tif").unlink()
    assert reucid("denoise", *paths, "-o", out, "--resume") == 0
    assert "1 denoised, 1 done before" in capsys.readouterr().out
    assert (out / "a" / "map.tif").stat().st_mtime_ns == before[out / "a" / "map.tif"]
    assert (out / "b" / "map.tif").exists()

    assert reucid("denoise", *paths, "-o", out, "--resume", "--seed", 1) == 2
    assert "not made of this file with these parameters" in capsys.readouterr().err
    assert reucid("denoise", *paths, "-o", out, "--overwrite", "--seed", 1) == 0
    assert "2 denoised" in capsys.readouterr().out


def test_a_file_that_was_changed_is_not_done(inputs: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", inputs / "a" / "map.tif"
    assert reucid("denoise", path, "-o", out) == 0
    tifffile.imwrite(path, np.random.default_rng(0).poisson(9, (64, 64)).astype(np.uint8))
    assert reucid("denoise", path, "-o", out, "--resume") == 2
    assert reucid("denoise", path, "-o", out, "--resume", "--overwrite") == 0
    assert tifffile.imread(out / "map.tif").shape == (64, 64)
    os.utime(path, (1e9, 1e9))  # touched, with the same content
    assert reucid("denoise", path, "-o", out, "--resume") == 0


def test_everything_else_has_a_folder_too(tiff: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    also = ("residual", "departures", "report", "bundle", "interim-dir")
    more = [f"--{name}={out}" for name in also]
    assert reucid("denoise", tiff, "-o", f"{out}/", *more, "--format", "npy") == 0
    assert files(out) == [
        "micrograph.bundle.zip",
        "micrograph.departures.npy",
        "micrograph.npy",
        "micrograph.report.json",
        "micrograph.residual.npy",
        "micrograph/interim-0001.tif",
        "micrograph/interim-0002.tif",
        "summary.csv",
    ]
    assert reucid("verify", out / "micrograph.bundle.zip") == 0


BAD: dict[str, tuple[list[Any], str]] = {
    "an empty folder": (["EMPTY", "-o", "out"], "no images in the folder"),
    "no such file": (["IN", "no-such.tif", "-o", "out"], "no-such.tif"),
    "an input as a result": (["IN", "-o", ".", "--overwrite"], "never overwritten"),
    "a file as the folder": (["IN", "IN2", "-o", "note.txt"], "--output"),
    "a foreign summary": (["IN", "-o", "theirs"], "summary.csv is there already"),
    "jobs of one file": (["IN", "-o", "out.tif", "--jobs", "2"], "--jobs"),
    "an even patch size": (["IN", "-o", "out/", "--patch-size", "8"], "--patch-size"),
    "an unknown format": (["IN", "-o", "out/", "--format", "jpg"], "--format"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_before_anything_is_computed(
    name: str,
    tiff: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "summary.csv").write_text("mine")
    (tmp_path / "note.txt").write_text("mine")
    for other in ("a.tif", "b.tif"):
        shutil.copy(tiff, tmp_path / other)
    words = {"EMPTY": "empty", "IN": "a.tif", "IN2": "b.tif"}
    arguments, reason = BAD[name]
    assert reucid("denoise", *(words.get(word, word) for word in arguments)) == 2
    assert reason in capsys.readouterr().err
    assert (tmp_path / "theirs" / "summary.csv").read_text() == "mine"
    assert not list((tmp_path).rglob("out*/*.tif"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a.dm3", "b.dm3"], ["a", "b"]),
        (["a.dm3", "a.emd", "a.tif"], ["a.dm3", "a.emd", "a"]),
        (["x/a.tif", "y/a.tif"], ["x/a", "y/a"]),
        (["a.tif", "A.tif"], ["a", "A-2"]),
        (["a.tif", "a.ome.tif"], ["a", "a-2"]),
        (["series.1.dm3", "series.2.dm3"], ["series.1", "series.2"]),
        (["no_suffix", "10.5nm"], ["no_suffix", "10.5nm"]),
        ([".tif", "-o.tif"], [".tif", "-o"]),
    ],
)
def test_no_two_results_have_one_name(given: list[str], expected: list[str]) -> None:
    found = [Source(Path(each), PurePath(each)) for each in given]
    named = names(found, ".tif", lambda *_: False)
    assert [str(named[each]) for each in found] == expected


def test_a_series_is_read_with_its_emi_file(tmp_path: Path) -> None:
    write_emi(tmp_path / "scan.emi")
    image = np.random.default_rng(0).poisson(9, (32, 32)).astype(np.uint16)
    for name in ("scan_1.ser", "scan_2.ser", "other_1.ser"):
        write_ser(tmp_path / name, image)
    (tmp_path / ".hidden.tif").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scan.tif").touch()
    found = sources([tmp_path, tmp_path / "scan_1.ser"], [tmp_path / "out"])
    assert [str(each.relative) for each in found] == ["other_1.ser", "scan.emi"]


def test_a_file_that_is_named_twice_is_taken_once(inputs: Path) -> None:
    link = inputs / "link.tif"
    link.symlink_to(inputs / "a" / "map.tif")
    found = sources([inputs / "a" / "map.tif", inputs / "a", link], [])
    assert len(found) == 1


def test_a_torn_line_of_the_record_does_not_count(tmp_path: Path) -> None:
    def entry(name: str) -> Entry:
        return Entry((("a.tif", 3, 4),), "content", "order", name, Row(f"{name}.tif", name))

    with records.opened(tmp_path) as record:
        record.add(entry("a"))
        record.add(entry("b"))
    path = tmp_path / records.RECORD
    path.write_bytes(path.read_bytes()[:-20])
    stale = tmp_path / f".{'0' * 32}.tmp"
    stale.touch()
    with records.opened(tmp_path) as record:
        assert record.last(PurePath("a.tif")) == entry("a")
        assert record.last(PurePath("b.tif")) is None
        record.add(entry("c"))
    with records.opened(tmp_path) as record:
        assert [row.file for row in record.rows()] == ["a.tif", "c.tif"]
    assert not stale.exists()


def test_what_was_left_in_the_making_is_made_again(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    source = Source(inputs / "a" / "map.tif", PurePath("map.tif"))
    out.mkdir()
    with records.opened(out) as record:
        record.begin({source: PurePath("map")})
    (out / "map.tif").write_text("written, and stopped before that was recorded")
    assert reucid("denoise", source.path, "-o", out) == 2
    assert reucid("denoise", source.path, "-o", out, "--resume") == 0
    assert tifffile.imread(out / "map.tif").ndim == 2


def test_a_folder_has_one_writer_at_a_time(
    tiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with records.opened(tmp_path):
        assert reucid("denoise", tiff, "-o", f"{tmp_path}/") == 2
    assert f"process {os.getpid()}" in capsys.readouterr().err


def test_a_worker_that_is_killed_costs_one_file(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(team, "_in_worker", _dies_once)
    paths = [inputs / "a" / "map.tif", inputs / "b" / "map.tif"]
    out = tmp_path / "out"
    assert reucid("denoise", *paths, "-o", out, "--jobs", 1) == 2
    errors = [row["error"] for row in rows(out).values()]
    assert sorted(bool(error) for error in errors) == [False, True]
    assert "SIGKILL" in max(errors)
    assert reucid("denoise", *paths, "-o", out, "--jobs", 1, "--resume") == 0


def _dies_once(connection: Any, order: Any) -> None:
    mark = order.folder.parent / "mark"
    if not mark.exists():
        mark.touch()
        connection.recv()
        os.kill(os.getpid(), signal.SIGKILL)
    work.serve(connection, order)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_batch_that_is_stopped_leaves_whole_results_and_goes_on(
    tiff: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for n in range(30):
        shutil.copy(tiff, folder / f"{n:02d}.tif")
    command = [sys.executable, "-m", "app", "denoise", folder, "-o", out, "--jobs", "1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until(lambda: len(list(out.glob("*.tif"))) >= 2, "two results")
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume goes on" in printed[1]
    assert "Traceback" not in printed[1]
    assert not [path for path in out.iterdir() if path.name.endswith(".tmp")]
    for path in out.glob("*.tif"):
        tifffile.imread(path)
    assert reucid("denoise", folder, "-o", out, "--resume") == 0
    assert len(rows(out)) == 30
