"""The step that sizes the patches may be swapped."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reucid_core import DenoiseParams, ParameterError, denoise, denoise_frames, patch_size_rules
from reucid_core.psf import find_patch_size
from tests.support.strategies import Float64Image, blob_lattice, keep_first

METHODS = ("paper", "two-scale")
METHOD = pytest.mark.parametrize("method", METHODS)


def micrograph(
    seed: int = 0, *, shape: tuple[int, int] = (96, 112), next_pixel: float = 0.0
) -> Float64Image:
    """A lattice under noise, which may be correlated along the rows."""
    rng = np.random.default_rng(seed)
    clean = blob_lattice(shape, period=12, sigma=2)
    noise = 0.3 * clean.std() * rng.normal(size=clean.shape)
    for column in range(1, noise.shape[1]):
        noise[:, column] += next_pixel * noise[:, column - 1]
    return clean + noise


def seven(_: NDArray[Any]) -> int:
    return 7


@METHOD
def test_a_function_gives_the_patch_size_and_the_report_names_it(method: str) -> None:
    image = micrograph()
    by_rule = denoise(image, DenoiseParams(method=method, patch_size=seven))  # type: ignore[arg-type]
    stated = denoise(image, DenoiseParams(method=method, patch_size=7))  # type: ignore[arg-type]
    np.testing.assert_array_equal(by_rule.image, stated.image)
    assert by_rule.report.patch_size_origin == f"{__name__}.seven"
    assert stated.report.patch_size_origin == "given"


@METHOD
def test_a_function_gets_the_image_and_cannot_change_it(method: str) -> None:
    image = micrograph()
    before = image.copy()

    def rule(seen: NDArray[Any]) -> int:
        np.testing.assert_array_equal(seen, before)
        with pytest.raises(ValueError, match="read-only"):
            seen[0, 0] = 9
        return int(np.int64(5))

    denoise(image, DenoiseParams(method=method, patch_size=rule))  # type: ignore[arg-type]
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("engine", ["exact", "stacked"])
def test_named_the_autocorrelation_does_what_it_does_by_default(engine: str) -> None:
    image = micrograph()
    stated: dict[str, Any] = {"method": "paper", "engine": engine}
    named = denoise(image, DenoiseParams(patch_size_from="autocorrelation", **stated))
    default = denoise(image, DenoiseParams(**stated))
    np.testing.assert_array_equal(named.image, default.image)
    assert named.report.patch_size_origin == default.report.patch_size_origin == "minimum"


def test_two_scales_have_the_rule_s_patches_where_one_is_named() -> None:
    image = micrograph()
    report = denoise(image, DenoiseParams(patch_size_from="autocorrelation")).report
    assert report.method == "two-scale"
    assert report.patch_size_origin == "autocorrelation"
    middle = image[patch_size_rules.fast_middle(image.shape)]
    assert report.patch_size == find_patch_size(middle).size


@pytest.mark.parametrize("next_pixel", [0.0, 0.6])
def test_the_information_limit_s_patch_is_as_wide_as_its_disc(next_pixel: float) -> None:
    report = denoise(
        micrograph(shape=(160, 144), next_pixel=next_pixel),
        DenoiseParams(patch_size_from="information-limit"),
    ).report
    assert report.noise is not None
    assert report.noise.information_limit is not None
    assert abs(report.patch_size - 2.44 / report.noise.information_limit) <= 1
    assert report.patch_size_origin == "information-limit"


def test_joint_frames_have_the_first_one_s() -> None:
    frames = [micrograph(0), micrograph(1)]
    seen = []

    def rule(image: NDArray[Any]) -> int:
        seen.append(image.copy())
        return 9

    params = DenoiseParams(method="paper", patch_size=rule)
    results = list(denoise_frames(frames, params, classify=keep_first(3), joint=True))
    assert [result.report.patch_size for result in results] == [9, 9]
    np.testing.assert_array_equal(np.stack(seen), frames[:1])


@METHOD
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (10, "even"),
        (97, "expected an odd integer from 3 to 95 px"),
        (1, "gave 1"),
        (-7, "gave -7"),
        (7.0, "gave 7.0"),
        (True, "gave True"),
        (None, "gave None"),
        ("7", "gave 7"),
    ],
)
def test_what_is_no_size_is_refused_in_words(given: Any, said: str, method: str) -> None:
    image = micrograph()[:95]
    params = DenoiseParams(method=method, patch_size=lambda _: given)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=said) as refused:
        denoise(image, params)
    assert "<lambda>" in str(refused.value)
    assert refused.value.field == "patch_size"


def test_what_a_function_raises_is_its_caller_s() -> None:
    def rule(_: NDArray[Any]) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        denoise(micrograph(), DenoiseParams(patch_size=rule))


def test_a_rule_or_a_size() -> None:
    with pytest.raises(ParameterError, match="one of both"):
        DenoiseParams(patch_size=7, patch_size_from="autocorrelation")


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ParameterError, match="autocorrelation, information-limit"):
        denoise(micrograph(), DenoiseParams(patch_size_from="os:system"))


def test_without_a_limit_the_rule_says_so() -> None:
    with pytest.raises(ParameterError, match="no noise can be told"):
        denoise(np.full((40, 40), 3.0), DenoiseParams(patch_size_from="information-limit"))


def broken(_: NDArray[Any]) -> int:
    raise RuntimeError("out of order")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As packages beside this one would: entry points, one of which would take a bundled name."""
    found = [
        EntryPoint(name, f"{__name__}:{value}", patch_size_rules.GROUP)
        for name, value in (
            ("seven", "seven"),
            ("broken", "broken"),
            ("gone", "no_such"),
            ("autocorrelation", "seven"),
        )
    ]
    monkeypatch.setattr(patch_size_rules, "entry_points", lambda **_: found)
    patch_size_rules._installed.cache_clear()
    yield
    patch_size_rules._installed.cache_clear()


@pytest.mark.usefixtures("installed")
def test_installed_rules_are_used_by_name() -> None:
    report = denoise(micrograph(), DenoiseParams(patch_size_from="seven")).report
    assert (report.patch_size, report.patch_size_origin) == (7, "seven")
    assert patch_size_rules.names() == [
        "autocorrelation",
        "information-limit",
        "broken",
        "gone",
        "seven",
    ]
    bundled = denoise(
        micrograph(), DenoiseParams(method="paper", patch_size_from="autocorrelation")
    )
    assert bundled.report.patch_size_origin == "minimum"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "said"), [("broken", "RuntimeError: out of order"), ("gone", "AttributeError")]
)
def test_an_installed_rule_that_fails_is_named(name: str, said: str) -> None:
    with pytest.raises(ParameterError, match=f"{name} failed: {said}"):
        denoise(micrograph(), DenoiseParams(patch_size_from=name))
