"""The evaluation's charts and pages of pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reucid_core.eigenpatches import FloatArray
from reucid_core.features import noise_level
from reucid_core.training.judging.case import ORACLE
from reucid_core.training.judging.evaluate import Exhibit, Found, Judgement, Score
from reucid_core.training.judging.rivals import BM3D
from reucid_core.training.labels.oracle import Kept
from reucid_core.training.networks.fit import DECISIONS
from reucid_core.training.showing import charts, pictures

SHOWN = ("tuned", ORACLE, BM3D.name)
RESIDUALS = ("tuned", BM3D.name)
COMPARED = ("tuned", "paper", "best c sigma^2 N")
CHARTED = "Si[110]"  # the paper's specimen in Fig. 5
PROFILE = 36.0  # px to either side of a defect
DIRECTIONS = 72  # tried for the line of a profile


def draw(found: Sequence[Found], folder: Path) -> None:
    """All pictures of what has been found."""
    scores = [one for each in found for one in each.scores]
    exhibits = [one for each in found for one in each.exhibits]
    judgements = [one for each in found for one in each.judgements]
    for offset in sorted({one.offset for one in exhibits}):
        for decision in DECISIONS:
            noise = f"rows-{offset:.0%}-{decision}".replace("%", "") if offset else "white"
            here = [e for e in exhibits if (e.offset, e.scan_noise) == (offset, decision)]
            if here:
                _pages(here, noise, folder)
            near = [s for s in scores if (s.offset, s.scan_noise) == (offset, decision)]
            if near:
                smallest = min(one.patch_size for one in near)
                lost = losses([s for s in near if s.patch_size == smallest])
                charts.losses(lost, folder / f"losses-{noise}.png")
    for decision in DECISIONS:
        verdicts = utilities([j for j in judgements if j.scan_noise == decision])
        if verdicts:
            charts.reliability(verdicts, folder / f"reliability-{decision}.png")


def _pages(exhibits: Sequence[Exhibit], noise: str, folder: Path) -> None:
    trials = [trial(each) for each in exhibits]
    present = [name for name in RESIDUALS if name in trials[0].restored]
    pictures.comparison(trials, folder / f"page-{noise}.png", residuals=present)
    for each in exhibits:
        if each.specimen == CHARTED:
            charts.scree(
                each.decomposition, each.kept["tuned"], each.kept[ORACLE],
                folder / f"scree-{noise}.png", noise=noise_level(each.decomposition),
            )  # fmt: skip
            _profile(each, folder / f"profile-{noise}.png")


def trial(exhibit: Exhibit) -> pictures.Trial:
    """An exhibit as a row of a page, about its first defect."""
    restored = {name: exhibit.restored[name] for name in SHOWN if name in exhibit.restored}
    focus = exhibit.defects[0].place if exhibit.defects else None
    return pictures.Trial(exhibit.specimen, exhibit.truth, exhibit.noisy, restored, focus)


def _profile(exhibit: Exhibit, path: Path) -> None:
    if exhibit.defects:
        start, end = line_through(exhibit.truth, exhibit.defects[0].place)
        half = np.hypot(end[0] - start[0], end[1] - start[1]) / 2
        pictures.profiles(
            trial(exhibit), start, end, path,
            shown="tuned", marks=[half], sampling=exhibit.sampling,
        )  # fmt: skip


def line_through(
    truth: FloatArray, place: tuple[int, int], *, reach: float = PROFILE
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ends of the line through a place, `reach` px to either side, that is brightest on average.

    So it meets the most columns of atoms.
    """
    best, ends = -np.inf, ((0.0, 0.0), (0.0, 0.0))
    for angle in np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        step = reach * np.array([np.sin(angle), np.cos(angle)])
        start, end = np.asarray(place) - step, np.asarray(place) + step
        if (np.minimum(start, end) < 0).any() or (np.maximum(start, end) > truth.shape).any():
            continue
        _, values = pictures.along(truth, tuple(start), tuple(end))
        if values.mean() > best:
            best = float(values.mean())
            ends = ((float(start[0]), float(start[1])), (float(end[0]), float(end[1])))
    return ends


def losses(scores: Sequence[Score]) -> dict[str, dict[str, list[float]]]:
    """Losses in dB by method and specimen."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in COMPARED}
    for one in scores:
        if one.method in found:
            found[one.method].setdefault(one.specimen, []).append(one.loss)
    return {name: by_specimen for name, by_specimen in found.items() if by_specimen}


def utilities(judgements: Sequence[Judgement]) -> Mapping[str, tuple[FloatArray, Kept]]:
    """All utilities and the oracle's verdicts, by the network."""
    by_network: dict[str, list[Judgement]] = {}
    for each in judgements:
        by_network.setdefault(each.method, []).append(each)
    return {
        name: (
            np.concatenate([each.utilities for each in mine]),
            np.concatenate([each.useful for each in mine]),
        )
        for name, mine in by_network.items()
    }
