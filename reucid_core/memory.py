"""How much memory this process may really use."""

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
SHARE = 0.5  # of what is free: the rest of the machine keeps running


def available_memory() -> int:
    """Bytes a computation may take: half of what both the machine and the control group leave free.

    Returns
    -------
    int
        In bytes, at least 1.
    """
    free = [psutil.virtual_memory().available, *_cgroup_headrooms(CGROUP)]
    return max(1, int(SHARE * min(free)))


def _cgroup_headrooms(root: Path) -> list[int]:
    """Limit minus use, in bytes, of every enclosing control group that has a limit."""
    headrooms = []
    for group in _enclosing_groups(root):
        limit = _read_bytes(group / "memory.max")
        used = _read_bytes(group / "memory.current")
        if limit is not None and used is not None:
            headrooms.append(max(0, limit - used))
    return headrooms


def _enclosing_groups(root: Path) -> list[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    unified = [line.split("::", 1)[1] for line in lines if "::" in line]
    if not unified:
        return []
    group = root / unified[0].lstrip("/")
    return [path for path in (group, *group.parents) if path.is_relative_to(root)]


def _read_bytes(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" is no limit
