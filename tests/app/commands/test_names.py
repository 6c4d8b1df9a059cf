"""File names that are not UTF-8, ledgers and residuals: what the command line says of them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.support.commands import reucid


@pytest.fixture
def odd(tiff: Path, tmp_path: Path) -> Path:
    """A file whose name is Latin-1."""
    path = tmp_path / os.fsdecode(b"gr\xfcn.tif")
    shutil.copy(tiff, path)
    return path


def test_a_name_that_is_not_utf_8_is_bundled_and_verified(odd: Path, tmp_path: Path) -> None:
    bundle = tmp_path / os.fsdecode(b"\xe9.zip")
    assert reucid("denoise", odd, "-o", tmp_path / "out.tif", "--bundle", bundle) == 0
    with zipfile.ZipFile(bundle) as archive:
        record = json.loads(archive.read("ro-crate-metadata.json"))
    assert "gr\ufffdn.tif" in {each.get("name") for each in record["@graph"]}
    assert reucid("verify", bundle) == 0


def test_a_name_that_is_not_utf_8_is_submitted(
    odd: Path, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reucid("submit", odd, "--server", server, "--wait", "-o", tmp_path / "out") == 0
    assert "0/?" not in capsys.readouterr().err


def test_a_key_says_in_which_ledger_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for said in ("a new one was made", "it is in the ledger"):
        assert reucid("keys", "create", "--owner", "me", "--data-dir", tmp_path) == 0
        told = capsys.readouterr().err
        assert said in told
        assert str(tmp_path / "ledger.sqlite") in told


def test_the_residual_of_a_stack_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "stack.npy", np.zeros((3, 32, 32)))
    assert reucid("residual", tmp_path / "stack.npy") == 2
    assert "got 3 frames, expected one image" in capsys.readouterr().err


def test_ctrl_c_while_modules_load_prints_no_traceback(tiff: Path) -> None:
    stop = "import os,signal; os.killpg(0, signal.SIGINT)"
    code = (
        "import sys, builtins; load = builtins.__import__\n"
        "def late(name, *rest):\n"
        f"    if name == 'typer': {stop}\n"
        "    return load(name, *rest)\n"
        "builtins.__import__ = late; from app.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", tiff],
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


def test_a_worker_without_a_queue_says_so() -> None:
    environment = {name: value for name, value in os.environ.items() if "REDIS" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "worker", "work"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"REUCID_REDIS_URL is not set" in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


def test_titles_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "[bold]x.h5"
    with h5py.File(path, "w") as file:
        file["[red] image ["] = np.ones((8, 8))
    assert reucid("inspect", path) == 0
    printed = capsys.readouterr().out
    assert "[bold]x.h5" in printed
    assert "[red] image [" in printed
