"""Files of classifiers, made of the bundled one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from worker.denoising.model_files import DEFAULT, SUFFIX, WEIGHTS

if TYPE_CHECKING:
    from reucid_core.classifier import Architecture

BUNDLED = WEIGHTS / f"{DEFAULT}{SUFFIX}"


def write_model(path: Path, **card: object) -> Path:
    """The bundled weights, with this in their card: another file, the same verdicts."""
    return write_card(path, json.dumps(bundled_card() | card))


def bundled_card() -> dict[str, object]:
    """The card of the bundled weights."""
    content = BUNDLED.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return dict(json.loads(header["__metadata__"]["card"]))


def write_card(path: Path, card: str) -> Path:
    """The bundled weights with a card of any text."""
    content = BUNDLED.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["card"] = card
    changed = json.dumps(header).encode()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length :])
    return path


def spoil(path: Path) -> Path:
    """A number that is none among the weights."""
    content = path.read_bytes()
    path.write_bytes(content[:-4] + b"\xff\xff\xff\x7f")
    return path


def write_random_model(path: Path, architecture: "Architecture | None" = None) -> Path:
    """Random weights, so that a test does not depend on trained ones."""
    import torch
    from safetensors.torch import save_file

    from reucid_core.classifier import FORMAT, PAPER, EigenpatchNet

    torch.manual_seed(1)
    card = {
        "format": FORMAT,
        "architecture": (architecture or PAPER).to_dict(),
        "thresholds": {"keep": 0.5, "remove": 0.5},
    }
    network = EigenpatchNet(architecture or PAPER).state_dict()
    tensors = {
        f"{each}.{name}": t.clone() for each in card["thresholds"] for name, t in network.items()
    }
    save_file(tensors, path, metadata={"card": json.dumps(card)})
    return path
