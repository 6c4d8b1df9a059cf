"""Datapoints of the network: labelled eigenpatches (paper, "Dataset creation")."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reucid_core.classifier import inputs_of, resampled
from reucid_core.eigenpatches import Decomposition
from reucid_core.features import ACROSS
from reucid_core.params import ScanNoise
from reucid_core.training.labels.examples import Example
from reucid_core.training.labels.survey import SurveyImage

N_AUGMENTED = 8
UPRIGHT = (0, 1, 2, 3)  # variants whose rows are rows


@dataclass(frozen=True)
class Batch:
    """Datapoints of the network, and what its mistakes cost.

    Parameters
    ----------
    eigenpatches : Tensor, shape (n, 1, 25, 25), float32
    inputs : Tensor, shape (n, i), float32
        What the dense layers see beside the channels.
    names : tuple of str
        Of the inputs.
    labels : Tensor, shape (n,), float32
        1 where useful; between 0 and 1 where people disagreed.
    costs : Tensor, shape (n,), float32
        PSNR in dB lost by a wrong verdict.
    """

    eigenpatches: Tensor
    inputs: Tensor
    names: tuple[str, ...]
    labels: Tensor
    costs: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> "Batch":
        """The datapoints of an index, shape (i,)."""
        return Batch(
            self.eigenpatches[index],
            self.inputs[index],
            self.names,
            self.labels[index],
            self.costs[index],
        )

    def joined(self, other: "Batch") -> "Batch":
        """The datapoints of both, with the same inputs."""
        if self.names != other.names:
            raise ValueError(f"got inputs {other.names}, expected {self.names}")
        return Batch(
            torch.cat([self.eigenpatches, other.eigenpatches]),
            torch.cat([self.inputs, other.inputs]),
            self.names,
            torch.cat([self.labels, other.labels]),
            torch.cat([self.costs, other.costs]),
        )

    def augmented(self, variant: Tensor) -> "Batch":
        """Each eigenpatch in one of its eight variants, 0 to 7, shape (n,)."""
        eigenpatches, inputs = torch.empty_like(self.eigenpatches), self.inputs.clone()
        for number in range(N_AUGMENTED):
            chosen = variant == number
            eigenpatches[chosen] = augment(self.eigenpatches[chosen], number)
            if number not in UPRIGHT:
                inputs[chosen] = self.inputs[chosen][:, across(self.names)]
        return Batch(eigenpatches, inputs, self.names, self.labels, self.costs)


def augment(eigenpatches: Tensor, variant: int) -> Tensor:
    """The symmetries of the square, of eigenpatches (n, 1, 25, 25); 0 is the identity.

    Variants 0 to 3 are the identity, the two flips and half a turn; a row stays a row. With a
    quarter turn before it these are 4 to 7.
    """
    turned = torch.rot90(eigenpatches, variant // 4, dims=(2, 3))
    dims = [dim for dim, flipped in ((2, variant & 1), (3, variant & 2)) if flipped]
    return torch.flip(turned, dims)


def across(names: Sequence[str]) -> list[int]:
    """Where each input is found when the image is turned by a quarter."""
    return [names.index(ACROSS.get(name, name)) for name in names]


def datapoints(
    examples: Sequence[Example],
    names: Sequence[str],
    *,
    scan_noise: ScanNoise = "keep",
    oracle: str = "image",
) -> Batch:
    """All eigenpatches of some examples, with the labels of one of the two oracles.

    Parameters
    ----------
    examples : sequence of Example
    names : sequence of str
        Inputs of the network beside the eigenpatches.
    scan_noise : {"keep", "remove"}
    oracle : {"image", "patch"}
    """
    found = [example.labels(scan_noise) for example in examples]
    labels = [each.image_oracle if oracle == "image" else each.patch_oracle for each in found]
    return labelled(
        [example.decomposition for example in examples],
        names,
        labels=np.concatenate(labels).astype(np.float32),
        costs=np.concatenate([each.costs() for each in found]).astype(np.float32),
    )


def surveyed_datapoints(
    images: Sequence[SurveyImage], names: Sequence[str], *, cost: float
) -> Batch | None:
    """All eigenpatches of a survey's images with people's labels; None without images.

    Parameters
    ----------
    images : sequence of SurveyImage
    names : sequence of str
        Inputs of the network beside the eigenpatches.
    cost : float
        In dB, of a wrong verdict: without a truth none can be measured.
    """
    if not images:
        return None
    labels = np.concatenate([each.labels for each in images]).astype(np.float32)
    return labelled(
        [each.decomposition for each in images],
        names,
        labels=labels,
        costs=np.full_like(labels, cost),
    )


def labelled(
    decompositions: Sequence[Decomposition],
    names: Sequence[str],
    *,
    labels: np.ndarray[tuple[int], np.dtype[np.float32]],
    costs: np.ndarray[tuple[int], np.dtype[np.float32]],
) -> Batch:
    """The eigenpatches of some decompositions with labels and costs, shape (n,), of any origin."""
    return Batch(
        eigenpatches=torch.cat([resampled(each) for each in decompositions]),
        inputs=torch.cat([inputs_of(each, names) for each in decompositions]),
        names=tuple(names),
        labels=torch.from_numpy(labels),
        costs=torch.from_numpy(costs),
    )
