"""A job's parameters: made once where they arrive, and handed on as one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, get_args

from reucid_core import DenoiseParams
from reucid_core.errors import ParameterError
from worker.contract import FileInfo
from worker.denoising.model_choice import ModelChoice
from worker.denoising.selection import Selection

Part = Selection | ModelChoice | DenoiseParams
PARTS = get_args(Part)


@dataclass(frozen=True, kw_only=True)
class JobParams:
    """What a job takes of its input, by what it is judged, and how it is denoised.

    In JSON, as clients send them and the ledger and reports keep them, they lie side by side.
    """

    selection: Selection = field(default_factory=Selection)
    choice: ModelChoice = field(default_factory=ModelChoice)
    denoising: DenoiseParams = field(default_factory=DenoiseParams)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "JobParams":
        """Of parameters by name; one that is missing has its default.

        Raises
        ------
        ParameterError
            When there is no parameter of a name, or a value is out of its range.
        """
        known = sorted(each.name for part in PARTS for each in fields(part))
        for name in sorted(values.keys() - set(known)):
            raise ParameterError(
                "params", f"got {name[:80]!r}, expected some of {', '.join(known)}"
            )
        return cls(
            selection=Selection(**_named(Selection, values)),
            choice=ModelChoice(**_named(ModelChoice, values)),
            denoising=DenoiseParams(**_named(DenoiseParams, values)),
        )

    def to_json(self) -> dict[str, Any]:
        """All parameters by name."""
        return asdict(self.selection) | asdict(self.choice) | asdict(self.denoising)

    def within(self, *, memory_budget: int | None, threads: int | None) -> "JobParams":
        """The same with what a machine, not a client, decides."""
        denoising = replace(self.denoising, memory_budget=memory_budget, threads=threads)
        return replace(self, denoising=denoising)

    def check(self, contents: FileInfo) -> None:
        """Refuse what cannot be done with this file, before it is worked on.

        Raises
        ------
        ParameterError
        """
        self.selection.check(contents, self.denoising)


def _named(part: type[Part], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that are this part's."""
    return {each.name: values[each.name] for each in fields(part) if each.name in values}
