"""Whether the built wheels are whole: `python -m tests.wheel DIST/*.whl`.

Each wheel is installed in an empty environment that then gets what the wheel asks for and nothing
else: the files of these packages are linked from the environment at hand, so nothing is downloaded
twice, and pip, which may ask no index, refuses the wheel when they do not meet a requirement. What
the code imports without asking for it is missing there, as it would be on a user's machine.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "worker", "reucid_core", "reucid_client")
CLIENT = "reucid-client"  # the distribution of that package alone
OWN = ("reucid_client/pyproject.toml", "reucid_client/README.md")  # of its distribution
HELD = (  # beside the code; patterns of which each has to match something
    "app/api/examples.json",
    "app/commands/demo/*.tif",
    "app/page/static/*.html",
    "app/page/static/help/*.png",
    "app/page/static/vendor/*.js",
    "app/page/static/views/*.js",
    "reucid_core/training/micrographs/fields/*.safetensors",
    "reucid_core/training/networks/tuned.json",
    "reucid_core/weights/*.safetensors",
    "worker/ledger/migrations/versions/0001_ledger.py",
    "worker/survey/page.html",
    "*/py.typed",
)
ASKED = """
import sys, reucid_client
client = reucid_client.Client("http://127.0.0.1:9", retrying=reucid_client.Retrying(patience=0))
try:
    client.job("0" * 32)
except reucid_client.UnreachableError:
    print(reucid_client.__version__)
"""
IMPORTED = "import app, worker, reucid_core; print(app.__file__)"
LEDGER = """
import sys
from worker.ledger.database import Database, head, revision
database = Database.open("sqlite:///" + sys.argv[1])
assert revision(database.engine) == head() is not None
database.close()
"""
DENOISED = """
import sys
import tifffile
noisy, result = map(tifffile.imread, sys.argv[1:])
assert noisy.shape == result.shape and (noisy != result).any()
"""


def main() -> None:
    """Check wheels; an AssertionError or a command's failure says what is wrong."""
    for name in sys.argv[1:]:
        check(Path(name).resolve())


def check(wheel: Path) -> None:
    """Contents first, then what it does."""
    metadata = metadata_of(wheel)
    alone = metadata.name == CLIENT
    check_contents(wheel, ("reucid_client",) if alone else PACKAGES)
    check_release(str(metadata.version))
    with TemporaryDirectory(prefix="wheel-", dir=wheel.parent) as name:
        folder = Path(name)
        python = install(wheel, metadata, folder / "venv")
        if alone:
            assert run(python, "-c", ASKED, at=folder).strip() == str(metadata.version)
        else:
            check_installed(python, str(metadata.version), folder)
    sys.stdout.write(f"{wheel.name} is whole, and works where nothing else is installed\n")


def metadata_of(wheel: Path) -> Metadata:
    """What the wheel says of itself."""
    with ZipFile(wheel) as archive:
        (about,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Metadata.from_email(archive.read(about))


def check_contents(wheel: Path, packages: Iterable[str]) -> None:
    """Everything the repository has in these packages is in the wheel, and nothing beside it."""
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = set(sources(packages))
    for pattern in HELD:
        held = any(PurePosixPath(name).match(pattern) for name in expected)
        assert held or not set(PACKAGES) <= set(packages), f"no {pattern}"
    assert names == expected, f"differ: {sorted(names.symmetric_difference(expected))}"


def check_release(version: str) -> None:
    """The changelog's latest release is this one."""
    released = re.search(r"^## \[(\d+\.\d+\.\d+)\] - ", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert released, "CHANGELOG.md has no release"
    assert released[1] == version, f"CHANGELOG.md has {released[1]}, the wheel {version}"


def sources(packages: Iterable[str]) -> Iterable[str]:
    """The files of packages, as the repository has them."""
    for package in packages:
        for path in (ROOT / package).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and "__pycache__" not in path.parts and name not in OWN:
                yield name


def install(wheel: Path, metadata: Metadata, place: Path) -> Path:
    """A new environment with the wheel and what it requires; its interpreter."""
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(python, "-c", where).strip())
    for each in required(metadata.requires_dist or []).values():
        link(each, packages)
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", "--no-index", wheel)
    run(*pip, "check")
    return python


def required(requirements: Iterable[Requirement]) -> dict[str, Distribution]:
    """What pip would install for these requirements, as it is installed here."""
    found, seen = {}, set()
    todo = [each for each in requirements if applies(each, ())]
    while todo:
        wanted = todo.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        found[key[0]] = here = distribution(wanted.name)
        further = map(Requirement, here.requires or [])
        todo += [each for each in further if applies(each, wanted.extras)]
    return found


def applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Whether it is asked for on this machine, with these extras of whoever asks for it."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def link(package: Distribution, place: Path) -> None:
    """A package's files in another environment, as hard links where that can be."""
    for file in package.files or []:
        if ".." in file.parts:  # a script beside the packages
            continue
        target = place / file
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(Path(str(file.locate())), target)
        except FileExistsError:  # of a namespace that several packages share
            continue
        except OSError:
            shutil.copy2(Path(str(file.locate())), target)


def check_installed(python: Path, version: str, folder: Path) -> None:
    """The command works, by its own files, far from the repository."""
    reucid = python.parent / "reucid"
    app = Path(run(python, "-c", IMPORTED, at=folder).strip())
    assert app.is_relative_to(python.parent.parent), f"imported from {app}"
    told = run(reucid, "--version", at=folder)
    assert version in told.split(), f"got {told}, expected {version}"
    noisy = app.parent / "commands" / "demo" / "si110_low_dose.tif"
    result, report = folder / "denoised.tif", folder / "report.json"
    run(reucid, "denoise", noisy, "-o", result, "--report", report, at=folder)
    run(python, "-c", DENOISED, noisy, result, at=folder)
    run(python, "-c", LEDGER, folder / "ledger.sqlite", at=folder)


def run(*command: str | Path, at: Path | None = None) -> str:
    """What a command prints, without this environment's variables for Python."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(command, env=environment, cwd=at, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}"
    return done.stdout


if __name__ == "__main__":
    main()
