"""The server of `docker/compose.yaml`, and what may happen to it."""

import json
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe

import httpx

from tests.containers.objects import ObjectStore
from tests.containers.tools import compose_command, configuration, run
from tests.support.places import ROOT
from tests.support.servers import free_port
from tests.support.waiting import until

PATIENCE = 180.0  # s for all of it to be ready
MEMBERS = ("api", "dispatch", "work", "live")
STOP = 40  # s a member has to end


@dataclass
class Project:
    """One deployment; `name` is that of its containers, network and volumes."""

    name: str
    folder: Path
    image: str
    others: str  # the image of PostgreSQL and proxy
    objects: ObjectStore | None = None  # in the place of the volume
    port: int = field(default_factory=free_port)
    key: str = ""

    def __post_init__(self) -> None:
        self.environment = configuration(self.folder) | {
            "POSTGRES_PASSWORD": token_urlsafe(),  # a part of a URL
            "REUCID_IMAGE": self.image,
            "VALKEY_IMAGE": self.image,
            "CADDY_IMAGE": self.others,
            "POSTGRES_IMAGE": self.others,
            "REUCID_PUBLISH": f"127.0.0.1:{self.port}",
            "HTTPS_PUBLISH": f"127.0.0.1:{free_port()}",
        }
        if self.objects is not None:
            self.environment |= self.objects.settings

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def compose(self, *arguments: str, image: str = "") -> str:
        """Run podman-compose on the files."""
        environment = self.environment | ({"REUCID_IMAGE": image} if image else {})
        options = ["--project-name", self.name]
        for name in ["compose.yaml"] + ["compose.s3.yaml"] * (self.objects is not None):
            options += ["--file", str(ROOT / "docker" / name)]
        return run(*compose_command(), *options, *arguments, environment=environment)

    def podman(self, *arguments: str, stdin: str = "") -> str:
        return run("podman", *arguments, environment=self.environment, stdin=stdin)

    def up(self, *services: str, image: str = "") -> None:
        self.compose("up", "--detach", "--no-build", *services, image=image)

    def up_data(self) -> None:
        """Ledger and queue, and the object store in their network."""
        self.up("postgres", "valkey")
        if self.objects is not None:
            self.objects.join(f"{self.name}_default")

    def make_key(self) -> str:
        """The first key, made as docker/README.md says."""
        said = self.compose("run", "--rm", "-T", "api", "keys", "create", "--owner", "admin",
                            "--scope", "admin")  # fmt: skip
        self.key = said.strip().splitlines()[-1].strip()
        return self.key

    def ready(self) -> bool:
        """Whether the proxy leads to an API that finds all well."""
        with suppress(httpx.TransportError, ValueError):
            answer = httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False)
            return bool(answer.json()["status"] == "ok")
        return False

    def await_ready(self) -> float:
        """Seconds until all is well."""
        begun = time.monotonic()
        until(self.ready, f"{self.name} is ready; podman logs says more", PATIENCE)
        return time.monotonic() - begun

    def containers(self, service: str) -> list[str]:
        """Names of the containers of a service that exist."""
        label = f"label=com.docker.compose.service={service}"
        mine = f"label=com.docker.compose.project={self.name}"
        listed = self.podman("ps", "--all", "--filter", label, "--filter", mine, "--format", "json")
        return sorted(each["Names"][0] for each in json.loads(listed))

    def await_healthy(self, container: str) -> None:
        """Wait until a container's health check succeeds."""

        def healthy() -> bool:
            command = ["podman", "healthcheck", "run", container]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

        until(healthy, f"a healthy {container}", PATIENCE)

    def scale(self, service: str, number: int, image: str = "") -> None:
        """Have so many containers of a service; those that are there stay as they are."""
        self.compose(
            "up", "--detach", "--no-build", "--no-recreate", "--no-deps",
            "--scale", f"{service}={number}", service, image=image,
        )  # fmt: skip

    def kill(self, container: str) -> None:
        """Kill it and start it again, as an engine with a restart policy does."""
        self.podman("kill", container)
        with suppress(RuntimeError):  # the engine was faster
            self.podman("start", container)

    def stop(self, container: str) -> float:
        """Seconds that a container takes to end when it is told to; 137 is a kill, and raises."""
        begun = time.monotonic()
        self.podman("stop", "--time", str(STOP), container)
        took = time.monotonic() - begun
        status = int(self.podman("inspect", "--format", "{{.State.ExitCode}}", container))
        if status == 137:
            said = self.podman("logs", "--tail", "20", container)
            raise RuntimeError(f"{container} was killed {STOP} s after it was told to stop\n{said}")
        return took

    def remove(self, container: str) -> None:
        self.podman("rm", "--force", container)

    def back_up(self, folder: Path) -> None:
        """Ledger first, then a volume, while the server runs, as docker/README.md says."""
        folder.mkdir()
        (postgres,) = self.containers("postgres")
        dump = self.podman(
            "exec", postgres, "sh", "-c", f"{TO_POSTGRES} pg_dump --clean --if-exists reucid"
        )
        (folder / "ledger.sql").write_text(dump)
        if self.objects is None:
            archive = str(folder / "store.tar")
            self.podman("volume", "export", "--output", archive, f"{self.name}_store")

    def restore(self, folder: Path) -> None:
        """Into a deployment of which nothing but PostgreSQL and Valkey has been started."""
        (postgres,) = self.containers("postgres")
        command = f"{TO_POSTGRES} psql --quiet --set ON_ERROR_STOP=1 reucid"
        until(lambda: self._answers(postgres), "PostgreSQL answers", PATIENCE)
        self.podman("exec", "--interactive", postgres, "sh", "-c", command,
                    stdin=(folder / "ledger.sql").read_text())  # fmt: skip
        if self.objects is None:
            self.podman("volume", "import", f"{self.name}_store", str(folder / "store.tar"))

    def down(self) -> None:
        """Remove everything of it but what an object store holds, data too."""
        if self.objects is not None:
            self.objects.leave(f"{self.name}_default")
        with suppress(RuntimeError):
            self.compose("down", "--volumes", "--timeout", "5")
        for service in ("proxy", *MEMBERS, "valkey", "postgres"):
            for container in self.containers(service):
                self.remove(container)

    def _answers(self, postgres: str) -> bool:
        with suppress(RuntimeError):
            self.podman(
                "exec", postgres, "sh", "-c", f"{TO_POSTGRES} psql --command 'select 1' reucid"
            )
            return True
        return False


# With the password that the container was given, by TCP, on whichever port its image listens.
TO_POSTGRES = "PGHOST=localhost PGUSER=$POSTGRES_USER PGPASSWORD=$POSTGRES_PASSWORD"
