"""`reucid survey`, from files to labels."""

import subprocess
import sys
from pathlib import Path

import pytest

from reucid_core.training.labels.survey_files import load_survey
from tests.support.commands import reucid


def test_export_and_import(tiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "survey"
    options = ("--patch-size", 7, "--max-eigenpatches", 5, "--blind", "--seed", 2)
    assert reucid("survey", "export", tiff, "--output", folder, *options) == 0
    assert "micrograph.tif: 80 x 96 px, patch size 7 (given), 1 to 5 of" in capsys.readouterr().out
    answers = tmp_path / "answers.csv"
    answers.write_text("respondent,image,alpha\nanna,micrograph.tif,5\n")
    labels = tmp_path / "labels.safetensors"
    assert reucid("survey", "import", folder, answers, "--output", labels) == 0
    printed = capsys.readouterr()
    assert "labels of 1 of 1 images" in printed.out
    assert "larger --max-eigenpatches" in " ".join(printed.err.split())
    (image,) = load_survey(labels)
    assert int(image.labels.sum()) == 5


def test_mistakes_are_named(tiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "survey"
    for arguments, message in (
        (("export", tmp_path / "no.tif", "-o", folder), "no file at"),
        (("export", tiff), "--output"),
        (("export", tiff, "-o", folder, "--patch-size", 8), "--patch-size: got 8, which is even"),
        (("export", tiff, "-o", folder, "--frame", 1), "--frame: got 1"),
        (("export", tiff, "-o", tmp_path.parent), "expected a new folder"),
        (("import", folder, tiff, "-o", tmp_path / "l.safetensors"), "survey export"),
        (("import", folder, tmp_path / "no.csv", "-o", tmp_path / "l.safetensors"), "no file at"),
        (("import", folder, tiff, "-o", tmp_path / "none" / "l.safetensors"), "no folder"),
    ):
        assert reucid("survey", *arguments) == 2
        assert message in capsys.readouterr().err
    assert not folder.exists()


def test_a_survey_loads_no_torch(tiff: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from app.commands.laboratory import export; from pathlib import Path\n"
        f"export([Path({str(tiff)!r})], Path({str(tmp_path / 'survey')!r}), patch_size=5, most=2,"
        " blind=False, seed=0, signal=None, frame=None)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
