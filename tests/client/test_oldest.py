"""The client under the oldest Python that it promises, where one is at hand.

`REUCID_OLD_PYTHON` names an interpreter that has httpx and numpy; without it `python3.9` is looked
for. On Debian 12 there is PyPy of 3.9: `apt install pypy3 pypy3-venv`, and in an environment of it
`pip install httpx numpy`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import reucid_client
from tests.support.inprocess import Api

FLOW = Path(__file__).with_name("flow.py")


def _old() -> str | None:
    """An interpreter of Python 3.9 with what the client needs."""
    if stated := os.environ.get("REUCID_OLD_PYTHON"):
        return stated
    found = shutil.which("python3.9")  # which may be a name alone, with nothing behind it
    needed = "import httpx, numpy"
    if found and not subprocess.run([found, "-c", needed], capture_output=True).returncode:
        return found
    return None


OLD = _old()


def flowed(python: str, api: Api, key: str, folder: Path) -> str:
    """The version of an interpreter that did all of it."""
    (folder / "files").mkdir()
    alone = folder / "alone"  # none of the packages beside it in the repository
    alone.mkdir()
    (alone / "reucid_client").symlink_to(Path(reucid_client.__file__).parent)
    done = subprocess.run(
        [python, FLOW, api.url, key, folder / "files"],
        env=os.environ | {"PYTHONPATH": str(alone)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(
    OLD is None, reason="needs Python 3.9 with httpx and numpy: name one in REUCID_OLD_PYTHON"
)
def test_under_the_oldest_python(api: Api, key: str, tmp_path: Path) -> None:
    assert flowed(str(OLD), api, key, tmp_path) == "python 3.9"


def test_under_this_python(api: Api, key: str, tmp_path: Path) -> None:
    name = f"python {sys.version_info.major}.{sys.version_info.minor}"
    assert flowed(sys.executable, api, key, tmp_path) == name
