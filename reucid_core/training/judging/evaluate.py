"""Does the classifier hold on a crystal it has never seen? Leave one family of them out."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.params import ScanNoise
from reucid_core.training.judging.case import Case, Restoration, restore
from reucid_core.training.judging.contenders import Contender, Network, contenders_without
from reucid_core.training.judging.rivals import Rival
from reucid_core.training.judging.scores import Defect, Merit, merit
from reucid_core.training.labels.examples import Example
from reucid_core.training.labels.oracle import Kept
from reucid_core.training.micrographs import fields
from reucid_core.training.micrographs.drawing import paper_recipes
from reucid_core.training.micrographs.recipes import Recipe
from reucid_core.training.micrographs.simulate import RowNoise
from reucid_core.training.networks.fit import FitOptions

PATCH_SIZES = (11, 15, 21, 31)
ROWS = (RowNoise(), RowNoise(offset=0.02), RowNoise(offset=0.05))
SHOWN_DOSE = 500.0  # e/A^2, of the micrographs that are pictured


@dataclass(frozen=True)
class Score(Merit):
    """How one method did on one micrograph.

    Parameters
    ----------
    specimen, family : str
    dose : float
        In e/A^2.
    patch_size : int
        In px.
    offset : float
        Standard deviation of the rows' offsets, relative to the truth's maximum.
    scan_noise : {"keep", "remove"}
        Whether the truth contains them.
    method : str
    loss : float
        PSNR lost against the image oracle, in dB.
    kept : int or None
        Eigenpatches.
    """

    specimen: str
    family: str
    dose: float
    patch_size: int
    offset: float
    scan_noise: ScanNoise
    method: str
    loss: float
    kept: int | None


@dataclass(frozen=True)
class Judgement:
    """A network's utilities of a micrograph's eigenpatches beside the image oracle's verdicts."""

    method: str
    scan_noise: ScanNoise
    utilities: NDArray[np.float64]  # (k,)
    useful: Kept  # (k,)


@dataclass(frozen=True)
class Exhibit:
    """A micrograph that is pictured, judged by one decision about scan noise.

    Parameters
    ----------
    specimen : str
    offset : float
        Of the rows, relative to the truth's maximum.
    scan_noise : {"keep", "remove"}
    truth, noisy : ndarray, shape (m, n), float32
    restored : dict of ndarray, shape (m, n), float32
        By the method.
    kept : dict of ndarray, shape (k,), bool
        By the method, if it chooses eigenpatches.
    decomposition : Decomposition
    defects : list of Defect
    sampling : float
        Side of a pixel in angstrom.
    """

    specimen: str
    offset: float
    scan_noise: ScanNoise
    truth: FloatArray
    noisy: FloatArray
    restored: dict[str, FloatArray]
    kept: dict[str, Kept]
    decomposition: Decomposition
    defects: list[Defect]
    sampling: float


@dataclass(frozen=True)
class Found:
    """What came of leaving a family out."""

    family: str
    scores: list[Score] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    exhibits: list[Exhibit] = field(default_factory=list)


def evaluate(
    examples: Sequence[Example],
    options: dict[str, FitOptions],
    *,
    rivals: Sequence[Rival] = (),
    n_each: int = 1,
    image_seed: int = 1,
    processes: int = 1,
    patch_sizes: Sequence[int] = PATCH_SIZES,
) -> Iterator[Found]:
    """Judge each family's materials by networks and rules that never saw the family.

    Parameters
    ----------
    examples : sequence of Example
    options : dict of FitOptions
        Of each network, by its name.
    rivals : sequence of Rival
        Denoisers of images, which take part at the first patch size.
    n_each : int
        Micrographs of each crystal, dose and scan noise.
    image_seed : int
    processes : int
    patch_sizes : sequence of int
    """
    families = sorted({each.family for each in specimens()})
    work = partial(
        _leave_out,
        examples=examples,
        options=options,
        rivals=rivals,
        n_each=n_each,
        image_seed=image_seed,
        patch_sizes=tuple(patch_sizes),
    )
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(work, families)


def _leave_out(
    family: str,
    *,
    examples: Sequence[Example],
    options: dict[str, FitOptions],
    rivals: Sequence[Rival],
    n_each: int,
    image_seed: int,
    patch_sizes: tuple[int, ...],
) -> Found:
    torch.set_num_threads(1)
    found = Found(family)
    with threadpool_limits(1):
        contenders = contenders_without(examples, family, options)
        for each in specimens():
            if each.family == family:
                for recipe in paper_recipes(
                    each, n_each, patch_sizes=patch_sizes, rows=ROWS, seed=image_seed
                ):
                    first = recipe.patch_size == patch_sizes[0]
                    _judge(recipe, contenders, rivals if first else (), found, shown=first)
    return found


def specimens() -> list[fields.Field]:
    """What is judged: a perfect crystal of each material simulated by multislice."""
    return [fields.field(name) for name in fields.materials()]


def _judge(
    recipe: Recipe,
    contenders: Sequence[Contender],
    rivals: Sequence[Rival],
    found: Found,
    *,
    shown: bool,
) -> None:
    case = Case.of(recipe)
    restorations = list(restore(case, contenders, rivals))
    found.scores.extend(score(case, each) for each in restorations)
    found.judgements.extend(judgements(case, contenders))
    if shown and recipe.dose == SHOWN_DOSE and recipe.rows.offset in (0.0, ROWS[-1].offset):
        found.exhibits.extend(exhibit(case, restorations, each) for each in case.decisions)


def score(case: Case, restoration: Restoration) -> Score:
    """All figures of a restoration."""
    recipe, kept, decision = case.recipe, restoration.kept, restoration.scan_noise
    labels, truth = case.example.labels(decision), case.images.truth(decision)
    found = merit(
        restoration.image,
        case.images.noisy,
        truth,
        difference=restoration.difference,
        defects=case.defects,
    )
    return Score(
        **asdict(found),
        specimen=recipe.specimen.name,
        family=recipe.specimen.family,
        dose=recipe.dose,
        patch_size=case.example.decomposition.patch_size,
        offset=recipe.rows.offset,
        scan_noise=decision,
        method=restoration.method,
        loss=labels.error.psnr(labels.image_oracle) - found.psnr,
        kept=None if kept is None else int(kept.sum()),
    )


def judgements(case: Case, contenders: Sequence[Contender]) -> Iterator[Judgement]:
    """The networks' utilities beside the oracle's verdicts."""
    for each in contenders:
        if isinstance(each.rule, Network) and each.rule.select == "any" and each.scan_noise:
            utilities = each.rule.classify(case.example.decomposition)
            useful = case.example.labels(each.scan_noise).image_oracle
            yield Judgement(each.method, each.scan_noise, utilities, useful)


def exhibit(case: Case, restorations: Sequence[Restoration], decision: ScanNoise) -> Exhibit:
    """What is shown of a micrograph; in float32, since a process sends it to another."""
    mine = [each for each in restorations if each.scan_noise == decision]
    return Exhibit(
        specimen=case.recipe.specimen.name,
        offset=case.recipe.rows.offset,
        scan_noise=decision,
        truth=case.images.truth(decision).astype(np.float32),
        noisy=case.images.noisy.astype(np.float32),
        restored={each.method: each.image.astype(np.float32) for each in mine},
        kept={each.method: each.kept for each in mine if each.kept is not None},
        decomposition=case.example.decomposition,
        defects=case.defects,
        sampling=case.recipe.view.sampling,
    )
