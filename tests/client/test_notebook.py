"""The notebook of docs/clients, run from its first cell to its last."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.inprocess import Api
from tests.support.places import ROOT

NOTEBOOK = ROOT / "docs" / "clients" / "first_result.ipynb"


def outputs(notebook: Any, kind: str) -> list[str]:
    """What the cells put out of a media type, or print."""
    found = []
    for cell in notebook.cells:
        for each in cell.get("outputs", ()):
            found += [each["text"]] if each.get("name") == kind else []
            found += [each["data"][kind]] if kind in each.get("data", {}) else []
    return found


def test_it_is_kept_without_what_a_run_left() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert "text/plain" not in NOTEBOOK.read_text()


@pytest.mark.filterwarnings("ignore:::zmq", "ignore:::jupyter_client", "ignore:::nbclient")
def test_from_a_file_to_a_judged_result(
    api: Api, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (where,) = [cell for cell in notebook.cells if cell.id == "where"]
    for stated, here in (
        ('SERVER, KEY = "http://localhost:8000", None', f"SERVER, KEY = {api.url!r}, {key!r}"),
        ('RESULTS = Path("results")', f"RESULTS = Path({str(tmp_path / 'results')!r})"),
    ):
        assert stated in where.source
        where.source = where.source.replace(stated, here)
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    assert len(outputs(notebook, "image/png")) == 3
    told = "".join(outputs(notebook, "stdout"))
    with api.client(key) as asking:
        (job,) = asking.get("/jobs", params={"label": "notebook=first result"}).json()["jobs"]
        verdict = asking.get(f"/jobs/{job['id']}/verdict").json()["sentences"]
    assert all(sentence in told for sentence in verdict)
    kept = float(told.split("frequencies stand out, ")[1].split("%")[0])
    assert kept > 90
    assert outputs(notebook, "text/plain")[-1] == str(
        ["bundle.zip", "denoised.tif", "eigenpatches.png"]
    )
