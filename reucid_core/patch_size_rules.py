"""Rules that give a patch size: bundled, installed beside this package, or a caller's own.

The paper's kernel-size step may be swapped. Other packages offer rules by entry points of the group
`reucid.patch_size`; only those of this installation have a name here.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from operator import index
from typing import Any

from numpy.typing import NDArray

from reucid_core.correlation import fast_middle
from reucid_core.eigenpatches import FloatArray
from reucid_core.errors import ParameterError
from reucid_core.image import as_working_image
from reucid_core.noise import estimate_noise
from reucid_core.params import MIN_PATCH_SIZE, DenoiseParams
from reucid_core.psf import clamped, find_patch_size

GROUP = "reucid.patch_size"
AUTOCORRELATION = "autocorrelation"
LOOKED_AT = 1024  # px, side of the middle of a large image that the bundled rules look at
AIRY = 2.44  # diameter of the first dark ring, in units of 1 / cut-off of an incoherent image


class UnknownRuleError(ParameterError):
    """No rule of that name is installed here."""


def by_autocorrelation(image: FloatArray) -> int:
    """The diameter of the point-spread function, as the paper finds it: `psf.find_patch_size`."""
    return find_patch_size(_middle(image)).size


def by_information_limit(image: FloatArray) -> int:
    """The diameter of the Airy disc whose cut-off is the information limit.

    Beyond that frequency `noise.estimate_noise` finds noise alone across the scan. It needs no
    feature of the autocorrelation, and scan noise does not reach it. Where the noise is strong the
    limit is below the microscope's own, and the patch larger.

    Raises
    ------
    ParameterError
        When no limit can be measured.
    """
    limit = estimate_noise([_middle(image)]).information_limit
    if not limit:
        raise ParameterError(
            "patch_size_from",
            "got information-limit, but in this image no noise can be told from signal: state a "
            f"patch size, or {AUTOCORRELATION}",
        )
    return clamped(AIRY / limit, image.shape)


BUNDLED: dict[str, Callable[[FloatArray], int]] = {
    AUTOCORRELATION: by_autocorrelation,
    "information-limit": by_information_limit,
}


@cache
def _installed() -> dict[str, EntryPoint]:
    """By name; what is bundled keeps its name."""
    return {each.name: each for each in entry_points(group=GROUP) if each.name not in BUNDLED}


def names() -> list[str]:
    """Of all rules of this installation."""
    return [*BUNDLED, *sorted(_installed())]


def check_name(name: str | None) -> None:
    """Refuse a name that no rule of this installation has; loads none.

    Raises
    ------
    UnknownRuleError
    """
    if name is not None and name not in BUNDLED and name not in _installed():
        raise UnknownRuleError(
            "patch_size_from", f"got {name[:200]!r}, expected one of {', '.join(names())}"
        )


def resolved(params: DenoiseParams, image: NDArray[Any]) -> tuple[DenoiseParams, str | None]:
    """The parameters with the patch size that their rule gives for an image, and the rule's name.

    As they are, and None, where they state a number or nothing.

    Parameters
    ----------
    params : DenoiseParams
    image : ndarray, shape (m, n)
        A rule gets it in the precision of the work, and cannot write to it.

    Raises
    ------
    ParameterError
        When there is no such rule, one that was named fails, or what it gives is no size for this
        image. What a caller's own function raises is not caught.
    """
    name = params.patch_size_rule
    if name is None or (name == AUTOCORRELATION and params.method == "paper"):
        return replace(params, patch_size_from=None), None
    view = as_working_image(image, params.precision).view()
    view.flags.writeable = False
    if callable(params.patch_size):
        given: Any = params.patch_size(view)
    else:
        given = _asked(name, view)
    size = _checked(given, name, image.shape)
    return replace(params, patch_size=size, patch_size_from=None), name


def _asked(name: str, image: FloatArray) -> Any:
    """What the rule of a name gives."""
    check_name(name)
    try:
        rule = BUNDLED[name] if name in BUNDLED else _installed()[name].load()
        return rule(image)
    except ParameterError:
        raise
    except Exception as error:
        message = f"{name} failed: {type(error).__name__}: {error}"
        raise ParameterError("patch_size_from", message[:500]) from error


def _checked(given: Any, name: str, shape: tuple[int, ...]) -> int:
    """What a rule gave, if it is a patch size for an image of a shape."""
    largest = min(shape)
    expected = f"expected an odd integer from {MIN_PATCH_SIZE} to {largest} px for an image of "
    expected += f"{shape[0]} x {shape[1]} px"
    try:
        size = -1 if isinstance(given, bool) else index(given)
    except TypeError:
        size = -1
    if not MIN_PATCH_SIZE <= size <= largest:
        raise ParameterError("patch_size", f"{name} gave {str(given)[:80]}, {expected}")
    if size % 2 == 0:
        message = f"{name} gave {size}, which is even, {expected}: a patch needs a centre"
        raise ParameterError("patch_size", message)
    return size


def _middle(image: FloatArray) -> FloatArray:
    starts = [max(0, (side - LOOKED_AT) // 2) for side in image.shape]
    part = image[tuple(slice(start, start + LOOKED_AT) for start in starts)]
    return part[fast_middle(part.shape)]
