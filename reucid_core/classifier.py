"""The classifier of eigenpatches: the CNN of the paper's Fig. 3 and its weights.

The only run-time module that imports torch. It sees a `Decomposition`, never a pixel.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from reucid_core.eigenpatches import Decomposition
from reucid_core.errors import ModelError
from reucid_core.params import ScanNoise

ARCHITECTURE = "reucid-fig3"
INPUT_SIZE = 25  # px, the side every eigenpatch is resampled to
BUNDLED = Path(__file__).parent / "weights" / "paper.safetensors"


class EigenpatchNet(nn.Module):
    """The network of Fig. 3: utility logits of resampled eigenpatches.

    The text calls the second convolution's output "flattened", the figure averages it over each
    channel; only the figure yields the 16 inputs that FC3 has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 14, kernel_size=5, padding=1)
        self.conv2 = nn.Conv2d(14, 15, kernel_size=3, padding=1)
        self.fc3 = nn.Linear(15 + 1, 16)
        self.fc4 = nn.Linear(16, 1)

    def forward(self, eigenpatches: Tensor, eigenvalues: Tensor) -> Tensor:
        """Logits, shape (k,), of eigenpatches (k, 1, 25, 25) and relative eigenvalues (k,)."""
        # ELU increases, so it may follow the pooling: the same numbers from a quarter of the ELUs.
        x = functional.elu(functional.max_pool2d(self.conv1(eigenpatches), 2))  # (k, 14, 11, 11)
        x = functional.elu(functional.max_pool2d(self.conv2(x), 2))  # (k, 15, 5, 5)
        x = torch.cat([x.mean(dim=(2, 3)), eigenvalues[:, None]], dim=1)  # (k, 16)
        logits: Tensor = self.fc4(functional.elu(self.fc3(x)))
        return logits[:, 0]


def network_input(decomposition: Decomposition) -> tuple[Tensor, Tensor]:
    """What the network sees of a decomposition.

    Returns
    -------
    eigenpatches : Tensor, shape (k, 1, 25, 25), float32
        Resampled bilinearly, each scaled to unit largest magnitude.
    eigenvalues : Tensor, shape (k,), float32
        s_k / s_0.
    """
    eigenpatches = torch.from_numpy(decomposition.eigenpatches.astype(np.float32))[:, None]
    resampled = functional.interpolate(
        eigenpatches, size=(INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False
    )
    largest = resampled.abs().amax(dim=(2, 3), keepdim=True)
    scaled = resampled / largest.clamp_min(torch.finfo(torch.float32).tiny)
    eigenvalues = decomposition.relative_singular_values.astype(np.float32)
    return scaled, torch.from_numpy(eigenvalues)


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
        self._network = network.eval()

    @torch.inference_mode()
    def __call__(self, decomposition: Decomposition) -> NDArray[np.float64]:
        """Utilities in [0, 1], shape (k,).

        The sign of an eigenpatch is arbitrary: the utility is the mean over both.
        """
        eigenpatches, eigenvalues = network_input(decomposition)
        logits = self._network(
            torch.cat([eigenpatches, -eigenpatches]), torch.cat([eigenvalues, eigenvalues])
        )
        utilities: NDArray[np.float64] = (
            torch.sigmoid(logits.double()).reshape(2, -1).mean(0).numpy()
        )
        return utilities


def load_classifier(
    path: str | Path | None = None, *, scan_noise: ScanNoise = "keep"
) -> Classifier:
    """Load trained weights.

    Parameters
    ----------
    path : path, optional
        A safetensors file written by `reucid_core.training`; by default the bundled weights.
    scan_noise : {"keep", "remove"}
        Whether row offsets and row jitter are data or artefact (paper, "Discussion"); one network
        so far serves both.

    Returns
    -------
    Classifier
        A callable for the `classify` argument of `reucid_core.denoise`.

    Raises
    ------
    ModelError
        When the file is missing, damaged or of another architecture.
    """
    path = Path(path) if path is not None else BUNDLED
    tensors, card = _read(path)
    if card.get("architecture") != ARCHITECTURE:
        raise ModelError(
            f"{path.name} holds architecture {card.get('architecture')!r}, expected "
            f"{ARCHITECTURE!r}"
        )
    network = EigenpatchNet()
    try:
        network.load_state_dict(tensors)
        threshold = float(card["threshold"])
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path.name} does not fit {ARCHITECTURE}: {error}") from error
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise ModelError(f"{path.name} holds weights that are not finite")
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
