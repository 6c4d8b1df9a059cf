"""The script for Fiji, run by Jython with ImageJ's classes, where both are installed."""

import ast
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.client.test_client import image
from tests.support.inprocess import Api
from tests.support.places import ROOT

SCRIPT = ROOT / "docs" / "clients" / "fiji.py"
JARS = Path("/usr/share/java")
CLASSES = os.environ.get("REUCID_JYTHON_CLASSPATH", f"{JARS}/jython.jar:{JARS}/ij.jar")
MISSING = [path for path in CLASSES.split(":") if not Path(path).is_file()]
OPENED = ("source", "target", "server", "key")  # what Fiji gives to the script


def test_it_is_of_both_pythons() -> None:
    """Jython's is 2.7: no syntax of later ones, and no print."""
    tree = ast.parse(SCRIPT.read_text())
    newer = (ast.JoinedStr, ast.AnnAssign, ast.AsyncFunctionDef, ast.Nonlocal, ast.YieldFrom)
    assert not [node for node in ast.walk(tree) if isinstance(node, newer)]
    assert "print" not in SCRIPT.read_text()
    asked = [line.split()[-1] for line in SCRIPT.read_text().splitlines() if line[:3] == "#@ "]
    assert sorted(asked) == sorted(OPENED)


@pytest.mark.skipif(
    bool(MISSING) or shutil.which("java") is None,
    reason=f"needs Java and {', '.join(MISSING) or 'nothing else'} (Debian: jython, imagej)",
)
def test_an_image_is_denoised_with_its_calibration(api: Api, key: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    noisy = image(71)
    tifffile.imwrite(source, noisy, imagej=True, resolution=(4, 4), metadata={"unit": "nm"})
    given = {"source": str(source), "target": str(target), "server": api.url, "key": key}
    opened = "".join(f"{name} = {given[name]!r}\n" for name in OPENED)
    script = tmp_path / "script.py"
    script.write_text(opened + SCRIPT.read_text())
    done = subprocess.run(
        ["java", "-Djava.awt.headless=true", "-cp", CLASSES, "org.python.util.jython", script],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    with tifffile.TiffFile(target) as written:
        assert (written.imagej_metadata or {})["unit"] == "nm"
        result = written.asarray()
    with api.client(key) as asking:
        job = asking.get("/jobs").json()["jobs"][0]
        served = asking.get(f"/jobs/{job['id']}/result", params={"format": "npy"}).content
    (tmp_path / "served.npy").write_bytes(served)
    np.testing.assert_array_equal(result, np.load(tmp_path / "served.npy"))
    assert result.std() < noisy.std()

    refused = script.read_text().replace(repr(key), repr("wrong"))
    script.write_text(refused)
    done = subprocess.run(
        ["java", "-Djava.awt.headless=true", "-cp", CLASSES, "org.python.util.jython", script],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "key" in done.stderr
