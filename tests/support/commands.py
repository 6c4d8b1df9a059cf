"""The command line, run in this process."""

import sys

import pytest

from app.commands import main as cli


def reucid(*arguments: object) -> int:
    """Exit status of `reucid` with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["reucid", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            cli.main()
    return int(exited.value.code or 0)


def line(output: str, check: str) -> str:
    """What `reucid doctor` says of one check."""
    return next(each for each in output.splitlines() if each[8:].startswith(check))
