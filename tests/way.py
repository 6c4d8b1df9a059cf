"""`python -m tests.way` counts what one image passes between upload and download.

Modules of the project in which a function is called, and their packages, by step: the API accepts,
a decoder's child reads, the dispatcher queues, a work horse denoises, the API serves.
"""

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from redis import Redis

from tests.packages import ROOTS, package_of
from tests.support.inprocess import npy, running
from tests.support.servers import valkey_server
from worker.decoding import admission
from worker.formats import reading
from worker.processes.dispatch import Dispatcher

CHILDS = {f"worker.decoding.{name}" for name in ("child", "sandbox", "landlock", "libraries")}


@contextmanager
def noting(modules: set[str]) -> Iterator[None]:
    """Note the project's modules in which any thread calls a function."""

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            name = str(frame.f_globals.get("__name__"))
            if name.partition(".")[0] in ROOTS:
                modules.add(name)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def steps(folder: Path) -> dict[str, set[str]]:
    """The modules of each step, for one small image."""
    found: dict[str, set[str]] = {
        name: set() for name in ("accept", "decode", "queue", "denoise", "serve")
    }
    everything: set[str] = set()
    with (
        valkey_server(folder) as valkey,
        noting(everything),
        running(folder / "data", redis_url=valkey.url) as api,
        api.client() as client,
    ):
        client.get("/capabilities")
        with _difference(everything, found["accept"]):
            answer = client.post("/jobs", files={"file": ("image.npy", npy())})
            job = answer.raise_for_status().json()["id"]
        source = folder / "image.npy"
        source.write_bytes(npy())
        with _difference(everything, found["decode"]):
            admission.check([source], max_pixels=2**20)
            reading.read(source, max_pixels=2**20)
        found["decode"] |= CHILDS
        with _difference(everything, found["queue"]):
            Dispatcher(api.database, Redis.from_url(valkey.url), api.settings).step()
        with _difference(everything, found["denoise"]):
            api.work(job)
        with _difference(everything, found["serve"]):
            client.get(f"/jobs/{job}/result", params={"format": "tiff"}).raise_for_status()
    return found


@contextmanager
def _difference(everything: set[str], step: set[str]) -> Iterator[None]:
    """Note what is called within the block."""
    before = set(everything)
    everything.clear()
    yield
    step |= everything
    everything |= before


def main() -> None:
    """Print the number of modules and of packages, by step and in all."""
    with tempfile.TemporaryDirectory() as folder:
        found = steps(Path(folder))
    for name, modules in found.items():
        packages = sorted({package_of(module) for module in modules})
        print(f"{name:8} {len(modules):3} modules in {len(packages)}: {', '.join(packages)}")  # noqa: T201
    modules = set().union(*found.values())
    packages = {package_of(module) for module in modules}
    print(f"in all   {len(modules):3} modules in {len(packages)} packages")  # noqa: T201


if __name__ == "__main__":
    main()
