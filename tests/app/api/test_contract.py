"""The API keeps what its OpenAPI document says, tried by schemathesis.

`python -m tests.app.api.test_contract 2000` (`make contract`) tries more than the tests do.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.api.openapi import DOCUMENT
from tests.support.inprocess import Api, npy, running, working
from worker.contract import Scope

CONFIG = Path(__file__).parent / "schemathesis.toml"
SEED = "20251"
FEW = 3  # examples of each operation


@contextmanager
def served(folder: Path) -> Iterator[Api]:
    with running(folder, rate_limit="") as api, working(api):
        yield api


def try_out(api: Api, *options: str, config: Path = CONFIG) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    key = api.key("ada", Scope.ADMIN)
    done = subprocess.run(
        [*command, str(DOCUMENT), "--url", api.url, "--seed", SEED, "--no-color", *options],
        env=os.environ | {"KEY": key},
        cwd=api.settings.data_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)  # noqa: T201  (for the long form, and for a failed test)
    assert done.returncode == 0, done.stdout + done.stderr


def try_what_is_there(api: Api, examples: int) -> None:
    """Operations on a job that has succeeded, and on its image, with valid data."""
    with api.client(api.key("ada", Scope.ADMIN)) as client:
        params = '{"patch_size": 5, "stacks": 2, "components": 4}'
        job = client.post("/jobs", files={"file": npy(1)}, data={"params": params}).json()
        ended = client.get(f"/jobs/{job['id']}", params={"wait": 30}).json()
    assert ended["state"] == "succeeded"
    config = api.settings.data_dir / "schemathesis.toml"
    ids = f'\n[parameters]\njob_id = "{job["id"]}"\nimage_id = "{job["image_id"]}"\n'
    config.write_text(CONFIG.read_text().replace("\n# No schema", f"{ids}\n# No schema", 1))
    valid = ("--mode", "positive", "--phases", "fuzzing", "--max-examples", str(examples))
    try_out(api, *valid, "--exclude-method", "DELETE", config=config)


@pytest.mark.parametrize("phases", ["examples,coverage", "fuzzing,stateful"])
def test_the_document_is_kept(tmp_path: Path, phases: str) -> None:
    with served(tmp_path) as api:
        try_out(api, "--phases", phases, "--max-examples", str(FEW))


def test_the_document_is_kept_behind_ids(tmp_path: Path) -> None:
    with served(tmp_path) as api:
        try_what_is_there(api, FEW)


def main() -> None:
    examples = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as api:
        try_what_is_there(api, examples)
        try_out(api, "--max-examples", str(examples))


if __name__ == "__main__":
    main()
