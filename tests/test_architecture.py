"""What the import contracts in pyproject.toml say, seen at run time."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.packages import arrows, floors


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


@pytest.mark.parametrize(
    "statement", ["from app.api.main import create_app; create_app()", "import app.commands.main"]
)
def test_api_and_command_line_load_no_torch(statement: str) -> None:
    assert "torch" not in modules_after(statement)


@pytest.mark.parametrize(
    "module", ["app.api.main", "worker.decoding.child", "worker.processes.dispatch"]
)
def test_what_is_started_often_loads_nothing_slow_that_only_denoising_needs(module: str) -> None:
    assert not {"scipy.signal", "scipy.stats"} & modules_after(f"import {module}")


DENOISE = """
import sys, numpy, reucid_core, worker.processes.job
from reucid_core.classifier import WEIGHTS, load_classifier
classify = load_classifier(WEIGHTS / "tuned.safetensors")
loaded = set(sys.modules)
image = numpy.random.default_rng(0).poisson(5, (64, 64)) + numpy.eye(64)
for engine in ("exact", "stacked"):
    reucid_core.denoise(image, reucid_core.DenoiseParams(engine=engine), classify=classify)
slow = ("torch", "scipy", "numpy", "reucid_core")
late = [name for name in set(sys.modules) - loaded if name.startswith(slow)]
assert not late, late
"""


def test_horses_find_loaded_what_denoising_needs() -> None:
    assert "torch" in modules_after("import worker.processes.job")
    done = subprocess.run(
        [sys.executable, "-c", DENOISE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


COMMAND = """
import sys
from app.commands.main import main
try:
    main()
except SystemExit as exited:
    print("status", exited.code or 0)
print(*sys.modules)
"""
QUEUE_AND_LEDGER = {"redis", "rq", "sqlalchemy", "alembic"}
SERVER = {"fastapi", "starlette", "uvicorn", "prometheus_client"}
TRAINING = {"reucid_core.training.laboratory", "optuna"}


def modules_of_command(*arguments: object, status: int = 0) -> set[str]:
    """What is loaded at the end of a command."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    *_, ended, modules = done.stdout.splitlines()
    assert ended == f"status {status}", done.stderr
    return set(modules.split())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.npy"
    np.save(path, np.random.default_rng(0).poisson(5, (64, 64)).astype(np.uint16))
    return path


@pytest.mark.parametrize("question", ["--version", "--help"])
def test_a_question_about_the_command_line_loads_nothing_of_ours_but_it(question: str) -> None:
    slow = {"numpy", "scipy", "torch", "pydantic", "httpx", "structlog", "reucid_core"}
    assert not (slow | QUEUE_AND_LEDGER | SERVER) & modules_of_command(question)


def test_looking_at_a_file_loads_no_torch_and_nothing_of_a_server(image: Path) -> None:
    others = {"torch", "scipy", "h5py", "httpx"} | QUEUE_AND_LEDGER | SERVER
    assert not others & modules_of_command("inspect", image)


def test_denoising_here_loads_nothing_of_a_server_and_no_reader(image: Path) -> None:
    others = {"scipy.signal", "h5py", "rsciio", "httpx"} | QUEUE_AND_LEDGER | SERVER | TRAINING
    loaded = modules_of_command("denoise", image, "-o", image.with_name("out.tif"))
    assert not others & loaded
    assert "torch" in loaded


def test_bad_input_of_local_work_loads_nothing_of_a_server(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("dear diary")
    loaded = modules_of_command("inspect", tmp_path / "text.tif", status=2)
    assert not ({"torch", "httpx"} | QUEUE_AND_LEDGER | SERVER) & loaded


def test_a_client_loads_neither_torch_nor_what_a_server_needs(image: Path) -> None:
    loaded = modules_of_command("submit", image, "--server", "http://127.0.0.1:9", status=1)
    assert not ({"torch"} | QUEUE_AND_LEDGER | SERVER) & loaded


def test_keys_load_the_ledger_but_no_torch_and_no_queue(tmp_path: Path) -> None:
    loaded = modules_of_command("keys", "list", "--data-dir", tmp_path)
    assert "sqlalchemy" in loaded
    assert not ({"torch", "rq", "httpx"} | SERVER) & loaded


@pytest.mark.parametrize("module", ["app.commands.serve", "app.commands.laboratory"])
def test_serving_and_the_laboratory_load_no_torch_before_they_work(module: str) -> None:
    assert not ({"torch"} | TRAINING) & modules_after(f"import {module}")


def test_children_of_the_decoder_can_be_prepared_before_anything_is_loaded() -> None:
    assert not {"numpy", "pydantic", "structlog"} & modules_after(
        "import worker.decoding.forkserver"
    )


def test_core_loads_no_torch_and_nothing_of_the_service() -> None:
    forbidden = {"torch", "fastapi", "starlette", "pydantic", "redis", "rq", "sqlalchemy"}
    assert not forbidden & modules_after("import reucid_core")


def test_decoding_loads_no_torch_and_no_server() -> None:
    assert not {"torch", "fastapi", "rq"} & modules_after("import worker.decoding.parent")


def test_the_main_module_of_the_api_is_light_for_the_children_that_import_it() -> None:
    assert not {"fastapi", "uvicorn", "numpy"} & modules_after("import app.api.__main__")


def test_no_circle_between_packages() -> None:
    lowest, *above = floors(arrows())
    assert "worker.contract" in lowest
    assert len(above) > 4
