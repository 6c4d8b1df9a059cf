"""The classifier of eigenpatches: the CNN of the paper's Fig. 3, and networks of its kind.

The only run-time module that imports torch. It sees a `Decomposition`, never a pixel.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from reucid_core.eigenpatches import Decomposition
from reucid_core.errors import ModelError
from reucid_core.features import FEATURES, features
from reucid_core.params import ScanNoise

FORMAT = "reucid-classifier-2"  # of the file: a network for each decision about scan noise
INPUT_SIZE = 25  # px, the side every eigenpatch is resampled to
WEIGHTS = Path(__file__).parent / "weights"
BUNDLED = WEIGHTS / "tuned.safetensors"


@dataclass(frozen=True)
class Architecture:
    """Sizes of a network like that of Fig. 3; the defaults are the figure's.

    Parameters
    ----------
    channels : (int, int)
        Of the two convolutions.
    widths : tuple of int
        Of the dense layers between them and the output.
    inputs : tuple of str
        Names in `reucid_core.features.FEATURES`, given to the first dense layer beside the
        channels.
    """

    channels: tuple[int, int] = (14, 15)
    widths: tuple[int, ...] = (16,)
    inputs: tuple[str, ...] = ("relative_singular_value",)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.inputs) - set(FEATURES))
        if unknown:
            raise ModelError(f"got inputs {', '.join(unknown)}, expected of {', '.join(FEATURES)}")
        if min(self.channels + self.widths) < 1 or len(self.channels) != 2:
            raise ModelError(f"got layers of {self.channels} and {self.widths}, expected sizes > 0")

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> "Architecture":
        """The one that a model card names.

        Raises
        ------
        ModelError
        """
        try:
            found = card["architecture"]
            return cls(
                channels=(int(found["channels"][0]), int(found["channels"][1])),
                widths=tuple(int(width) for width in found["widths"]),
                inputs=tuple(str(name) for name in found["inputs"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ModelError(f"the model card tells no architecture: {error!r}") from error

    def to_dict(self) -> dict[str, Any]:
        """For the model card."""
        return asdict(self)


PAPER = Architecture()


class EigenpatchNet(nn.Module):
    """Utility logits of resampled eigenpatches, by a network like that of Fig. 3.

    The text calls the second convolution's output "flattened", the figure averages it over each
    channel; only the figure yields the 16 inputs that FC3 has.

    Buffers beside the weights: `centre` and `scale` of the inputs, and the `calibration`, slope and
    intercept that make probabilities of the logits (Platt scaling).
    """

    centre: Tensor
    scale: Tensor
    calibration: Tensor

    def __init__(self, architecture: Architecture = PAPER) -> None:
        super().__init__()
        self.architecture = architecture
        first, second = architecture.channels
        n_inputs = len(architecture.inputs)
        self.conv1 = nn.Conv2d(1, first, kernel_size=5, padding=1)
        self.conv2 = nn.Conv2d(first, second, kernel_size=3, padding=1)
        sizes = (second + n_inputs, *architecture.widths)
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self.output = nn.Linear(sizes[-1], 1)
        self.register_buffer("centre", torch.zeros(n_inputs))
        self.register_buffer("scale", torch.ones(n_inputs))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    def forward(self, eigenpatches: Tensor, inputs: Tensor) -> Tensor:
        """Logits, shape (k,), of eigenpatches (k, 1, 25, 25) and further inputs (k, i)."""
        # ELU increases, so it may follow the pooling: the same numbers from a quarter of the ELUs.
        x = functional.elu(functional.max_pool2d(self.conv1(eigenpatches), 2))  # (k, c1, 11, 11)
        x = functional.elu(functional.max_pool2d(self.conv2(x), 2))  # (k, c2, 5, 5)
        x = torch.cat([x.mean(dim=(2, 3)), (inputs - self.centre) / self.scale], dim=1)
        for layer in self.hidden:
            x = functional.elu(layer(x))
        logits: Tensor = self.output(x)
        return logits[:, 0]

    def probabilities(self, eigenpatches: Tensor, inputs: Tensor) -> Tensor:
        """Calibrated probabilities of being useful, shape (k,), float64.

        The sign of an eigenpatch is arbitrary: the mean over both.
        """
        logits = torch.stack([self(sign * eigenpatches, inputs) for sign in (1, -1)])
        slope, intercept = self.calibration.double()
        return torch.sigmoid(slope * logits.double() + intercept).mean(0)


def resampled(decomposition: Decomposition) -> Tensor:
    """The eigenpatches as the network sees them, shape (k, 1, 25, 25), float32.

    Bilinear, each scaled to unit largest magnitude.
    """
    eigenpatches = torch.from_numpy(decomposition.eigenpatches.astype(np.float32))[:, None]
    sized = functional.interpolate(
        eigenpatches, size=(INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False
    )
    largest = sized.abs().amax(dim=(2, 3), keepdim=True)
    return sized / largest.clamp_min(torch.finfo(torch.float32).tiny)


def inputs_of(decomposition: Decomposition, names: Sequence[str]) -> Tensor:
    """What the dense layers see beside the eigenpatches, shape (k, i), float32."""
    if tuple(names) == PAPER.inputs:  # spares the Fourier transforms
        columns = [decomposition.relative_singular_values]
    else:
        found = features(decomposition)
        columns = [found[name] for name in names]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


class Classifier:
    """Utilities of eigenpatches, by a trained network.

    Parameters
    ----------
    network : EigenpatchNet
    threshold : float
        Utility from which an eigenpatch is kept, calibrated with the weights.
    identity : str
        Name and SHA-256 of the weights, for the report.
    scan_noise : {"keep", "remove"}
        The decision that the network was trained for.
    card : mapping
        What the weights' file says of their making.
    """

    def __init__(
        self,
        network: EigenpatchNet,
        *,
        threshold: float,
        identity: str,
        scan_noise: ScanNoise = "keep",
        card: Mapping[str, Any],
    ) -> None:
        self.threshold = threshold
        self.identity = identity
        self.scan_noise = scan_noise
        self.card = card
        self.method = str(card.get("method", "paper"))  # whose decompositions it was trained on
        self._network = network.eval()

    @torch.inference_mode()
    def __call__(self, decomposition: Decomposition) -> NDArray[np.float64]:
        """Utilities in [0, 1], shape (k,)."""
        names = self._network.architecture.inputs
        utilities: NDArray[np.float64] = self._network.probabilities(
            resampled(decomposition), inputs_of(decomposition, names)
        ).numpy()
        return utilities


def load_classifier(
    path: str | Path | None = None, *, scan_noise: ScanNoise = "keep"
) -> Classifier:
    """Load trained weights.

    Parameters
    ----------
    path : path, optional
        A safetensors file written by ``reucid train``; by default the bundled weights.
    scan_noise : {"keep", "remove"}
        Whether row offsets and row jitter are data or artefact (paper, "Discussion").

    Returns
    -------
    Classifier
        A callable for the `classify` argument of `reucid_core.denoise`.

    Raises
    ------
    ModelError
        When the file is missing, damaged or of another kind.
    """
    path = Path(path) if path is not None else BUNDLED
    if scan_noise not in get_args(ScanNoise):
        raise ModelError(f"got scan_noise {scan_noise!r}, expected keep or remove")
    tensors, card = _read(path)
    if card.get("format") != FORMAT:
        raise ModelError(f"{path.name} holds format {card.get('format')!r}, expected {FORMAT!r}")
    prefix = f"{scan_noise}."
    try:
        network = EigenpatchNet(Architecture.of(card))
        network.load_state_dict(
            {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        )
        threshold = float(card["thresholds"][scan_noise])
    except (ModelError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path.name} does not fit {FORMAT}: {error}") from error
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise ModelError(f"{path.name} holds weights that are not finite")
    if not 0 <= threshold <= 1:
        raise ModelError(f"{path.name} holds threshold {threshold}, expected 0 to 1")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Classifier(
        network,
        threshold=threshold,
        identity=f"{path.stem}@sha256:{digest}",
        scan_noise=scan_noise,
        card=card,
    )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and model card of a safetensors file; the card is JSON in its metadata."""
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {}).get("card", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, card  # noqa: SIM118
    except FileNotFoundError as error:
        raise ModelError(f"no classifier weights at {path}") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path.name} is not a readable safetensors file: {error}") from error
