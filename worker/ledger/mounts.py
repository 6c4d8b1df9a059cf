"""On which kind of filesystem a path lies, as the kernel tells it."""

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

# Where several machines may hold the same file, or locks and shared memory mean nothing.
NETWORK = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse.ceph",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "panfs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "wekafs",
    }
)


def filesystem_of(path: Path, mounts: str | None = None) -> str:
    """The type of the filesystem that holds, or would hold, a path; empty when it is unknown."""
    place, found = path.resolve(), ""
    depth = -1
    for line in (_mounts() if mounts is None else mounts).splitlines():
        fields, _, source = line.partition(" - ")
        point = Path(_unescaped(fields.split()[4]))
        if place.is_relative_to(point) and len(point.parts) >= depth:  # the last one is on top
            depth, found = len(point.parts), source.split()[0]
    return found


def _mounts() -> str:
    try:
        return MOUNTS.read_text(errors="surrogateescape")
    except OSError:  # not Linux
        return ""


def _unescaped(name: str) -> str:
    """A mount point whose blanks and such the kernel wrote in octal."""
    raw = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), os.fsencode(name))
    return os.fsdecode(raw)
