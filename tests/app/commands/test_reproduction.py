"""`reucid reproduce`, one part of it."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import reucid

pytest.importorskip("matplotlib", reason="draws (extra `plots`)")
pytest.importorskip("skimage", reason="computes SSIM (extra `laboratory`)")


def test_one_figure_is_made_with_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "made"
    assert reucid("reproduce", "-o", folder, "--only", "fig2") == 0
    assert "Fig. 2" in capsys.readouterr().out
    text = (folder / "index.html").read_text()
    named = set(re.findall(r'(?:src|href)="([^"#]+)"', text))
    assert {"fig2.png", "fig2.csv"} <= named
    assert {path.name for path in folder.iterdir()} == named | {"index.html"}
    before = (folder / "fig2.csv").read_bytes()
    assert reucid("reproduce", "-o", folder, "--only", "fig2") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "fig2.csv").read_bytes() == before


def test_mistakes_are_named_before_anything_is_made(
    tiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "network.npy"
    np.save(small, np.eye(32, dtype=np.float32))
    stack = tmp_path / "stack.npy"
    np.save(stack, np.ones((3, 64, 64), dtype=np.float32))
    for arguments, message in (
        (("--only", "fig3"), "got fig3, expected fig2"),
        (("--micrograph", tmp_path / "no.tif"), "no file at"),
        (("--micrograph", tiff, "--micrograph", tiff), "got two files of one name"),
        (("--only", "fig6", "--beside", small), "expected (256, 256)"),
        (("--only", "fig7", "--micrograph", stack), "stack.npy: got"),
    ):
        assert reucid("reproduce", "-o", tmp_path / "made", *arguments) == 2
        assert message in capsys.readouterr().err
        assert not list((tmp_path / "made").glob("*"))
