"""Denoising while the microscope scans: `while acquisition_is_active` of the paper's Algorithm 1.

Rows come in as they are scanned, and the newest image is there whenever it is asked for::

    live = LiveDenoiser((512, 512), DenoiseParams(), memory_frames=8)
    live.begin(0)  # a frame, by its number
    live.update(rows, first_row)  # (k, 512) of them, in any order, as often as wanted
    shown = live.frame()  # a LiveFrame: .image, .scanned, .verdict, .noise_variance, ...
    live.begin(1)  # the next; numbers only grow, and may leave some out

`update` only takes the rows in; the work is done by `frame`, at once for all that came since, and
by `begin` for what was not asked for. All raise `ReucidError`s in words. What `update` refuses
changes nothing; a frame that `frame` fails on may be asked for again, and where `begin` fails on
what a frame has shown, the next has begun without it.

Patches do not care where they lie: the Gram matrices of frames of a drifting specimen add up, with
forgetting, and each frame is filtered by what the specimen has shown so far. Everything but the
weight of earlier frames is Algorithm 1 with engine `exact`: after a whole frame by itself
(``memory_frames=0``) the image is that of `reucid_core.denoise`, and after n frames without
forgetting (``memory_frames=None``) that of `reucid_core.denoise_frames` with ``joint=True``.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reucid_core.eigenpatches import Classify, FloatArray
from reucid_core.errors import ImageError, ParameterError
from reucid_core.image import as_working_rows
from reucid_core.live_scale import LiveScale
from reucid_core.live_terms import Decision, constant
from reucid_core.live_two_scale import LiveScales
from reucid_core.noise import NoiseModel
from reucid_core.noise_floor import noise_floor
from reucid_core.params import MIN_PATCH_SIZE, DenoiseParams
from reucid_core.pipeline import Result, assessed, report_of
from reucid_core.plan import choose_way
from reucid_core.report import StackReport
from reucid_core.threads import limited

__all__ = ["LiveDenoiser", "LiveFrame"]

MEMORY_FRAMES = 8.0


@dataclass(frozen=True)
class LiveFrame:
    """A frame as far as it has been scanned.

    Parameters
    ----------
    number : int
        As given to `LiveDenoiser.begin`.
    image : ndarray, shape (m, n), float32 or float64
        In the intensity units of the input. NaN in rows not scanned yet; the raw value where no
        patch lies, that is in runs of fewer rows than a patch has. The caller's own.
    scanned : ndarray of bool, shape (m,)
    method : {"paper", "two-scale"}
    patch_size : int or None
        In px of the grid; None, as the verdict, while there are too few rows for any patch.
    spacing : int
        Px of the image between neighbours on the grid.
    noise_variance : float or None
        Of a pixel, intensity squared.
    noise : NoiseModel or None
        As it was measured; None with method `paper`.
    eigenpatches : ndarray, shape (k, p, p), float64
        All that were offered; with two scales, those of the lattice.
    verdict : StackReport or None
        On the eigenpatches that filtered this frame; its patches are those of the memory, too.
    memory_weight : float
        Of the frames before, in whole frames.
    scene_changed : bool
        This frame shows something else than those before, or has other noise; what they have shown
        was dropped.
    blank : bool
        All that was scanned has one value: it is shown as it is and not remembered.
    """

    number: int
    image: FloatArray
    scanned: NDArray[np.bool_]
    method: str
    patch_size: int | None
    spacing: int
    noise_variance: float | None
    noise: NoiseModel | None
    eigenpatches: FloatArray
    verdict: StackReport | None
    memory_weight: float
    scene_changed: bool
    blank: bool

    @property
    def complete(self) -> bool:
        """Whether all rows are there."""
        return bool(self.scanned.all())

    @property
    def n_kept(self) -> int:
        """Number of eigenpatches kept."""
        return 0 if self.verdict is None else self.verdict.n_kept

    def to_dict(self) -> dict[str, Any]:
        """Everything but arrays and verdict, ready for JSON: a line of the course of a session."""
        return {
            "number": self.number,
            "rows": int(np.count_nonzero(self.scanned)),
            "method": self.method,
            "patch_size": self.patch_size,
            "spacing": self.spacing,
            "noise_variance": self.noise_variance,
            "offered": len(self.eigenpatches),
            "kept": self.n_kept,
            "memory_weight": self.memory_weight,
            "scene_changed": self.scene_changed,
            "blank": self.blank,
        }


class LiveDenoiser:
    """Denoises frames while they are scanned.

    Parameters
    ----------
    shape : (int, int)
        Of all frames, (m, n) in px, at least 3 x 3.
    params : DenoiseParams, optional
        What stacks and deadlines need is refused: a live frame has one stack.
    memory_frames : float or None
        Half-life in frames of what earlier ones have shown. 0: each frame by itself. None or
        infinite: nothing is forgotten.
    classify : callable, optional
        As in `reucid_core.denoise`.

    Raises
    ------
    ParameterError
        When a value is out of its range or does not fit the shape.
    MemoryBudgetError
        When a frame does not fit into the memory.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        params: DenoiseParams | None = None,
        memory_frames: float | None = MEMORY_FRAMES,
        *,
        classify: Classify = noise_floor,
    ) -> None:
        m, n = shape
        if min(m, n) < MIN_PATCH_SIZE:
            raise ParameterError(
                "shape",
                f"got {m} x {n} px, expected at least {MIN_PATCH_SIZE} x {MIN_PATCH_SIZE} px, the "
                "smallest patch",
            )
        self.shape = (m, n)
        self.params = params or DenoiseParams()
        self._way = replace(
            choose_way(self.params, classify), engine="exact", engine_reason="a live frame"
        )
        made = LiveScales if self._way.method == "two-scale" else LiveScale
        self._scale: LiveScale | LiveScales = made(
            (m, n), self.params, forgetting(memory_frames), classify
        )
        self._input: np.dtype[Any] | None = None
        self._number = 0
        self._scanned = np.zeros(m, dtype=bool)
        self._stale = np.zeros(m, dtype=bool)
        self._image: FloatArray | None = None
        self._raw: NDArray[Any] = np.empty((0, 0))
        self._shown: FloatArray = np.empty((m, n))

    @property
    def number(self) -> int:
        """Of the frame that is being scanned; 0 before the first."""
        return self._number

    @property
    def scanned(self) -> NDArray[np.bool_]:
        """Which rows of it are there, shape (m,)."""
        return self._scanned.copy()

    def begin(self, number: int) -> None:
        """Begin a frame; what the one before has shown is remembered, whole or not.

        Parameters
        ----------
        number : int
            Greater than that of the frame before, unless nothing of that has come.

        Raises
        ------
        ParameterError
            When it goes back.
        ReucidError
            When nothing can be made of the frame before, as `frame`; this one has begun all the
            same.
        """
        started = bool(self._scanned.any())
        if number < self._number + started:
            raise ParameterError(
                "number", f"got frame {number}, expected at least {self._number + started}"
            )
        scanned = self._scanned.copy()
        self._number = number
        self._scanned[:] = self._stale[:] = False
        self._image = None
        if started:
            with limited(self.params.threads):
                self._scale.remember(scanned)

    def update(self, rows: ArrayLike, first_row: int = 0) -> None:
        """Take rows of the current frame; those that were there already are replaced.

        Parameters
        ----------
        rows : ndarray, shape (k, n), integer or floating
            Of the type of all rows before; finite. Copied, never modified.
        first_row : int
            Where the first of them lies, from 0.

        Raises
        ------
        ImageError
            When they do not fit the frame, or are not finite numbers of that type.
        """
        given = np.asarray(rows)
        working = self._checked(given, first_row)
        if self._image is None:
            self._image = np.zeros(self.shape, working.dtype)
            self._shown = np.empty(self.shape, working.dtype)
            self._raw = np.zeros(self.shape, given.dtype)
            self._scale.begin(self._image)
        stop = first_row + len(working)
        if self._scanned[first_row:stop].any():
            with limited(self.params.threads):
                self._scale.discount(first_row, stop)
        self._image[first_row:stop] = working
        self._raw[first_row:stop] = given
        self._input = given.dtype
        self._scanned[first_row:stop] = True
        self._stale[first_row:stop] = True

    def frame(self) -> LiveFrame:
        """The current frame, denoised as far as it has been scanned.

        Raises
        ------
        ImageError
            When nothing of it has come.
        ReucidError
            As `reucid_core.denoise`, of the parameters and the classifier.
        """
        if self._image is None:
            raise ImageError(f"got nothing of frame {self._number} yet, expected some rows first")
        blank = constant(self._image, self._scanned)
        if blank:
            self._shown[:] = self._image
        elif self._stale.any():
            with limited(self.params.threads):
                self._scale.show(self._scanned, self._stale, self._shown)
            self._stale[:] = False
        image = self._shown.copy()
        image[~self._scanned] = np.nan
        scale = self._scale
        decision: Decision | None = None if blank else scale.decision
        return LiveFrame(
            number=self._number,
            image=image,
            scanned=self._scanned.copy(),
            method=scale.method,
            patch_size=None if decision is None else decision.patch_size,
            spacing=1 if decision is None else decision.spacing,
            noise=None if decision is None else decision.noise,
            noise_variance=None if decision is None else decision.noise_variance,
            eigenpatches=np.empty((0, 0, 0)) if decision is None else decision.eigenpatches,
            verdict=None if decision is None else decision.verdict,
            memory_weight=scale.memory_weight,
            scene_changed=scale.scene_changed,
            blank=blank,
        )

    def result(self) -> Result:
        """The current frame, which is whole, as `reucid_core.denoise` gives one: with a report.

        The report tells the eigenpatches of all frames that count, as that of a joint stack does,
        so that the image can be made again from the frame itself. With method `two-scale` the frame
        is denoised once more by them, as slowly as an image: what was shown of it differs by a few
        hundredths of the noise.

        Raises
        ------
        ImageError
            When rows are missing, or all pixels have one value.
        ReucidError
            As `frame`.
        """
        missing = len(self._scanned) - int(np.count_nonzero(self._scanned))
        if self._image is None or missing:
            raise ImageError(f"got a frame of which {missing} rows are missing, expected all")
        if constant(self._image, self._scanned):
            raise ImageError("got a frame of one value, expected an image")
        shown = self.frame()
        with limited(self.params.threads):
            outcome, task = self._scale.outcome(shown.image)
            outcome = assessed(outcome, self._image)
        noisy = self._raw.copy()
        return Result(
            noisy=noisy,
            image=outcome.image,
            partial_coverage=None,
            eigenpatches=tuple(outcome.eigenpatches),
            report=report_of(noisy, self._image, self._way, outcome, task),
        )

    def _checked(self, rows: NDArray[Any], first_row: int) -> FloatArray:
        m, n = self.shape
        if rows.dtype.kind not in "iuf":
            raise ImageError(f"got rows of {rows.dtype}, expected integers or floats")
        if self._input is not None and rows.dtype != self._input:
            raise ImageError(f"got rows of {rows.dtype}, expected {self._input} as before")
        if rows.ndim != 2 or rows.shape[1] != n or not len(rows):
            raise ImageError(
                f"got rows of shape {rows.shape}, expected (k, {n}): at least one whole row"
            )
        if first_row < 0 or first_row + len(rows) > m:
            raise ImageError(
                f"got rows {first_row} to {first_row + len(rows) - 1}, expected rows within 0 to "
                f"{m - 1}"
            )
        return as_working_rows(rows, self.params.precision)


def forgetting(memory_frames: float | None) -> float:
    """The weight of the frames before when a new one begins, in [0, 1].

    Raises
    ------
    ParameterError
    """
    if memory_frames is None:
        return 1.0
    if isinstance(memory_frames, bool) or not isinstance(memory_frames, int | float):
        raise ParameterError(
            "memory_frames", f"got {memory_frames!r}, expected a number of frames or None"
        )
    if not memory_frames >= 0:  # also refuses NaN
        raise ParameterError("memory_frames", f"got {memory_frames}, expected at least 0")
    return 0.5 ** (1 / memory_frames) if memory_frames else 0.0
