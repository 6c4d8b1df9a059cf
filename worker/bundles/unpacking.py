"""Zip files that nobody vouches for, unpacked by a child process with limits.

What the zip says of its entries is held against a budget before anything is written; memory, time
and disk are the child's, which sees the zip and one empty folder (`worker.decoding.sandbox`).
"""

import errno
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker.decoding.apart import run_apart
from worker.decoding.parent import is_plain
from worker.decoding.sandbox import enter
from worker.decoding.terms import ANSWER, DISK_FULL
from worker.zips import ArchiveError, Unpacked, unpack_zip

SECONDS = 300.0  # of one unpacking; 2 GiB take a tenth of it
LONGEST_ANSWER = 2**22  # bytes


@dataclass(frozen=True)
class Terms:
    """What may be unpacked.

    Parameters
    ----------
    most : mapping of str to int
        Bytes that an entry may have, by the names that may be there.
    total : int
        Bytes of all entries.
    wanted : frozenset of str, optional
        Names to unpack; by default all.
    justified : mapping of str to int
        Bytes that an entry can need; one that has more is left out as damaged.
    pattern, most_matching : str, int
        Further names that may be there, and bytes that such an entry may have.
    """

    most: Mapping[str, int]
    total: int
    wanted: frozenset[str] | None = None
    justified: Mapping[str, int] = field(default_factory=dict)
    pattern: str = ""
    most_matching: int = 0

    def most_of(self, name: str) -> int | None:
        """Bytes that an entry of this name may have; None for one that may not be there."""
        return self.most_matching if re.fullmatch(self.pattern, name) else self.most.get(name)


def unpack_apart(path: Path, folder: Path, terms: Terms) -> Unpacked:
    """Unpack a zip into an empty folder, in a child process.

    Raises
    ------
    ArchiveError
    """
    status = run_apart(_in_child, (path.resolve(), folder, terms), SECONDS)
    if status == DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if status != 0:
        why = f"in {SECONDS:g} s" if status is None else f"(status {status})"
        raise ArchiveError(f"{path.name} could not be unpacked {why}")
    with (folder / ANSWER).open("rb") as file:
        answer = json.loads(file.read(LONGEST_ANSWER))
    if "refusal" in answer:
        raise ArchiveError(str(answer["refusal"]).replace(path.resolve().name, path.name))
    files = {str(name): folder / str(int(n)) for name, n in answer["files"].items()}
    strange = [name for name in files if terms.most_of(name) is None or not is_plain(files[name])]
    if strange:
        raise ArchiveError(f"{path.name} could not be unpacked")
    return Unpacked(files, {str(name): str(why) for name, why in answer["damaged"].items()})


def _in_child(path: Path, folder: Path, terms: Terms) -> None:
    allowance = enter([path], folder, SECONDS)
    allowance.admit(terms.total)
    try:
        unpacked = unpack_zip(
            path,
            folder,
            terms.most_of,
            total=terms.total,
            wanted=terms.wanted,
            justified=terms.justified,
        )
        files = {name: int(target.name) for name, target in unpacked.files.items()}
        answer = {"files": files, "damaged": unpacked.damaged}
    except ArchiveError as error:
        answer = {"refusal": str(error)}
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(DISK_FULL)
        raise
    (folder / ANSWER).write_text(json.dumps(answer))
