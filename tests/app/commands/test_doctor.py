"""`reucid doctor` finds what is wrong and says what to do."""

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.support.commands import line, reucid
from tests.support.inprocess import NO_REDIS, running
from worker.contract import Scope
from worker.denoising.model_files import DEFAULT
from worker.deployment import open_deployment
from worker.ledger import mounts
from worker.ledger.database import Database
from worker.ledger.members import Member, Members
from worker.ledger.workers import Workers
from worker.settings import Settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("REUCID_DATA_DIR", str(folder))
    Database.open(f"sqlite:///{folder / 'ledger.sqlite'}").close()
    return folder


def examined(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = reucid("doctor", *arguments)
    return status, capsys.readouterr().out


def test_a_deployment_in_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = Database(f"sqlite:///{folder / 'ledger.sqlite'}")
    Workers(database).beat("somebody")
    status, output = examined(capsys)
    assert (status, "no fault" in output) == (0, True), output
    for check in ("data folder", "free space", "ledger", "clock", "workers", "queue", "decoder"):
        assert line(output, check).startswith("ok"), output
    assert f"{DEFAULT}@sha256:" in line(output, "model")
    assert "reucid keys create" in line(output, "keys")
    database.close()


def test_what_is_wrong_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.chmod(0o755)
    database = Database(f"sqlite:///{folder / 'ledger.sqlite'}")
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    database.close()
    (folder / "bad.safetensors").write_bytes(b"not weights")
    monkeypatch.setenv("REUCID_MODEL", str(folder / "bad.safetensors"))
    monkeypatch.setenv("REUCID_MIN_FREE_MIB", str(2**40))
    monkeypatch.setenv("REUCID_REDIS_URL", NO_REDIS)
    status, output = examined(capsys)
    assert (status, "4 fault(s)" in output) == (1, True), output
    assert "chmod 700" in line(output, "data folder")
    assert "schema 0000, expected" in line(output, "ledger")
    assert "507" in line(output, "free space")
    assert "does not answer" in line(output, "queue")
    assert "bad.safetensors" in line(output, "model")


def test_a_database_that_is_away(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REUCID_DATABASE_URL", f"sqlite:///{folder}/nowhere/there/../ledger.sqlite")
    assert "not there yet" in line(examined(capsys)[1], "ledger")
    (folder / "no-database").write_bytes(b"no database" * 1000)
    monkeypatch.setenv("REUCID_DATABASE_URL", f"sqlite:///{folder}/no-database")
    status, output = examined(capsys)
    assert (status, "cannot be read" in line(output, "ledger")) == (1, True)


def test_a_ledger_on_a_network_disk(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "NETWORK", {mounts.filesystem_of(folder)})
    status, output = examined(capsys)
    assert (status, "PostgreSQL" in line(output, "ledger")) == (1, True)
    assert reucid("keys", "create", "--owner", "ada") == 1
    monkeypatch.setenv("REUCID_LEDGER_ON_NETWORK", "true")
    status, output = examined(capsys)
    assert (status, line(output, "ledger")[:7]) == (0, "warning")
    assert reucid("keys", "create", "--owner", "ada") == 0, "as the server, so the commands"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.chmod(0o500)
    status, output = examined(capsys)
    assert (status, "may write" in line(output, "data folder")) == (1, True)
    folder.chmod(0o700)


def test_a_running_server(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(folder) as api:
        _, output = examined(capsys, "--url", api.url)
        assert "no worker is alive" in line(output, "server")
        assert line(output, "access").startswith("ok")
        key = api.key("ada", Scope.READ)
        assert "no key" in line(examined(capsys, "--url", api.url)[1], "access")
        monkeypatch.setenv("REUCID_API_KEY", key)
        assert line(examined(capsys, "--url", api.url)[1], "access").startswith("ok")
    status, output = examined(capsys, "--url", api.url)
    assert (status, "running" in line(output, "server")) == (1, True)


@pytest.mark.usefixtures("folder")
def test_a_store_that_is_not_the_ledgers_is_found(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "the first start" in line(examined(capsys)[1], "store")
    open_deployment(Settings())[0].close()
    assert line(examined(capsys)[1], "store").startswith("ok")
    monkeypatch.setenv("REUCID_STORE_URL", str(tmp_path / "another"))
    status, output = examined(capsys)
    assert (status, line(output, "store").startswith("FAULT")) == (1, True), output
    assert "REUCID_STORE_URL" in line(output, "store"), "it says how to mend it"
    monkeypatch.setenv("REUCID_STORE_URL", "s3://user:hush@bucket")
    output = examined(capsys)[1]
    assert line(output, "store").startswith("FAULT")
    assert "hush" not in output


def test_mixed_versions_are_told_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = Database(f"sqlite:///{folder / 'ledger.sqlite'}")
    Members(database).beat(Member("host:1", "worker", "2.0"))
    assert line(examined(capsys)[1], "versions").startswith("ok")
    Members(database).beat(Member("host:2", "api", "1.0"))
    database.close()
    told = line(examined(capsys)[1], "versions")
    assert told.startswith("warning")
    assert "worker host:1 2.0" in told
