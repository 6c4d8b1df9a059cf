"""Documentation that can be wrong is checked."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import reucid
from tests.support.places import ROOT
from worker.settings import Settings


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    row = [
        line
        for line in (ROOT / "docs" / "operations.md").read_text().splitlines()
        if line.startswith(f"| `REUCID_{name.upper()}` |")
    ]
    assert len(row) == 1
    assert row[0].endswith(f"| {description} |")


def test_every_package_has_its_line_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    packages = [
        path.parent.name
        for top in ("reucid_core", "worker", "app")
        for path in (ROOT / top).rglob("__init__.py")
    ]
    assert len(packages) > 20
    assert [name for name in packages if f"{name}/ " not in text] == []


@pytest.mark.parametrize("top", ["reucid_core", "worker", "app"])
def test_every_package_says_what_lives_there(top: str) -> None:
    for path in (ROOT / top).rglob("__init__.py"):
        assert path.read_text().startswith('"""'), path


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    targets = [part.split(")")[0] for part in text.split("](")[1:]]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


SNIPPETS = {
    f"{name}, {number}": code
    for name in ("README.md", "docs/formats.md")
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE)
    )
}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder in which the demonstration lies where the documents have it."""
    demo = "app/commands/demo"
    (tmp_path / demo).mkdir(parents=True)
    for path in (ROOT / demo).glob("*.tif"):
        shutil.copy(path, tmp_path / demo)
    return tmp_path


@pytest.mark.parametrize("name", SNIPPETS)
def test_snippets_of_python_run_as_they_stand(name: str, elsewhere: Path) -> None:
    script = elsewhere / "script.py"  # without `if __name__ == "__main__"`
    script.write_text(SNIPPETS[name])
    done = subprocess.run(
        [sys.executable, script],
        cwd=elsewhere,
        env={"PYTHONPATH": str(ROOT), "HOME": str(elsewhere)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_of_the_readme_run_as_they_stand(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(elsewhere)
    text = (ROOT / "README.md").read_text()
    lines = re.findall(r"^\.venv/bin/reucid ((?:denoise|inspect|residual) .*)$", text, re.MULTILINE)
    assert len(lines) > 3
    for line in lines:
        assert reucid(*shlex.split(line, comments=True)) == 0, line
