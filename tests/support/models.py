"""Files of classifiers, made of the bundled one."""

import json
from pathlib import Path

from worker.denoising.model_files import DEFAULT, SUFFIX, WEIGHTS

BUNDLED = WEIGHTS / f"{DEFAULT}{SUFFIX}"


def write_model(path: Path, **card: object) -> Path:
    """The bundled weights, with this in their card: another file, the same verdicts."""
    content = BUNDLED.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header["__metadata__"]
    metadata["card"] = json.dumps(json.loads(metadata["card"]) | card)
    changed = json.dumps(header).encode()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length :])
    return path


def spoil(path: Path) -> Path:
    """A number that is none among the weights."""
    content = path.read_bytes()
    path.write_bytes(content[:-4] + b"\xff\xff\xff\x7f")
    return path
