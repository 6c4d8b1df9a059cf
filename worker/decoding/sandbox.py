"""What a child that reads a stranger's file may do: so much memory, time and disk, no more.

Every limit is entered before the first byte of the file is read. Memory and disk are those of the
format checks at first, and grow with what the checked file declares.
"""

import ctypes
import os
import resource
import signal
import site
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import worker
from worker.decoding import landlock, libraries
from worker.decoding.terms import PRINTED
from worker.kernel import die_with

MIB = 2**20
BASE = 512 * MIB  # working memory beside the file and its pixels: codecs, metadata
COPIES = 3  # of the pixels, that reading and checking them may hold at a time
BASE_OUTPUT = 16 * MIB  # bytes: the answer, and the pixels' header
OPEN_FILES = 32
GRACE = 1  # s, after which the child ends itself if its parent has not done so

ENVIRONMENT = {"TIFFFILE_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # there can be no thread
SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/dev/null")
PLACES = ("stdlib", "platstdlib", "purelib", "platlib")
# Where Python and its packages lie; what a reader imports late has to be found. Asked once, before
# any child is forked: it takes milliseconds.
LIBRARIES = [
    Path(worker.__file__).parent,
    Path(site.getusersitepackages()),
    *(Path(each) for each in (*(sysconfig.get_path(place) for place in PLACES), *SYSTEM)),
]


def enter(
    files: Sequence[Path], folder: Path, seconds: float, processor_seconds: int | None = None
) -> "Allowance":
    """Leave this process some files to read and one folder to write, and end it in time.

    The folder becomes its working directory and holds what it prints. Where no processor time is
    stated, it is that of the clock.
    """
    die_with(os.getppid())
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)
    try:
        os.chdir(folder)
    except FileNotFoundError:  # who asked was interrupted and has tidied up
        sys.exit(1)
    forget_environment()
    _close_files()
    _limit(resource.RLIMIT_CORE, 0)
    _limit_processor(processor_seconds or int(seconds) + GRACE)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_NPROC, 0)
    libraries.close()
    mapped = _mapped()
    landlock.restrict([*files, *LIBRARIES], [folder])
    return Allowance(mapped + sum(path.stat().st_size for path in files))


class Allowance:
    """Memory and disk, given as far as the file in hand justifies it."""

    def __init__(self, mapped: int) -> None:
        self._mapped = mapped  # bytes of what was loaded before, and of the file
        self._set(0, for_good=False)

    def admit(self, decoded: int, written: int | None = None) -> None:
        """Allow for so many bytes of pixels, once and for good.

        Where less of them is held at a time than is written, so many bytes for a file are stated.
        """
        self._set(decoded, written, for_good=True)

    def _set(self, decoded: int, written: int | None = None, *, for_good: bool) -> None:
        memory = self._mapped + BASE + COPIES * decoded
        written = decoded if written is None else written
        _limit(resource.RLIMIT_AS, memory, for_good=for_good)
        _limit(resource.RLIMIT_FSIZE, BASE_OUTPUT + written, for_good=for_good)


def forget_environment() -> None:
    """Keep no variable of the server, which may hold passwords, nor the block they came in."""
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[47]), int(fields[48])  # env_start, env_end of proc(5)
    ctypes.memset(start, 0, end - start)


def _close_files() -> None:
    """Keep no descriptor of the server; print into the working directory."""
    printed = os.open(PRINTED, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _mapped() -> int:
    """Bytes of address space that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _limit_processor(seconds: int) -> None:
    """End this process with SIGXCPU, and a second later if it does not mind that."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = seconds + GRACE if hard == resource.RLIM_INFINITY else min(seconds + GRACE, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (min(seconds, most), most))


def _limit(which: int, amount: int, *, for_good: bool = True) -> None:
    """Lower a limit; for good, so that nothing raises it again."""
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        amount = min(amount, hard)
    resource.setrlimit(which, (amount, amount if for_good else hard))
