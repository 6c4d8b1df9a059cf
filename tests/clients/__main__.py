"""Generate clients from the OpenAPI document, type-check and run them: `make clients`.

They are made and run in folders of their own below `build/clients`, with what they need of Python
and Node; nothing of it is part of the project's own environment.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

from app.api.openapi import DOCUMENT
from tests.support.inprocess import npy, running, working
from worker.contract import Scope

HERE = Path(__file__).parent
BUILD = DOCUMENT.parents[1] / "build" / "clients"


def main() -> None:
    """A command's failure says what is wrong."""
    node = shutil.which("npm")
    if node is None:
        print("skipped what needs npm: it is not installed (on Debian: apt install npm)")  # noqa: T201
    with TemporaryDirectory() as name, running(Path(name), rate_limit="") as api, working(api):
        image = Path(name) / "image.npy"
        image.write_bytes(npy())
        arguments = [api.url, api.key("ada", Scope.SUBMIT, Scope.READ), str(image)]
        python_client(BUILD / "python", arguments)
        if node is not None:
            typescript_client(BUILD / "typescript", node, arguments)
    print("generated clients work")  # noqa: T201


def python_client(folder: Path, arguments: list[str]) -> None:
    """By openapi-python-client, checked by mypy."""
    _copy(HERE / "python", folder)
    if not (folder / "venv").is_dir():
        venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    options = ["--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"]
    _run([python, "-m", "pip", "install", *options], folder)
    generate = ["generate", "--path", DOCUMENT, "--config", "generator.yaml"]
    where = ["--output-path", "generated", "--meta", "none", "--overwrite"]
    _run([python.parent / "openapi-python-client", *generate, *where], folder)
    _run([python, "-m", "mypy", "--strict", "flow.py"], folder)
    _run([python, "flow.py", *arguments], folder)


def typescript_client(folder: Path, npm: str, arguments: list[str]) -> None:
    """By openapi-typescript and openapi-fetch, checked by tsc; and what linters say."""
    _copy(HERE / "typescript", folder)
    _run([npm, "install", "--silent", "--no-package-lock", "--no-fund", "--no-audit"], folder)
    for script in ("lint", "generate", "build"):
        _run([npm, "run", "--silent", script], folder)
    _run(["node", "built/flow.js", *arguments], folder)


def _copy(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, dirs_exist_ok=True)


def _run(command: list[str | Path], folder: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}")


if __name__ == "__main__":
    main()
