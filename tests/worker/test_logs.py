"""The log never ends what it is about."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, structlog
from worker import logs
logs.configure(as_json=True)
structlog.get_logger().info("ours", job_id="1")
logging.getLogger("library").warning("theirs")
print("alive")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_a_full_disk_ends_nothing() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert done.stdout == b"alive\n"


def test_lines_of_libraries_are_json_too() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    ours, theirs = (json.loads(line) for line in done.stderr.splitlines())
    assert (ours["event"], ours["level"], ours["job_id"]) == ("ours", "info", "1")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("theirs", "warning", "library")
