"""What a survey's folder says of itself, and where its files lie.

::

    survey.json                             the manifest
    page/index.html                         what respondents open; needs nothing outside of `page`
    page/<nn>/noisy.png, option-<mm>.png    what it shows, 8 bits
    images/<nn>/noisy.tif, alpha-<aa>.tif   the same as numbers, float32
    images/<nn>/decomposition.safetensors   what labels are made with

Folder `<nn>` is that of the nn-th image of the manifest; `option-<mm>` is the reconstruction with
as many eigenpatches as the mm-th number of its `order`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reucid_core.errors import SurveyError

MANIFEST = "survey.json"
PAGE = Path("page")


@dataclass(frozen=True)
class ImageEntry:
    """One micrograph of a survey."""

    image: str  # its file's name
    sha256: str  # of the file
    companions: dict[str, str]  # the same of the SER files of an EMI file, by name
    signal: int
    title: str
    frame: int | None
    shape: tuple[int, int]
    dtype: str
    pixel_size: tuple[float, float] | None
    unit: str | None
    patch_size: int
    patch_size_origin: str
    components: int  # in the decomposition
    order: list[int]  # numbers of eigenpatches, as the options are shown
    shown: tuple[float, float]  # intensities that the pictures show black and white
    decomposition_sha256: str


@dataclass(frozen=True)
class Manifest:
    """Everything that is needed to make labels of answers."""

    version: int
    blind: bool
    seed: int
    versions: dict[str, str]
    images: list[ImageEntry] = field(default_factory=list)


_manifest = TypeAdapter(Manifest)


def to_json(manifest: Manifest) -> bytes:
    """As it is stored."""
    return _manifest.dump_json(manifest, indent=1) + b"\n"


def load(folder: Path) -> Manifest:
    """The manifest of a survey's folder.

    Raises
    ------
    SurveyError
    """
    path = folder / MANIFEST
    try:
        return _manifest.validate_json(path.read_bytes())
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"{path}: {reason}: expected the folder that `reucid survey export` made"
        raise SurveyError(message) from error
    except ValidationError as error:
        first: Any = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SurveyError(
            f"{path}: damaged at {where or 'its beginning'}: {first['msg']}"
        ) from error


def pictures(n: int) -> Path:
    """Folder of the n-th image's pictures, from 1, in a survey's folder."""
    return PAGE / f"{n:02d}"


def numbers(n: int) -> Path:
    """Folder of the n-th image's arrays."""
    return Path("images") / f"{n:02d}"


def option_name(position: int) -> str:
    """The picture of an option, by its position on the page, from 1."""
    return f"option-{position:02d}.png"


def decomposition_of(n: int) -> Path:
    """The n-th image's decomposition."""
    return numbers(n) / "decomposition.safetensors"
