"""What a check of a bundle finds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reucid_core import MemoryBudgetError, ReucidError


class Unverifiable(Exception):  # noqa: N818  (a verdict, not an error)
    """What is needed for a check is not there."""


class Refuted(Exception):  # noqa: N818
    """What is there cannot be what it says."""


@dataclass
class Verdict:
    """One claim of a bundle. `holds` is None where it could not be checked."""

    name: str
    claim: str
    holds: bool | None = None
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # that go with it, whether or not it holds
    deviations: dict[str, float] = field(default_factory=dict)  # measured, largest magnitudes
    tolerances: dict[str, float] = field(default_factory=dict)  # in the same units

    def measure(self, name: str, deviation: float, tolerance: float) -> bool:
        """Note a deviation; whether it is tolerated."""
        before, tolerated = self.deviations.get(name, 0.0), self.tolerances.get(name, tolerance)
        if deviation * tolerated >= before * tolerance:  # the worst of several, by its tolerance
            self.deviations[name], self.tolerances[name] = deviation, tolerance
        return deviation <= tolerance


@contextmanager
def refuting() -> Iterator[None]:
    """What the core refuses of a bundle, the bundle is wrong about."""
    try:
        yield
    except MemoryBudgetError as error:
        raise Unverifiable(str(error)) from error
    except ReucidError as error:
        raise Refuted(str(error)) from error
