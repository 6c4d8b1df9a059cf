"""Labelled eigenpatches of simulated micrographs (paper, "Dataset creation")."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reucid_core.classifier import network_input
from reucid_core.decompose import decompose
from reucid_core.eigenpatches import Decomposition, FloatArray
from reucid_core.params import DenoiseParams
from reucid_core.patches import gather, origin_grid, origins_of
from reucid_core.plan import plan_stacked
from reucid_core.training.crystals import CRYSTALS, Crystal, invent
from reucid_core.training.labels import (
    Kept,
    SubsetError,
    image_oracle,
    patch_oracle,
    subset_error,
)
from reucid_core.training.simulate import (
    READ_NOISE,
    View,
    detect,
    expose,
    place_columns,
    with_dopants,
    with_vacancies,
)

N_AUGMENTED = 8


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that makes one noisy micrograph and its decomposition.

    Parameters
    ----------
    crystal : Crystal
    view : View
    dose : float
        In e/A^2.
    read_noise : float
        Relative to the truth's maximum.
    vacancies, dopants : float
        Fractions of the columns.
    dopant_gain : float
        Weight of a doped column, relative to the undoped one.
    black_level : float
        What the detector shows without electrons, relative to the truth's maximum; it changes
        s_k / s_0 of an unchanged image.
    patch_size : int, optional
        In px; by default from the point-spread function.
    seed : int
        Of the noise, the defects and the randomised SVD.
    """

    crystal: Crystal
    view: View
    dose: float
    read_noise: float = READ_NOISE
    vacancies: float = 0.0
    dopants: float = 0.0
    dopant_gain: float = 1.0
    black_level: float = 0.0
    patch_size: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """The labelled decomposition of one micrograph.

    Parameters
    ----------
    recipe : Recipe
    decomposition : Decomposition
        Of all patches in one stack.
    error : SubsetError
        Of the image fused from any subset.
    noisy_psnr : float
        In dB.
    patch_labels, image_labels : ndarray, shape (k,), bool
        The two oracles' subsets.
    """

    recipe: Recipe
    decomposition: Decomposition
    error: SubsetError
    noisy_psnr: float
    patch_labels: Kept
    image_labels: Kept

    def loss(self, kept: Kept) -> float:
        """PSNR in dB that a subset loses against the image oracle's; nothing kept: the first."""
        kept = kept if kept.any() else np.arange(len(kept)) == 0
        return self.error.psnr(self.image_labels) - self.error.psnr(kept)

    def costs(self) -> NDArray[np.float64]:
        """PSNR in dB that a wrong verdict on each eigenpatch alone would cost, shape (k,)."""
        rise = self.error.flips(self.image_labels) / self.error.squared_error(self.image_labels)
        costs: NDArray[np.float64] = 10 * np.log10(1 + np.maximum(rise, 0.0))
        return costs


def micrograph(recipe: Recipe) -> tuple[FloatArray, FloatArray]:
    """Noisy image and truth of a recipe, each of shape (m, n), float64."""
    defect_rng, noise_rng = np.random.default_rng([recipe.seed, 0]).spawn(2)
    columns = place_columns(recipe.crystal, recipe.view)
    columns = with_vacancies(columns, recipe.vacancies, rng=defect_rng)
    columns = with_dopants(columns, recipe.dopants, gain=recipe.dopant_gain, rng=defect_rng)
    truth = expose(columns, recipe.view)
    noisy = detect(
        truth,
        dose=recipe.dose,
        sampling=recipe.view.sampling,
        read_noise=recipe.read_noise,
        rng=noise_rng,
    )
    return noisy + recipe.black_level, truth + recipe.black_level


def decompose_whole(noisy: FloatArray, patch_size: int | None, *, seed: int) -> Decomposition:
    """The decomposition `reucid_core.denoise` offers to its classifier, of a single stack."""
    plan = plan_stacked(noisy, DenoiseParams(patch_size=patch_size, stacks=1))
    every = np.ones(origin_grid((noisy.shape[0], noisy.shape[1]), plan.p), dtype=np.bool_)
    patches = gather(noisy, origins_of(every, noisy.shape[1]), plan.p)
    return decompose(patches, plan.components, rng=np.random.default_rng([seed, 1]))


def make_example(recipe: Recipe) -> Example:
    """Simulate, decompose and label one micrograph."""
    noisy, truth = micrograph(recipe)
    decomposition = decompose_whole(noisy, recipe.patch_size, seed=recipe.seed)
    error = subset_error(decomposition, noisy, truth)
    patch_labels = patch_oracle(decomposition, noisy, truth)
    noise_error = float(np.mean((noisy - truth) ** 2))
    return Example(
        recipe=recipe,
        decomposition=decomposition,
        error=error,
        noisy_psnr=float(10 * np.log10(error.peak**2 / noise_error)),
        patch_labels=patch_labels,
        image_labels=image_oracle(error, patch_labels),
    )


def draw_recipe(crystal: Crystal, *, rng: np.random.Generator) -> Recipe:
    """A micrograph as it might be taken: any sampling, dose, orientation, thickness, defects."""

    def sometimes(probability: float, value: float) -> float:
        return value if rng.random() < probability else 0.0

    side = int(rng.choice([128, 160, 192, 256]))
    view = View(
        shape=(side, side),
        sampling=_log_uniform(0.07, 0.35, rng),
        fwhm=rng.uniform(0.7, 1.2),
        rotation=rng.uniform(0, 360),
        shift=(rng.random(), rng.random()),
        strain=(rng.normal(0, 0.02), rng.normal(0, 0.02), rng.normal(0, 0.02)),
        ramp=sometimes(0.4, rng.uniform(0, 3)),
        ramp_direction=rng.uniform(0, 360),
        background=sometimes(0.5, rng.uniform(0, 0.4)),
    )
    return Recipe(
        crystal=crystal,
        view=view,
        dose=_log_uniform(50, 20000, rng),
        read_noise=rng.uniform(0.0, 0.08),
        vacancies=sometimes(0.5, rng.uniform(0, 0.05)),
        dopants=sometimes(0.5, rng.uniform(0, 0.05)),
        dopant_gain=rng.uniform(0.5, 2.5),
        black_level=sometimes(0.3, rng.uniform(0, 1)),
        patch_size=int(2 * rng.integers(2, 16) + 1) if rng.random() < 0.25 else None,
        seed=int(rng.integers(2**31)),
    )


def draw_recipes(n_each: int, n_invented: int, *, seed: int) -> list[Recipe]:
    """Recipes of `n_each` micrographs of each known crystal, and some of one invented for each."""
    known, invented = np.random.default_rng([seed, 4]).spawn(2)
    return [
        draw_recipe(crystal, rng=known) for crystal in CRYSTALS.values() for _ in range(n_each)
    ] + [draw_recipe(invent(rng=invented), rng=invented) for _ in range(n_invented)]


def make_examples(
    recipes: Sequence[Recipe], *, progress: Callable[[int, int], None] | None = None
) -> list[Example]:
    """One example of each recipe, in their order."""
    examples = []
    for done, recipe in enumerate(recipes, start=1):
        examples.append(make_example(recipe))
        if progress is not None:
            progress(done, len(recipes))
    return examples


def split(
    examples: Sequence[Example], share: float, *, seed: int
) -> tuple[list[Example], list[Example]]:
    """Training and validation examples; an image's eigenpatches stay together.

    The share is taken of each crystal, so that both sides hold all of them.
    """
    rng = np.random.default_rng([seed, 2])
    training, validation = list[Example](), list[Example]()
    for name in sorted({example.recipe.crystal.name for example in examples}):
        group = [example for example in examples if example.recipe.crystal.name == name]
        order = rng.permutation(len(group))
        border = round(share * len(group))
        training += [group[i] for i in order[:border]]
        validation += [group[i] for i in order[border:]]
    return training, validation


def without(examples: Iterable[Example], family: str) -> list[Example]:
    """The examples of all crystals of other families."""
    return [example for example in examples if example.recipe.crystal.family != family]


@dataclass(frozen=True)
class Batch:
    """Datapoints of the network, and what its mistakes cost.

    Parameters
    ----------
    eigenpatches : Tensor, shape (n, 1, 25, 25), float32
    eigenvalues : Tensor, shape (n,), float32
        s_k / s_0.
    labels : Tensor, shape (n,), float32
        1 where useful.
    costs : Tensor, shape (n,), float32
        PSNR in dB lost by a wrong verdict.
    """

    eigenpatches: Tensor
    eigenvalues: Tensor
    labels: Tensor
    costs: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> "Batch":
        """The datapoints of an index, shape (i,)."""
        return Batch(
            self.eigenpatches[index], self.eigenvalues[index], self.labels[index], self.costs[index]
        )

    def augmented(self, variant: Tensor) -> "Batch":
        """Each eigenpatch in one of its eight variants, 0 to 7, shape (n,)."""
        turned = torch.empty_like(self.eigenpatches)
        for number in range(N_AUGMENTED):
            chosen = variant == number
            turned[chosen] = augment(self.eigenpatches[chosen], number)
        return Batch(turned, self.eigenvalues, self.labels, self.costs)


def augment(eigenpatches: Tensor, variant: int) -> Tensor:
    """Four rotations, each upright and inverted, of eigenpatches (n, 1, 25, 25); 0 is itself.

    Inversion is that of contrast, whose sign an SVD leaves open.
    """
    turned = torch.rot90(eigenpatches, variant % 4, dims=(2, 3))
    return -turned if variant >= 4 else turned


def datapoints(examples: Sequence[Example], *, labels: str = "image") -> Batch:
    """All eigenpatches of some examples, with the labels of one of the two oracles.

    Parameters
    ----------
    examples : sequence of Example
    labels : {"image", "patch"}
    """
    inputs = [network_input(example.decomposition) for example in examples]
    chosen = [
        example.image_labels if labels == "image" else example.patch_labels for example in examples
    ]
    return Batch(
        eigenpatches=torch.cat([eigenpatches for eigenpatches, _ in inputs]),
        eigenvalues=torch.cat([eigenvalues for _, eigenvalues in inputs]),
        labels=torch.from_numpy(np.concatenate(chosen).astype(np.float32)),
        costs=torch.from_numpy(
            np.concatenate([example.costs() for example in examples]).astype(np.float32)
        ),
    )


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
