"""On which kind of filesystem a path lies, as the kernel tells it."""

import os
from pathlib import Path

import psutil

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


def filesystem_of(path: Path) -> str:
    """The type of the filesystem that holds, or would hold, a path; empty when it is unknown.

    The kernel says where a filesystem begins, since the table of mounts also has those that others
    hide. Of several mounted at one place, the last one is on top.
    """
    place = path.resolve()
    begins = [str(each) for each in (place, *place.parents) if os.path.ismount(each)]
    kinds = {each.mountpoint: each.fstype for each in psutil.disk_partitions(all=True)}
    return next((kinds[each] for each in begins if each in kinds), "")
