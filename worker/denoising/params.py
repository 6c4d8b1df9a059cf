"""A job's parameters: made once where they arrive, and handed on as one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from reucid_core import DenoiseParams, ParameterError
from reucid_core.patch_size_rules import check_name
from worker.contract import FileInfo
from worker.denoising.model_choice import ModelChoice
from worker.denoising.revision import Revision
from worker.denoising.selection import Selection

Part = TypeVar("Part", Selection, ModelChoice)


@dataclass(frozen=True, kw_only=True)
class JobParams:
    """What a job takes of its input, by what it is judged, and how it is denoised.

    In JSON, as clients send them and the ledger and reports keep them, they lie side by side.
    """

    selection: Selection = field(default_factory=Selection)
    choice: ModelChoice = field(default_factory=ModelChoice)
    denoising: DenoiseParams = field(default_factory=DenoiseParams)
    revision: Revision | None = None
    session: Mapping[str, Any] | None = None  # of the live session that its input was measured in

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "JobParams":
        """Of parameters by name; one that is missing has its default.

        Raises
        ------
        ParameterError
            When a value is out of its range.
        TypeError
            When there is no parameter of a name.
        """
        revision = values.get("revision")
        own = ("revision", "session")
        others = {name: value for name, value in values.items() if name not in own}
        selection, others = _split(Selection, others)
        choice, others = _split(ModelChoice, others)
        params = cls(
            selection=selection,
            choice=choice,
            denoising=DenoiseParams(**others),
            revision=None if revision is None else Revision.from_json(revision),
            session=values.get("session"),
        )
        if params.denoising.method == "two-scale" and choice.model is not None:
            raise ParameterError(
                "model",
                f"got {choice.model[:200]!r} with method two-scale, expected none: the rule of the "
                "noise floor judges there",
            )
        check_name(params.denoising.patch_size_from)
        return params

    def to_json(self) -> dict[str, Any]:
        """All parameters by name; a function that gives the patch size is told by its own."""
        given = asdict(self.selection) | asdict(self.choice) | asdict(self.denoising)
        if callable(self.denoising.patch_size):
            given |= {"patch_size": None, "patch_size_from": self.denoising.patch_size_rule}
        if self.session is not None:
            given |= {"session": dict(self.session)}
        return given if self.revision is None else given | {"revision": self.revision.to_json()}

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


def _split(part: type[Part], values: Mapping[str, Any]) -> tuple[Part, dict[str, Any]]:
    """A part, made of those of the values that are its own, and the other values."""
    names = {each.name for each in fields(part)}
    own = {name: value for name, value in values.items() if name in names}
    return part(**own), {name: value for name, value in values.items() if name not in names}
