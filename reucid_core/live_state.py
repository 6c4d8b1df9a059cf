"""What both ways of denoising live frames have: parameters, a rule for the patch size, a memory."""

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np

from reucid_core.clock import Clock
from reucid_core.eigenpatches import Classify, FloatArray
from reucid_core.live_memory import Memory
from reucid_core.live_terms import Decision, Mask, check_live
from reucid_core.outcome import Outcome, Task
from reucid_core.params import ChosenMethod, DenoiseParams
from reucid_core.patch_size_rules import resolved


class LiveState(ABC):
    """The state between rows and between frames.

    Parameters
    ----------
    shape : (int, int)
        Of a frame, (m, n).
    params : DenoiseParams
    forgetting : float
        As of `live_memory.Memory`.
    classify : callable

    Attributes
    ----------
    scene_changed : bool
        The memory was dropped in this frame, which shows something else.
    """

    method: ChosenMethod

    def __init__(
        self, shape: tuple[int, int], params: DenoiseParams, forgetting: float, classify: Classify
    ) -> None:
        check_live(params, shape)
        self._shape = shape
        self._asked = replace(params, method=self.method)
        self._params = replace(
            self._asked, patch_size=params.stated_patch_size, patch_size_from=None
        )  # until a rule for the patch size has seen a whole frame
        self._rule: str | None = None
        self._classify = classify
        self._memory = Memory(forgetting)
        self._image: FloatArray = np.empty((0, 0))
        self._looked_at = 0  # rows of a frame without memory that were decided on
        self.scene_changed = False

    @property
    def memory_weight(self) -> float:
        """Of the frames before, in whole frames."""
        return self._memory.frames

    @property
    @abstractmethod
    def decision(self) -> Decision | None:
        """What the frame is filtered by; None while there are too few rows."""

    def begin(self, image: FloatArray) -> None:
        """A frame begins whose rows will be written into an image, shape (m, n)."""
        self._image = image
        self._looked_at = 0
        self.scene_changed = False

    @abstractmethod
    def discount(self, first: int, stop: int) -> None:
        """Rows are about to be written again."""

    @abstractmethod
    def remember(self, scanned: Mask) -> None:
        """The frame is over; its image is the memory's from now on."""

    @abstractmethod
    def show(self, scanned: Mask, stale: Mask, out: FloatArray) -> None:
        """Bring the image shown so far, shape (m, n), up to date.

        Parameters
        ----------
        scanned, stale : ndarray of bool, shape (m,)
            Rows that are there, and those of them that came since.
        out : ndarray, shape (m, n)
        """

    @abstractmethod
    def outcome(self, shown: FloatArray) -> tuple[Outcome, Task]:
        """Of the whole frame that has been shown."""

    def _ask_rule(self) -> None:
        """Let a rule for the patch size see the whole frame."""
        self._params, self._rule = resolved(self._asked, self._image)

    def _task(self) -> Task:
        return Task(self._params, self._classify, None, Clock(), patch_size_rule=self._rule)
