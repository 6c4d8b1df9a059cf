"""What the import contracts in pyproject.toml say, seen at run time."""

import subprocess
import sys

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


def test_horses_find_loaded_what_denoising_needs() -> None:
    assert {"scipy.signal", "torch"} <= modules_after("import worker.processes.job")


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
