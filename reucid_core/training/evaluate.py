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
from reucid_core.training import baselines, fields
from reucid_core.training.contenders import Contender, Network, contenders_without
from reucid_core.training.examples import Example, decompose_whole, example_of
from reucid_core.training.fit import DECISIONS, FitOptions
from reucid_core.training.labels import Components, Kept
from reucid_core.training.recipes import (
    Micrograph,
    PointDefect,
    Recipe,
    micrograph,
    paper_recipes,
    pristine,
)
from reucid_core.training.rivals import Noise, Rival
from reucid_core.training.scores import Defect, Merit, defects_between, merit
from reucid_core.training.simulate import FloatImage, RowNoise

PATCH_SIZES = (11, 15, 21, 31)
ROWS = (RowNoise(), RowNoise(offset=0.02), RowNoise(offset=0.05))
DEFECTS = (PointDefect(0.31, 0.33, 0.0), PointDefect(0.67, 0.64, 0.5))
SHOWN_DOSE = 500.0  # e/A^2, of the micrographs that are pictured
NOISY, ORACLE = "noisy", "image oracle"


@dataclass(frozen=True)
class Case:
    """A micrograph of known truth, decomposed and labelled.

    Parameters
    ----------
    recipe : Recipe
    images : Micrograph
    example : Example
    fused : ndarray, shape (k, m * n), float64
        The image that each eigenpatch alone makes.
    defects : list of Defect
    """

    recipe: Recipe
    images: Micrograph
    example: Example
    fused: NDArray[np.float64]
    defects: list[Defect]

    @classmethod
    def of(cls, recipe: Recipe) -> "Case":
        """The micrograph of a recipe, with point defects."""
        images = micrograph(recipe, DEFECTS)
        decomposition = decompose_whole(images.noisy, recipe.patch_size)
        components = Components.of(decomposition, images.noisy)
        example = example_of(recipe, images, decomposition, components)
        defects = defects_between(images.specimen, pristine(recipe, DEFECTS))
        return cls(recipe, images, example, components.fused, defects)

    @property
    def decisions(self) -> tuple[ScanNoise, ...]:
        """Decisions about scan noise that make a difference."""
        return DECISIONS if self.recipe.rows else DECISIONS[:1]

    @property
    def noise(self) -> Noise:
        """What a denoiser of images is told; nothing of the rows."""
        gain = 1 / (self.recipe.dose * self.recipe.view.sampling**2)
        return Noise(gain=gain, read=self.recipe.read_noise, offset=self.recipe.black_level)

    def restored(self, kept: Kept) -> FloatImage:
        """The image of a subset of eigenpatches; where nothing is kept, of the first."""
        chosen = kept if kept.any() else np.arange(len(kept)) == 0
        image: FloatImage = (chosen @ self.fused).reshape(self.images.noisy.shape)
        return image


@dataclass(frozen=True)
class Restoration:
    """What a method made of a micrograph, to be judged by a decision about scan noise."""

    method: str
    scan_noise: ScanNoise
    image: FloatImage
    kept: Kept | None = None  # of the eigenpatches, if the method chooses among them


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


def restore(
    case: Case, contenders: Sequence[Contender], rivals: Sequence[Rival] = ()
) -> Iterator[Restoration]:
    """What every contender, the oracles, SURE and the rivals make of a micrograph.

    White noise alone tells no decision about scan noise from the other: there a network made for
    `remove` is judged, too, under a name of its own.
    """
    d, noisy = case.example.decomposition, case.images.noisy
    sure = baselines.sure_subset(d, noisy, gram=case.example.keep.error.gram)
    chosen = [(each, each.rule(d)) for each in contenders]
    images = [(NOISY, noisy.astype(np.float64))]
    images += [(each.name, each(noisy, case.noise, d.patch_size)) for each in rivals]
    for decision in case.decisions:
        labels = case.example.labels(decision)
        subsets = [(name, kept) for each, kept in chosen if (name := _name(each, case, decision))]
        subsets += [("SURE", sure), ("patch oracle", labels.patch_oracle)]
        for name, kept in (*subsets, (ORACLE, labels.image_oracle)):
            yield Restoration(name, decision, case.restored(kept), kept)
        for name, image in images:
            yield Restoration(name, decision, image)


def _name(contender: Contender, case: Case, decision: ScanNoise) -> str | None:
    """Under which a contender is judged by a decision; None where it is not."""
    if contender.scan_noise in (None, decision):
        return contender.method
    if isinstance(contender.rule, Network) and not case.recipe.rows:
        return f"{contender.method} ({contender.scan_noise})"
    return None


def score(case: Case, restoration: Restoration) -> Score:
    """All figures of a restoration."""
    recipe, kept, decision = case.recipe, restoration.kept, restoration.scan_noise
    labels, truth = case.example.labels(decision), case.images.truth(decision)
    found = merit(restoration.image, case.images.noisy, truth, case.defects)
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
        if isinstance(each.rule, Network) and each.scan_noise is not None:
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
