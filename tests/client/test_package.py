"""The client's own distribution: light, old Pythons, and of one version with the rest."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import reucid_client
from app.api.main import create_app

SOURCES = sorted(Path(reucid_client.__file__).parent.glob("*.py"))
NEWER = (ast.Match, ast.TryStar)  # than Python 3.9


def test_version_is_that_of_the_server() -> None:
    assert reucid_client.__version__ == create_app().version


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_source_is_of_python_3_9(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 9))
    assert not [node for node in ast.walk(tree) if isinstance(node, NEWER)]
    if "|" in source.read_text(encoding="utf-8"):  # of types: never evaluated
        assert "from __future__ import annotations" in source.read_text(encoding="utf-8")


def test_importing_it_loads_nothing_of_the_rest() -> None:
    code = "import sys, reucid_client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"app", "worker", "reucid_core", "torch", "scipy", "fastapi", "tqdm"}
