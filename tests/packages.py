"""`python -m tests.packages` prints which package imports which; it fails at a circle between them.

What each may import is in `pyproject.toml`; this is how it is.
"""

import sys
from graphlib import CycleError, TopologicalSorter

import grimp

ROOTS = ("app", "worker", "reucid_core")


def package_of(module: str) -> str:
    """The package that a module lives in: two names deep, three within `reucid_core.training`."""
    parts = module.split(".")
    depth = 3 if parts[:2] == ["reucid_core", "training"] else 2
    return ".".join(parts[:depth]) if parts[0] != "reucid_core" or depth == 3 else "reucid_core"


def arrows() -> dict[str, dict[str, int]]:
    """How many imports lead from a package to another."""
    graph = grimp.build_graph(*ROOTS)
    found: dict[str, dict[str, int]] = {package_of(module): {} for module in graph.modules}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            here, there = package_of(importer), package_of(imported)
            if here != there:
                found[here][there] = found[here].get(there, 0) + 1
    return found


def floors(found: dict[str, dict[str, int]]) -> list[list[str]]:
    """Packages from the lowest floor up: each imports from floors below its own alone.

    Raises
    ------
    CycleError
    """
    height: dict[str, int] = {}
    for package in TopologicalSorter(found).static_order():
        height[package] = 1 + max((height[below] for below in found[package]), default=-1)
    return [
        sorted(package for package in height if height[package] == floor)
        for floor in range(max(height.values()) + 1)
    ]


def main() -> int:
    """Print packages from the top floor down, each with what it imports."""
    found = arrows()
    try:
        for number, floor in reversed(list(enumerate(floors(found)))):
            for package in floor:
                below = ", ".join(f"{name} {n}" for name, n in sorted(found[package].items()))
                print(f"{number:2} {package:34} -> {below or 'nothing of ours'}")  # noqa: T201
    except CycleError as error:
        print("a circle:", " -> ".join(error.args[1]), file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
