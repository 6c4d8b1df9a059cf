"""What is done with every file alike."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from worker.denoising.model_files import Models, describe
from worker.denoising.params import JobParams
from worker.local.targets import Form, Targets
from worker.settings import Settings


@dataclass(frozen=True)
class Order:
    """How files are denoised, and what is written of each, where.

    Parameters
    ----------
    folder : Path
        Of the results.
    ending : str
        Of their names: ".tif".
    params : JobParams
    models : Models
        The classifiers to choose from.
    form : Form
    residuals, departures, reports, bundles, interims : Path, optional
        Folders of what else is written.
    overwrite : bool
        Whether results that are there may be replaced.
    """

    folder: Path
    ending: str
    params: JobParams
    models: Models
    form: Form
    residuals: Path | None = None
    departures: Path | None = None
    reports: Path | None = None
    bundles: Path | None = None
    interims: Path | None = None
    overwrite: bool = False

    @property
    def folders(self) -> list[Path]:
        """Where something is written."""
        others = (self.residuals, self.departures, self.reports, self.bundles, self.interims)
        every = (self.folder, *others)
        return [folder for folder in every if folder is not None]

    def targets(self, name: PurePath) -> Targets:
        """Where everything of an input goes."""

        def place(folder: Path | None, ending: str) -> Path | None:
            return None if folder is None else folder / name.with_name(name.name + ending)

        return Targets(
            result=self.folder / name.with_name(name.name + self.ending),
            residual=place(self.residuals, f".residual{self.ending}"),
            departures=place(self.departures, f".departures{self.ending}"),
            report=place(self.reports, ".report.json"),
            bundle=place(self.bundles, ".bundle.zip"),
            interims=place(self.interims, ""),
        )

    @cached_property
    def digest(self) -> str:
        """Of all that the numbers in a result depend on, beside the file."""
        stated: dict[str, Any] = self.params.to_json()
        unlike = {"memory_budget", "threads"}  # of the machine
        told = {name: value for name, value in stated.items() if name not in unlike}
        told |= {"form": asdict(self.form), "ending": self.ending}
        told |= {"weights": self._weights}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @property
    def _weights(self) -> str | None:
        """Digest of the classifier's; None where the rule of the noise floor judges."""
        named = self.params.choice.model
        if named is None and self.params.denoising.method != "paper":
            return None
        return describe(self.models.find(named)).sha256

    def shared_by(self, jobs: int, settings: Settings) -> "Order":
        """The same for one of several processes: one thread, and its share of the memory.

        One thread whatever their number, so that results do not depend on it.
        """
        from reucid_core.memory import available_memory

        memory = settings.memory_budget or available_memory() // jobs
        return replace(self, params=self.params.within(memory_budget=memory, threads=1))
