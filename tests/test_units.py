"""The units of docs/deployment are what systemd takes, and start commands that there are."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.commands.main import app
from tests.support.places import ROOT

UNITS = sorted((ROOT / "docs" / "deployment").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_that_there_is(unit: Path) -> None:
    (command,) = re.findall(
        r"^ExecStart=/opt/reucid/bin/reucid (\w+)(?: --live)?$", unit.read_text(), re.M
    )
    names = {
        each.name or each.callback.__name__ for each in app.registered_commands if each.callback
    }
    assert command in names
    assert "KillMode=mixed" in unit.read_text()  # SIGTERM for the process itself, not its children


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze (on Debian: apt install systemd)")
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name.replace("@", "@1")
        copy.write_text(unit.read_text().replace("/opt/reucid/bin/reucid", "/bin/true"))
        copies.append(copy)
    done = subprocess.run([program, "verify", *copies], capture_output=True, text=True, check=False)
    mine = [line for line in done.stderr.splitlines() if "reucid" in line]
    assert (done.returncode, mine) == (0, [])
