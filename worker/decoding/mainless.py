"""Loaded by the server of children alone: they import no main module of whoever asks for them.

`multiprocessing` has them do so, in case that what they are to call is defined there; here it never
is. In a script of a user it is whatever the script does, done once more in every child.
"""

from multiprocessing import spawn
from typing import Any


def _none(_: str) -> None:
    """Leave the main module alone."""


_spawn: Any = spawn
_spawn._fixup_main_from_name = _spawn._fixup_main_from_path = _none
