"""A ledger and its store find each other, and nobody else's."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.buckets import SECRET, S3Server
from tests.support.lattices import add_image
from worker.deployment import open_deployment, store_of
from worker.ledger.database import Database
from worker.settings import Settings
from worker.store import FolderStore, UnusableStoreError
from worker.store.address import Bucket, parsed


def settings(database: Database, folder: Path, url: str | None = None) -> Settings:
    ledger = database.engine.url.render_as_string(hide_password=False)
    return Settings(data_dir=folder, store_url=url, database_url=ledger)


def refused(database: Database, folder: Path, url: str | None = None) -> str:
    with pytest.raises(UnusableStoreError) as caught:
        store_of(database, settings(database, folder, url))
    return str(caught.value)


def test_the_first_store_is_the_ledgers_for_good(database: Database, tmp_path: Path) -> None:
    store = store_of(database, settings(database, tmp_path / "a"))
    assert store_of(database, settings(database, tmp_path / "a")).identity() == store.identity()
    said = refused(database, tmp_path / "b")
    assert "nobody's yet" in said
    assert str(store.identity()) in said, "it says how to mend it"
    (tmp_path / "b" / "identity").write_text(f"{store.identity()}\n")
    store_of(database, settings(database, tmp_path / "b"))


def test_a_ledger_that_knows_of_files_does_not_take_an_empty_store(
    database: Database, tmp_path: Path
) -> None:
    """As after an upgrade from a version that knew of no identity."""
    image = add_image(database, FolderStore(tmp_path / "a"))
    assert image.folder in refused(database, tmp_path / "b")
    store = store_of(database, settings(database, tmp_path / "a"))
    assert store.is_intact(image) or store.has_image(image.folder)


def test_a_start_that_broke_off_is_gone_on_with(database: Database, tmp_path: Path) -> None:
    from worker.ledger.identity import Identity

    ours, has_store = Identity(database).get()
    assert not has_store
    FolderStore(tmp_path / "a").take(ours)
    store_of(database, settings(database, tmp_path / "a"))
    assert Identity(database).get() == (ours, True)


def test_a_second_ledger_is_refused(database: Database, tmp_path: Path) -> None:
    store_of(database, settings(database, tmp_path / "a"))
    other = Settings(data_dir=tmp_path / "a", database_url=f"sqlite:///{tmp_path / 'other.sqlite'}")
    with pytest.raises(UnusableStoreError, match="belongs to another ledger"):
        open_deployment(other)


@pytest.mark.usefixtures("credentials")
def test_a_bucket_is_one_ledgers(database: Database, tmp_path: Path, s3: S3Server) -> None:
    url = s3.url(s3.bucket(), "one")
    store_of(database, settings(database, tmp_path / "a", url))
    store_of(database, settings(database, tmp_path / "b", url))  # another machine
    other = Settings(
        data_dir=tmp_path / "c", store_url=url, database_url=f"sqlite:///{tmp_path / 'o.sqlite'}"
    )
    with pytest.raises(UnusableStoreError, match="belongs to another ledger"):
        open_deployment(other)
    assert "nobody's yet" in refused(database, tmp_path / "a", s3.url(s3.bucket()))
    assert "nobody's yet" in refused(database, tmp_path / "a", url.replace("/one", "/two"))


@pytest.mark.usefixtures("credentials")
def test_a_bucket_that_cannot_be_used_is_told_of_without_secrets(
    database: Database, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = s3.url(s3.bucket())
    assert "there is no bucket no-such" in refused(database, tmp_path, s3.url("no-such"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"not-{SECRET}")
    wrong = refused(database, tmp_path, url)
    assert "refuses the credentials" in wrong
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    none = refused(database, tmp_path, url)
    assert "no credentials" in none
    for said in (wrong, none):
        assert SECRET not in said
        assert "AWS_ACCESS_KEY_ID" in said, "it says how to mend it"


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.usefixtures("credentials")
def test_an_endpoint_that_hangs_is_told_of(
    database: Database, tmp_path: Path, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.store.objects.ASKING_TIMEOUT", 0.2)
    said = refused(database, tmp_path, f"s3://bucket?endpoint=http://127.0.0.1:{silent}")
    assert "does not answer" in said


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("/srv/reucid", Path("/srv/reucid")),
        ("file:///srv/a%20b", Path("/srv/a b")),
        ("s3://bucket", Bucket("bucket")),
        ("s3://bucket/a/b/", Bucket("bucket", "a/b/")),
        (
            "s3://bucket/a?endpoint=https://s3.example.org:9000&region=eu-1",
            Bucket("bucket", "a/", "https://s3.example.org:9000", "eu-1"),
        ),
    ],
)
def test_urls_of_stores(url: str, place: Path | Bucket) -> None:
    assert parsed(url) == place


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///prefix",
        "gs://bucket",
        "s3://bucket?endpoint=s3.example.org",
        "s3://bucket?key=AKIA123",
        "s3://bucket?endpoint",
        "s3://user:hush@bucket",
        "s3://bucket?endpoint=https://user:hush@s3.example.org",
        "file://host/srv",
    ],
)
def test_other_urls_are_refused_with_what_is_expected(url: str) -> None:
    with pytest.raises(UnusableStoreError, match=r"expected a folder, or s3://BUCKET/PREFIX") as it:
        parsed(url)
    assert "hush" not in str(it.value)
