"""Settings mean the same in every process of a server."""

from pathlib import Path

import pytest

from worker.settings import Settings


def test_paths_are_of_the_folder_where_they_were_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REUCID_DATA_DIR", "data")
    settings = Settings(model=Path("m.safetensors"))
    assert (settings.data_dir, settings.model) == (tmp_path / "data", tmp_path / "m.safetensors")
    assert settings.as_environment()["REUCID_DATA_DIR"] == str(tmp_path / "data")
