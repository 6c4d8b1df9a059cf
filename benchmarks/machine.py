"""One thread and one core, and the machine in words. To be imported before numpy."""

import os
import platform
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # their libraries read these once

import numpy as np  # noqa: E402
import psutil  # noqa: E402


def pin() -> None:
    """Keep this process to one core: BM3D ignores thread settings."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def machine() -> str:
    """The machine in words."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0].split(":")[1].strip() if lines else model
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return (
        f"{model}, {psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}; load average {load:.1f}"
    )
