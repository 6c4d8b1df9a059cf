"""Objects in a bucket, by boto3; here alone is it known what S3's errors mean.

boto3 is Python all through, so that a client that was made before a fork is of use after it.
Credentials are found as AWS's own programs find them; nothing here holds or shows them.
"""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.store.address import Bucket
from worker.store.errors import StoreAwayError, StoreRefusedError, UnusableStoreError

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

CONNECT_TIMEOUT, READ_TIMEOUT = 5, 20  # s
ASKING_TIMEOUT = 8.0  # s, of who only asks whether it is there
ATTEMPTS = 4  # at each request, and at each piece of an object that is fetched
PART = 16 * 2**20  # bytes; what is larger than two of them is sent in parts
CHUNK = 2**20  # bytes
AT_ONCE = 1000  # objects that S3 deletes in one request

MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
NO_BUCKET = frozenset({"NoSuchBucket"})
TAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})
FULL = frozenset(
    {"507", "InsufficientStorage", "QuotaExceeded", "StorageFull", "XMinioStorageFull"}
)
REFUSED = frozenset(
    {
        "401",
        "403",
        "AccessDenied",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    }
)
CREDENTIALS = (
    "state them as AWS's programs have them (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "AWS_PROFILE, a role of the machine; docs/operations.md)"
)


class MissingError(Exception):
    """There is no such object."""


@dataclass(frozen=True)
class Listed:
    """An object as it is listed."""

    key: str  # without the store's prefix
    size: int  # bytes
    modified: float  # s since the epoch, by the store's clock


class Objects:
    """The objects of a bucket whose names begin with a prefix, which callers do not see.

    Every method raises StoreAwayError when the store does not answer as it should, and OSError with
    `errno.ENOSPC` when it has no room left.

    Parameters
    ----------
    bucket : Bucket
    patient : bool
        Whether to wait and ask again; if not, an answer, or none, comes within 20 s.
    """

    def __init__(self, bucket: Bucket, *, patient: bool = True) -> None:
        self.bucket = bucket
        self._patient = patient

    def prepare(self) -> None:
        """Make the client, which takes a while; it connects when it is first used."""
        _ = self._client

    @cached_property
    def _client(self) -> "S3Client":
        try:
            import boto3
            from botocore.config import Config
        except ModuleNotFoundError:
            raise UnusableStoreError(
                "a store in a bucket needs boto3, which is not installed: pip install reucid[s3]"
            ) from None
        config = Config(
            connect_timeout=CONNECT_TIMEOUT if self._patient else 3,
            read_timeout=READ_TIMEOUT if self._patient else ASKING_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS if self._patient else 2},
            tcp_keepalive=True,
        )
        with self._told():
            return boto3.session.Session().client(
                "s3",
                endpoint_url=self.bucket.endpoint,
                region_name=self.bucket.region or os.environ.get("AWS_REGION") or "us-east-1",
                config=config,
            )

    def put(self, key: str, path: Path) -> None:
        """Keep a file under a name; large ones are sent in parts, with checksums."""
        from boto3.s3.transfer import TransferConfig

        # In this thread: what is raised in it, such as a job's time limit, ends the transfer.
        sending = TransferConfig(
            multipart_threshold=2 * PART, multipart_chunksize=PART, use_threads=False
        )
        with self._told():
            self._client.upload_file(str(path), self.bucket.name, self._full(key), Config=sending)

    def put_new(self, key: str, content: bytes) -> bool:
        """Keep bytes under a name if there is no such object yet; whether there was none."""
        from botocore.exceptions import ClientError

        with self._told():
            try:
                self._client.put_object(
                    Bucket=self.bucket.name, Key=self._full(key), Body=content, IfNoneMatch="*"
                )
            except ClientError as error:
                if _code(error) in TAKEN:
                    return False
                raise
        return True

    def read(self, key: str) -> bytes:
        """A small object.

        Raises
        ------
        MissingError
        """
        with self._told():
            found = self._client.get_object(Bucket=self.bucket.name, Key=self._full(key))
            content: bytes = found["Body"].read()
            return content

    def fetch(self, key: str, target: Path) -> str:
        """Write an object into a file; its SHA-256. What breaks off is gone on with where it did.

        Raises
        ------
        MissingError
        """
        digest, done, etag = hashlib.sha256(), 0, ""
        attempts = ATTEMPTS if self._patient else 1
        with target.open("wb") as file:
            for attempt in range(1, attempts + 1):
                try:
                    with self._told():
                        asked: dict[str, Any] = {}
                        if done:
                            asked = {"Range": f"bytes={done}-", "IfMatch": etag}
                        found = self._client.get_object(
                            Bucket=self.bucket.name, Key=self._full(key), **asked
                        )
                        etag, size = found["ETag"], done + found["ContentLength"]
                        for chunk in found["Body"].iter_chunks(CHUNK):
                            file.write(chunk)
                            digest.update(chunk)
                            done += len(chunk)
                    if done == size:
                        break
                except StoreAwayError:
                    if attempt == attempts or not done:
                        raise
            else:
                raise StoreAwayError(f"{self.bucket} breaks off again and again")
        return digest.hexdigest()

    def exists(self, prefix: str) -> bool:
        """Whether there is an object whose name begins so."""
        with self._told():
            found = self._client.list_objects_v2(
                Bucket=self.bucket.name, Prefix=self._full(prefix), MaxKeys=1
            )
        return bool(found.get("Contents"))

    def listed(self, prefix: str) -> Iterator[Listed]:
        """All objects whose names begin so."""
        for page in self._pages(prefix):
            for each in page.get("Contents", []):
                key = each["Key"].removeprefix(self.bucket.prefix)
                yield Listed(key, each["Size"], each["LastModified"].timestamp())

    def folders(self, prefix: str) -> Iterator[str]:
        """What comes next, up to a slash, in the names that begin so."""
        for page in self._pages(prefix, "/"):
            for each in page.get("CommonPrefixes", []):
                yield each["Prefix"].removeprefix(self._full(prefix)).rstrip("/")

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, many at a time; those that are gone are no error."""
        keys = iter(keys)
        while some := list(islice(keys, AT_ONCE)):
            with self._told():
                answer = self._client.delete_objects(
                    Bucket=self.bucket.name,
                    Delete={"Objects": [{"Key": self._full(key)} for key in some], "Quiet": True},
                )
            if errors := answer.get("Errors"):
                raise StoreAwayError(f"{self.bucket} did not delete: {errors[0].get('Code')}")

    def _pages(self, prefix: str, delimiter: str = "") -> Iterator[Any]:
        listing = self._client.get_paginator("list_objects_v2")
        pages = iter(
            listing.paginate(
                Bucket=self.bucket.name, Prefix=self._full(prefix), Delimiter=delimiter
            )
        )
        while True:
            with self._told():
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _full(self, key: str) -> str:
        return self.bucket.prefix + key

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what went wrong, in words that hold no secret."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            PartialCredentialsError,
        )
        from urllib3.exceptions import HTTPError

        try:
            yield
        except ClientError as error:
            raise self._said(_code(error)) from None
        except Boto3Error as error:  # around one of S3's, of which it keeps the words alone
            cause = error.__context__
            if isinstance(cause, ClientError):
                raise self._said(_code(cause)) from None
            raise StoreAwayError(f"{self.bucket} does not answer: {type(error).__name__}") from None
        except (NoCredentialsError, PartialCredentialsError):
            raise StoreRefusedError(f"no credentials for {self.bucket}: {CREDENTIALS}") from None
        except (BotoCoreError, HTTPError, ConnectionError, TimeoutError) as error:
            raise StoreAwayError(f"{self.bucket} does not answer: {type(error).__name__}") from None

    def _said(self, code: str) -> Exception:
        if code in MISSING:
            return MissingError()
        if code in FULL:
            return OSError(errno.ENOSPC, f"{self.bucket} has no room left ({code})")
        if code in NO_BUCKET:
            return StoreRefusedError(
                f"{self.bucket}: there is no bucket {self.bucket.name}: make it, or name another "
                "in REUCID_STORE_URL"
            )
        if code in REFUSED:
            return StoreRefusedError(
                f"{self.bucket} refuses the credentials ({code}): {CREDENTIALS}"
            )
        return StoreAwayError(f"{self.bucket} does not do what it is asked to: {code}")


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
