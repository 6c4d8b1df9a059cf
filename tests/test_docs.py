"""Documentation that can be wrong is checked."""

import pytest

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
