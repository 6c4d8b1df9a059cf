"""What builds and runs containers here, without any registry of images."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

PROGRAMS = ("podman", "runc", "buildah", "debootstrap")
HERE = Path(__file__).parent
BASE = "localhost/reucid-base"
# Without cgroups that may be changed, runc sets no limits but these.
CONFIGURATION = """\
[engine]
runtime = "runc"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4000:4000"]
"""


class NoToolsError(Exception):
    """Why no containers can be built here."""


def check() -> None:
    """Raise NoToolsError when something is missing."""
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        raise NoToolsError(
            f"{', '.join(missing)} not installed (on Debian: apt install {' '.join(PROGRAMS)})"
        )
    if find_spec("podman_compose") is None:
        raise NoToolsError("podman-compose is not installed: pip install 'reucid[containers]'")
    if os.geteuid() != 0:
        raise NoToolsError("debootstrap and chroot need root")


def run(*command: str | Path, environment: dict[str, str] | None = None, stdin: str = "") -> str:
    """What a command prints; when it fails, what it said."""
    done = subprocess.run(
        command,
        env=os.environ | (environment or {}),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-20:]
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode}\n" + "\n".join(said))
    return done.stdout


def base_image() -> str:
    """Debian of this machine's release, made by debootstrap from where its packages come from."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    name = f"{BASE}:{release}"
    if run("podman", "images", "--quiet", name):
        return name
    with tempfile.TemporaryDirectory(prefix="reucid-base-") as folder:
        root = Path(folder) / "root"
        options = ["--variant=minbase", "--include=ca-certificates"]
        run("debootstrap", *options, release, root, *_mirror(release))
        for cached in (root / "var/cache/apt/archives").glob("*.deb"):
            cached.unlink()
        archive = Path(folder) / "root.tar"
        run("tar", "-C", root, "-cf", archive, ".")
        run("podman", "import", archive, name)
    return name


def build(dockerfile: Path, folder: Path, name: str, base: str, *more: str) -> None:
    """Build an image, with pip set as it is here."""
    mounts = [f"--volume={path}:{path}:{mode}" for path, mode in _of_pip()]
    run(
        "buildah", "bud", "--isolation", "chroot", "--format", "docker", "--layers",
        "--build-arg", f"BASE={base}", *mounts, *more,
        "--file", dockerfile, "--tag", name, folder,
    )  # fmt: skip


def size(image: str) -> int:
    """Bytes of an image, all its layers."""
    return int(run("podman", "image", "inspect", "--format", "{{.Size}}", image))


def compose_command() -> list[str]:
    """Compose on podman."""
    return [sys.executable, "-m", "podman_compose"]


def _mirror(release: str) -> list[str]:
    """Where this machine's own packages come from, if it says so."""
    listed = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)").splitlines()
    return [url for url, _, name in (each.partition(" ") for each in listed) if name == release][:1]


def _of_pip() -> Iterator[tuple[str, str]]:
    """Files and folders that pip is told of here, and what it has fetched before."""
    pip = [sys.executable, "-m", "pip"]
    for path, exists in re.findall(r"(/\S+), exists: (\w+)", run(*pip, "config", "debug")):
        if exists == "True":
            yield path, "ro"
    stated = set(re.findall(r"(?:file://)?/[^\s']+", run(*pip, "config", "list")))
    for word in stated:
        path = Path(urlsplit(word).path)
        if word.startswith("file:"):  # an index, whose files lie beside it
            path = path.parent
        if path.exists():
            yield str(path), "ro"
    cache = Path(run(*pip, "cache", "dir").strip())
    cache.mkdir(parents=True, exist_ok=True)
    yield str(cache), "rw"


def configuration(folder: Path) -> dict[str, str]:
    """The environment in which podman runs containers here."""
    path = folder / "containers.conf"
    path.write_text(CONFIGURATION)
    return {"CONTAINERS_CONF": str(path)}
