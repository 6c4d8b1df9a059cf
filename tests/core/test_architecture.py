"""The core stands alone."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import reucid_core

FOREIGN = {
    *("torch", "fastapi", "starlette", "pydantic", "redis", "rq", "sqlalchemy", "httpx"),
    *("app", "worker"),
}
CLASSIFIED = {"patches", "decompose", "canvas", "terrain", "pipeline", "plan", "psf", "workload"}


def test_importing_the_core_loads_neither_torch_nor_the_service() -> None:
    code = "import sys, reucid_core, reucid_core.metrics; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert not FOREIGN & set(output.split())


def test_the_classifier_knows_no_patches() -> None:
    source = Path(reucid_core.__file__).with_name("classifier.py").read_text()
    imported = {
        name
        for node in ast.walk(ast.parse(source))
        for name in (
            [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert imported
    assert not imported & {f"reucid_core.{module}" for module in CLASSIFIED}
    assert "reucid_core.denoise" not in imported


def test_the_pipeline_is_given_its_classifier() -> None:
    assert inspect.signature(reucid_core.denoise).parameters["classify"].default is inspect._empty
