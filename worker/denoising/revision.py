"""Which result is revised, and how: a parameter of a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reucid_core.errors import ParameterError
from reucid_core.revision import Verdicts

Listed = Mapping[int, Sequence[int]]


@dataclass(frozen=True)
class Revision:
    """A person's verdicts on the eigenpatches of a result.

    Parameters
    ----------
    of : str or None
        The job whose result it is; None of a bundle that no server made.
    verdicts : Verdicts
    frame : int
        The frame of a stack whose eigenpatches they are about; of no account if all share theirs.
    """

    of: str | None
    verdicts: Verdicts = field(default_factory=Verdicts)
    frame: int = 0

    @classmethod
    def from_json(cls, values: Any) -> "Revision":
        """Of what `to_json` gives.

        Raises
        ------
        ParameterError
            When it is something else.
        """
        try:
            keep, drop = (_indices(values[name]) for name in ("keep", "drop"))
            of, frame = values["of"], values["frame"]
            if not (isinstance(of, str | None) and isinstance(frame, int) and frame >= 0):
                raise ValueError
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ParameterError("revision", f"got {str(values)[:200]}, expected one") from error
        return cls(of, Verdicts(keep, drop), frame)

    def to_json(self) -> dict[str, Any]:
        return {
            "of": self.of,
            "frame": self.frame,
            "keep": _listed(self.verdicts.keep),
            "drop": _listed(self.verdicts.drop),
        }


def _indices(said: Mapping[str, Sequence[int]]) -> dict[int, list[int]]:
    return {int(stack): [int(k) for k in indices] for stack, indices in said.items()}


def _listed(said: Listed) -> dict[str, list[int]]:
    """Stacks as JSON has them: its names are strings."""
    return {str(stack): list(indices) for stack, indices in said.items()}
