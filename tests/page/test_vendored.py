"""What the page has from others is what they published, with its licence."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

import app
from tests.support.places import ROOT

STATIC = Path(app.__file__).parent / "page" / "static"
VENDOR = STATIC / "vendor"
MOST_LINES = 300


def test_every_vendored_file_has_its_hash_and_licence() -> None:
    listed = json.loads((VENDOR / "vendored.json").read_text())
    files = {name: each for package in listed for name, each in package["files"].items()}
    assert set(files) == {path.name for path in VENDOR.iterdir()} - {"vendored.json"}
    for name, sha256 in files.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == sha256, name
    for package in listed:
        assert package["licence"] == "MIT"
        assert "Permission is hereby granted" in (VENDOR / package["licence_file"]).read_text()
        assert package["version"]
        assert package["source"].startswith("https://")


@pytest.mark.parametrize(
    "module", [path for path in STATIC.rglob("*.js") if VENDOR not in path.parents], ids=str
)
def test_modules_are_small_and_alone(module: Path) -> None:
    text = module.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert "innerHTML" not in text
    assert "http://" not in text.replace("http://www.w3.org/", "")
    assert "https://" not in text


def test_types_are_those_that_the_comments_say() -> None:
    tsc = shutil.which("tsc")
    if tsc is None:
        pytest.skip("no TypeScript compiler: npm install --global typescript")
    project = ROOT / "app" / "page" / "tsconfig.json"
    found = subprocess.run([tsc, "--project", project], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert found.returncode == 0
