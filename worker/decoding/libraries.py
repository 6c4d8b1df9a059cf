"""Libraries that a child may import: those of which its server has loaded a part, and Python's own.

RosettaSciIO and others try optional ones while they read a file. One of them may want a file or a
thread that a child is denied, or decode by itself, so none counts: what is read from a file does
not depend on what else is installed.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def close() -> None:
    """Have every library of which nothing is loaded by now look as if not installed."""
    known = sys.stdlib_module_names | loaded()
    sys.meta_path[:] = [_Finder(each, known) for each in sys.meta_path]


def loaded() -> set[str]:
    """Libraries of which something is loaded."""
    return {name.partition(".")[0] for name in sys.modules}


class _Finder:
    """One of Python's finders, for some libraries only."""

    def __init__(self, finder: Any, known: frozenset[str]) -> None:
        self._finder = finder
        self._known = known

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] not in self._known:
            return None
        found: ModuleSpec | None = self._finder.find_spec(name, path, target)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)  # importlib.metadata asks finders, too
