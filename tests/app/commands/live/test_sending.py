"""`reucid live simulate` and the script for a microscope's own Python, against a real server."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.commands.live import SCRIPT
from app.commands.live.scanning import Film, specimens
from tests.support.commands import reucid

SIDE = 48


def only_session(server: str) -> dict[str, object]:
    """The newest session."""
    session: dict[str, object] = httpx.get(f"{server}/v1/sessions", timeout=60).json()["sessions"][
        0
    ]
    return session


def test_a_simulated_scan_is_denoised_and_its_last_frame_becomes_a_job(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = reucid(
        *("live", "simulate", server, "--side", str(SIDE), "--frames", "6", "--rows", "16"),
        *("--rate", "50", "--lossless", "--method", "paper", "--drift", "1", "--noise", "white"),
    )
    assert status == 0, capsys.readouterr().err
    session = only_session(server)
    assert session["state"] == "closed"
    (job,) = session["jobs"]  # type: ignore[misc]
    assert f"job {job}" in capsys.readouterr().out
    counts = session["counts"]
    assert isinstance(counts, dict)
    assert counts["received"] == 6
    assert counts["dropped"] == counts["partial"] == 0
    (one,) = specimens(["Si[110]"], shape=(SIDE, SIDE), drift=1, dose=100, measured=False, seed=0)
    pixels = httpx.get(f"{server}/v1/jobs/{job}/input?format=npy", timeout=60).content
    measured = np.frombuffer(pixels[-2 * SIDE**2 :], "<u2").reshape(SIDE, SIDE)
    np.testing.assert_array_equal(measured, Film([one], 6)[5])


def test_nothing_need_be_kept(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = reucid(
        *("live", "simulate", server, "--side", str(SIDE), "--frames", "2", "--keep", "nothing"),
        *("--rate", "100", "--method", "paper"),
    )
    assert status == 0, capsys.readouterr().err
    assert only_session(server)["jobs"] == []


def test_a_server_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    status = reucid("live", "simulate", "http://127.0.0.1:9", "--side", "16", "--frames", "1")
    assert status == 1
    assert "cannot reach http://127.0.0.1:9" in capsys.readouterr().err


def test_what_the_server_refuses_is_told(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = reucid(
        "live", "simulate", server, "--side", "16", "--frames", "1", "--method", "magic"
    )
    assert status == 2
    assert "method" in capsys.readouterr().err


def test_the_script_sends_raw_frames_from_any_python(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reucid("live", "script") == 0
    printed = capsys.readouterr().out
    assert printed == SCRIPT.read_text(encoding="utf-8")
    script = tmp_path / "send_frames.py"
    script.write_text(printed, encoding="utf-8")
    frames = np.random.default_rng(0).poisson(40, (3, SIDE, SIDE)).astype("<u2")
    arguments = ("--shape", str(SIDE), str(SIDE), "--rows", "20")
    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(script), server, *arguments],  # without any package
        input=frames.tobytes(),
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert b"3 frames, 0 blocks left out" in ran.stderr
    session = only_session(server)
    counts = session["counts"]
    assert isinstance(counts, dict)
    assert counts["received"] == 3
    assert counts["partial"] == 0
    (job,) = session["jobs"]  # type: ignore[misc]
    pixels = httpx.get(f"{server}/v1/jobs/{job}/input?format=npy", timeout=60).content
    np.testing.assert_array_equal(
        np.frombuffer(pixels[-2 * SIDE**2 :], "<u2").reshape(SIDE, SIDE), frames[2]
    )


def test_the_script_is_python_3_6_and_the_standard_library_alone() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
    assert not {"dataclasses", "contextvars"} & imported  # 3.7


def test_the_script_never_waits_for_a_server_and_counts_what_it_left_out(server: str) -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    program = (
        script.split('if __name__ == "__main__":')[0]
        + f"""
sender = Sender({server!r}, ({SIDE}, {SIDE}), "uint16", params={{"method": "paper"}})
port, sender._server._port = sender._server._port, 9  # from now on nobody answers there
sender._server.close()
sender._server._connection = None
for number in range(100):
    sender.send(number, bytes({2 * SIDE * SIDE}))
print(json.dumps([sender.left_out, len(sender._waiting)]))
sender._server._port = port
sender.close("")
"""
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    left_out, waiting = json.loads(ran.stdout)
    assert only_session(server)["state"] == "closed"
    assert left_out >= 100 - 64 - 1
    assert left_out + waiting in (99, 100)


def test_a_slow_server_loses_frames_and_the_scan_goes_on(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = reucid(
        *("live", "simulate", server, "--side", "512", "--frames", "40", "--rate", "100"),
        *("--keep", "nothing", "--method", "two-scale"),
    )
    assert status == 0, capsys.readouterr().err
    counts = only_session(server)["counts"]
    assert isinstance(counts, dict)
    assert counts["received"] > counts["processed"]
