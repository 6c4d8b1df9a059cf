"""What a job is made of, read once: parameters, classifier, pixels."""

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from reucid_core.eigenpatches import Classify
from reucid_core.report import library_versions
from worker.contract import JobRecord
from worker.denoising.model_files import Models
from worker.denoising.model_loading import judge_of
from worker.denoising.params import JobParams
from worker.denoising.selection import Chosen
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.processes.patience import patiently
from worker.settings import Settings
from worker.store import Store


@dataclass(frozen=True)
class Material:
    """What a job is made of.

    Parameters
    ----------
    params : JobParams
        With what this machine decides.
    judge : callable or None
        None for a revision, which needs none.
    chosen : Chosen
    signal : ndarray, shape (m, n) or (frames, m, n)
        As decoded, mapped into memory.
    """

    params: JobParams
    judge: Classify | None
    chosen: Chosen
    signal: NDArray[Any]

    @classmethod
    def of(cls, job: JobRecord, database: Database, settings: Settings, store: Store) -> "Material":
        """Read it; the bytes of the pixels are checked.

        Raises
        ------
        ReucidError, DamagedError, OSError
        """
        request = job.request
        params = JobParams.from_json(request.params).within(
            memory_budget=settings.memory_budget, threads=settings.threads
        )
        judge = None if params.revision else judge_of(Models.of(settings), params)
        image = Images(database).get(request.image_id, owner=request.owner)
        chosen = params.selection.of(image.contents)
        signal = patiently(lambda: store.load_pixels(image, chosen.index))
        return cls(params, judge, chosen, signal)

    @property
    def noisy(self) -> NDArray[Any]:
        """What is denoised, shape (m, n) or (frames, m, n)."""
        return self.chosen.pixels_of(self.signal)

    @property
    def is_joint(self) -> bool:
        """Whether all frames of a stack share one decomposition."""
        return self.noisy.ndim == 3 and self.params.selection.frames == "joint"

    @property
    def made_with(self) -> dict[str, Any]:
        """Libraries and classifier: what another worker made with these is as if made here."""
        model = getattr(self.judge, "identity", None)
        return {"versions": library_versions(), "model": model}

    def until(self, left: float | None) -> JobParams:
        """The parameters with so many seconds left; None where there is no deadline."""
        denoising = replace(self.params.denoising, deadline=left)
        return replace(self.params, denoising=denoising)
