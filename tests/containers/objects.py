"""An object store beside a deployment, in the place of the one that a facility has."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from tests.containers.tools import configuration, run
from tests.support.buckets import CREDENTIALS, SMALL, program, s3_client, write_accounts
from tests.support.servers import free_port
from tests.support.waiting import until

NAME, NETWORK, BUCKET = "reucid-objects", "reucid-objects", "reucid"


@dataclass
class ObjectStore:
    """SeaweedFS in a container; deployments reach it by its name in its network."""

    folder: Path
    image: str  # any Debian's
    port: int = field(default_factory=free_port)  # of this machine

    @property
    def settings(self) -> dict[str, str]:
        """What `docker/compose.s3.yaml` wants to be told."""
        url = f"s3://{BUCKET}/store?endpoint=http://{NAME}:8333"
        return CREDENTIALS | {"REUCID_STORE_URL": url}

    def start(self) -> None:
        """Start it, and make the bucket."""
        accounts = write_accounts(self.folder / "accounts.json")
        self._podman("network", "create", NETWORK)
        self._podman(
            "run", "--detach", "--name", NAME, "--network", NETWORK,
            "--publish", f"127.0.0.1:{self.port}:8333",
            "--volume", f"{program()}:/usr/local/bin/weed:ro",
            "--volume", f"{accounts}:/etc/accounts.json:ro",
            self.image, "weed", "server", "-dir=/tmp", "-ip.bind=0.0.0.0", *SMALL,
            "-s3.port=8333", "-s3.config=/etc/accounts.json",
        )  # fmt: skip
        until(self._has_bucket, f"an object store; podman logs {NAME} says more")

    def join(self, network: str) -> None:
        """Be reached from a deployment's network, too."""
        self._podman("network", "connect", network, NAME)

    def leave(self, network: str) -> None:
        """So that the network can be removed."""
        with suppress(RuntimeError):
            self._podman("network", "disconnect", network, NAME)

    def objects(self) -> int:
        """How many there are."""
        pages = s3_client(self._endpoint).get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return sum(page["KeyCount"] for page in pages)

    def stop(self) -> None:
        """Remove it with all that it holds."""
        with suppress(RuntimeError):
            self._podman("rm", "--force", "--volumes", NAME)
        with suppress(RuntimeError):
            self._podman("network", "rm", "--force", NETWORK)

    @property
    def _endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _has_bucket(self) -> bool:
        with suppress(BotoCoreError, ClientError):
            s3_client(self._endpoint).create_bucket(Bucket=BUCKET)
            return True
        return False

    def _podman(self, *arguments: str) -> str:
        return run("podman", *arguments, environment=configuration(self.folder))
