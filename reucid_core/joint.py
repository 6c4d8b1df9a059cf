"""All frames of a specimen by the same eigenpatches: what they share is found, then each filtered.

What is found comes from sums over the frames, so they can be divided among several who add up, and
again among several who filter; the result is that of one, but for the order of additions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.clock import Clock
from reucid_core.eigenpatches import Classify, Decomposition, FloatArray
from reucid_core.exact import Float64, Sums, Transform, first_look, grams_of, planned
from reucid_core.fir import project_and_fuse
from reucid_core.grids import Frames, WhitenedFrames
from reucid_core.image import as_working_image
from reucid_core.lattice import Lattice
from reucid_core.noise import NoiseModel
from reucid_core.outcome import Outcome, Task
from reucid_core.params import DenoiseParams
from reucid_core.patch_size_rules import resolved
from reucid_core.pipeline import Result, assessed, report_of
from reucid_core.plan import Plan, Way, choose_way
from reucid_core.recovery import Details
from reucid_core.report import StackReport
from reucid_core.scales import Scales, WhitenedGrams, find_scales
from reucid_core.threads import limited
from reucid_core.two_scale import denoise_frame
from reucid_core.whitening import Whitening

Stack = Sequence[NDArray[Any]] | NDArray[Any]

JOINT = "the eigenpatches of all frames together"


@dataclass(frozen=True)
class Correlations:
    """What is to be added up over frames: their autocorrelations.

    Parameters
    ----------
    lags : int
        The longest, in px.
    height : int
        Rows of a band.
    """

    lags: int
    height: int

    def over(self, frames: Stack, params: DenoiseParams) -> Sums:
        """The sum over some frames, shape (frames, m, n)."""
        total: Float64 = np.zeros(())
        for transform in _transforms(frames, params, self.lags, self.height):
            total = total + transform.correlation.astype(np.float64, copy=False)
            del transform  # before the next takes its place
        return Sums([total], [])


@dataclass(frozen=True)
class Grams:
    """What is to be added up over frames: Gram matrices of all their patches of p x p px."""

    p: int
    height: int

    def over(self, frames: Stack, params: DenoiseParams) -> Sums:
        """The sum over some frames, shape (frames, m, n)."""
        return grams_of(_transforms(frames, params, self.p - 1, self.height), [self.p])


Wanted = Correlations | Grams | WhitenedGrams
AddUp = Callable[[Wanted], Sums]


@dataclass(frozen=True)
class OneScale:
    """What frames share with method `paper`."""

    plan: Plan
    height: int
    eigenpatches: Float64
    verdict: StackReport


@dataclass(frozen=True)
class TwoScales:
    """What frames share with method `two-scale`: `Scales` without the frames."""

    noise: NoiseModel
    lattice: Lattice
    details: Details
    plan: Plan
    height: int | None
    lags: tuple[int, int]


@dataclass(frozen=True)
class NoNoise:
    """What frames share in which no noise can be told."""

    plan: Plan
    eigenpatches: FloatArray
    verdict: StackReport
    noise: NoiseModel


@dataclass(frozen=True)
class Shared:
    """What is found in all frames together, of which each of them is denoised.

    Parameters
    ----------
    way : Way
    params : DenoiseParams
        As they were resolved.
    patch_size_rule : str or None
    found : OneScale, TwoScales or NoNoise
    seconds : dict
        That finding it took, by stage.
    """

    way: Way
    params: DenoiseParams
    patch_size_rule: str | None
    found: OneScale | TwoScales | NoNoise
    seconds: dict[str, float] = field(default_factory=dict)

    def denoise(self, frames: Stack, classify: Classify, *, first: bool = True) -> Iterator[Result]:
        """Denoise some frames, shape (frames, m, n), one after another.

        Parameters
        ----------
        frames : ndarray or sequence of ndarray
        classify : callable
            That has judged, for the report.
        first : bool
            Whether the first of these is the first of all, whose report tells what all share took.
        """
        task = Task(self.params, classify, None, Clock(), patch_size_rule=self.patch_size_rule)
        if first:
            task.clock.seconds |= self.seconds
        outcomes = {OneScale: _filtered, TwoScales: _recovered, NoNoise: _as_they_are}
        made: Iterator[Outcome] = outcomes[type(self.found)](frames, self.found, task)  # type: ignore[operator]
        for frame, outcome in zip(frames, made, strict=True):
            yield Result(
                noisy=frame,
                image=outcome.image,
                partial_coverage=None,
                eigenpatches=tuple(outcome.eigenpatches),
                report=report_of(frame, outcome.image, self.way, outcome, task),
            )
            task.clock.restart()


def find_shared(
    frames: Stack, params: DenoiseParams, classify: Classify, add_up: AddUp | None = None
) -> Shared:
    """Find what all frames share.

    Parameters
    ----------
    frames : ndarray, shape (frames, m, n), or sequence of ndarray
        Some are looked at here, with two scales; over all of them is added up.
    params : DenoiseParams
    classify : callable
    add_up : callable, optional
        Gives the sums that are wanted over all frames; by default they are made here.

    Raises
    ------
    ReucidError
        As `reucid_core.denoise`.
    """
    way = replace(choose_way(params, classify), engine="exact", engine_reason=JOINT)
    with limited(params.threads):
        known, rule = resolved(replace(params, method=way.method), frames[0])
        task = Task(known, classify, None, Clock(), patch_size_rule=rule)
        find = _two_scales if way.method == "two-scale" else _one_scale
        found = find(frames, task, add_up)
    return Shared(way, known, rule, found, task.clock.seconds)


def _one_scale(frames: Stack, task: Task, add_up: AddUp | None) -> OneScale:
    """One patch size, height of the bands, decomposition and verdict for all frames."""
    params, shape = task.params, frames[0].shape

    def summed(wanted: Wanted) -> Sums:
        return wanted.over(frames, params) if add_up is None else add_up(wanted)

    correlation: FloatArray = np.zeros(())
    if params.stated_patch_size is None:
        correlation = summed(Correlations(*first_look(shape, params))).arrays[0]
    task.clock.lap("transform")
    plan, height = planned(correlation, shape, params)
    task.clock.lap("psf")
    sums = summed(Grams(plan.p, height))
    (G,), (n_patches,) = sums.arrays, sums.numbers
    decomposition = Decomposition.of_gram_matrix(G, plan.components, n_patches=n_patches)
    task.clock.lap("decompose")
    verdict = task.judge(decomposition, stack=1)
    task.clock.lap("classify")
    return OneScale(plan, height, decomposition.eigenpatches.astype(np.float64), verdict)


def _two_scales(frames: Stack, task: Task, add_up: AddUp | None) -> TwoScales | NoNoise:
    scales = find_scales(Frames(frames, task.params), task, add_up)
    if isinstance(scales, Outcome):
        assert scales.noise is not None  # noqa: S101  (it is of kind "none")
        (eigenpatches,), (verdict,) = scales.eigenpatches, scales.verdicts
        return NoNoise(scales.plan, eigenpatches, verdict, scales.noise)
    return TwoScales(
        scales.noise, scales.lattice, scales.details, scales.plan, scales.height, scales.lags
    )


def _filtered(frames: Stack, found: OneScale, task: Task) -> Iterator[Outcome]:
    params = task.params
    useful = found.eigenpatches[found.verdict.kept]
    for frame in frames:
        with limited(params.threads):
            noisy = as_working_image(frame, params.precision)
            image = project_and_fuse(noisy, useful, height=found.height, threads=params.threads)
        task.clock.lap("fuse")
        yield assessed(
            Outcome(found.plan, image, None, [found.eigenpatches], [found.verdict]), noisy
        )


def _recovered(frames: Stack, found: TwoScales, task: Task) -> Iterator[Outcome]:
    clean, threads = Frames(frames, task.params), task.params.threads
    whitening = Whitening.of(found.noise, threads=threads)
    whitened = WhitenedFrames(clean, whitening, lags=found.lags, height=found.height)
    scales = Scales(
        found.noise,
        whitening,
        whitened,
        found.lattice,
        found.details,
        found.plan,
        found.height,
        found.lags,
    )
    yield from _each(clean, scales, task)


def _as_they_are(frames: Stack, found: NoNoise, task: Task) -> Iterator[Outcome]:
    clean = Frames(frames, task.params)
    patches, verdicts = [found.eigenpatches], [found.verdict]
    yield from _each(
        clean, Outcome(found.plan, clean[0], None, patches, verdicts, noise=found.noise), task
    )


def _each(clean: Frames, scales: Scales | Outcome, task: Task) -> Iterator[Outcome]:
    for number in range(len(clean)):
        with limited(task.params.threads):
            outcome = denoise_frame(clean, number, scales, task)
        yield outcome


def _transforms(
    frames: Stack, params: DenoiseParams, lags: int, height: int
) -> Iterator[Transform]:
    """One at a time: all of them would be many times the frames' own size."""
    for frame in frames:
        image = as_working_image(frame, params.precision)
        yield Transform.of(image, lags=lags, height=height, threads=params.threads)
