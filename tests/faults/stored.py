"""Kept files of a server, read and damaged behind the ledger's back: in a folder or a bucket."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.support.buckets import S3Server

PREFIX = "reucid"  # of the store in its bucket


class Stored(ABC):
    """Files by the names they have in every store (`worker.store.names`)."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A file's content."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Put other bytes in a file's place, which whoever reads it next gets to see."""

    @contextmanager
    def damaged(self, name: str, rng: Random, times: int) -> Iterator[Iterator[None]]:
        """Flip one bit of a file, another one at each step; in the end it is as it was."""
        good = self.read(name)

        def flips() -> Iterator[None]:
            for _ in range(times):
                bad = bytearray(good)
                bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
                self.write(name, bytes(bad))
                yield

        try:
            yield flips()
        finally:
            self.write(name, good)


class InFolder(Stored):
    """Of a store that is a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        (self._root / name).write_bytes(content)


class InBucket(Stored):
    """Of a store that is in a bucket, with copies in a folder of the server's machine."""

    def __init__(self, server: S3Server, bucket: str, root: Path) -> None:
        self._client, self._bucket, self._cache = server.client, bucket, root / "cache"

    def read(self, name: str) -> bytes:
        answer = self._client.get_object(Bucket=self._bucket, Key=f"{PREFIX}/{name}")
        content: bytes = answer["Body"].read()
        return content

    def write(self, name: str, content: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=f"{PREFIX}/{name}", Body=content)
        for copy in self._cache.iterdir():
            shutil.rmtree(copy, ignore_errors=True)
