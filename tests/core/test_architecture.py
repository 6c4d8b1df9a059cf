"""The core stands alone."""

import inspect
import subprocess
import sys

import grimp

import reucid_core
from reucid_core import noise_floor

FOREIGN = {
    *("torch", "fastapi", "starlette", "pydantic", "redis", "rq", "sqlalchemy", "httpx"),
    *("app", "worker"),
}
SEEN = {"eigenpatches", "errors", "features", "params"}  # by the classifier: none holds a pixel


def test_importing_the_core_loads_neither_torch_nor_the_service() -> None:
    code = "import sys, reucid_core, reucid_core.metrics; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert not FOREIGN & set(output.split())


def test_the_classifier_knows_no_module_that_handles_pixels() -> None:
    graph = grimp.build_graph("reucid_core")
    known = graph.find_upstream_modules("reucid_core.classifier")
    assert known == {f"reucid_core.{module}" for module in SEEN}


def test_without_a_network_the_rule_of_the_noise_floor_judges() -> None:
    assert inspect.signature(reucid_core.denoise).parameters["classify"].default is noise_floor
