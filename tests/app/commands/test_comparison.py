"""`reucid compare`: methods on repeated frames."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import reucid
from tests.support.strategies import blob_lattice


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Five of a lattice, in noise that hides it."""
    rng = np.random.default_rng(4)
    mean = 4 + 12 * blob_lattice((120, 112), period=11, sigma=2.5)
    np.save(tmp_path / "frames.npy", rng.poisson(mean, (5, *mean.shape)).astype(np.uint16))
    return tmp_path / "frames.npy"


def test_methods_are_told_apart(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    stated = ("--methods", "gaussian,two-scale,paper")
    assert reucid("compare", frames, *stated, "-o", table) == 0
    said = capsys.readouterr().out
    assert "5 frames of" in said
    with table.open() as lines:
        rows = {row["method"]: row for row in csv.DictReader(lines)}
    assert list(rows) == ["raw", "gaussian", "two-scale", "paper"]
    assert float(rows["raw"]["gain_dB"]) == pytest.approx(0, abs=0.3)
    for name in ("gaussian", "two-scale", "paper"):
        assert float(rows[name]["gain_dB"]) > 3
        assert f"{float(rows[name]['upsnr_dB']):.2f} ± " in said
    assert float(rows["two-scale"]["upsnr_dB"]) > float(rows["gaussian"]["upsnr_dB"])


def test_frames_may_lie_in_files_of_their_own(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for number, frame in enumerate(np.load(frames)[:3]):
        files.append(tmp_path / f"frame{number}.npy")
        np.save(files[-1], frame)
    assert reucid("compare", *files, "--methods", "gaussian") == 0
    assert "3 frames of" in capsys.readouterr().out


def test_what_cannot_be_compared_is_refused_in_words(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "one.npy", np.load(frames)[0])
    np.save(tmp_path / "small.npy", np.load(frames)[:3, :40, :40])
    assert reucid("compare", tmp_path / "one.npy") == 2
    assert "at least 3 of the same" in capsys.readouterr().err
    assert reucid("compare", frames, tmp_path / "small.npy") == 2
    assert "expected frames of one size" in " ".join(capsys.readouterr().err.split())
    assert reucid("compare", tmp_path / "none.npy") == 2
    assert reucid("compare", frames, "--methods", "best") == 2
    assert "expected some of raw, gaussian" in " ".join(capsys.readouterr().err.split())
