"""The napari plugin: on a layer's stand-in, and in a viewer, where napari is installed."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reucid_client import Client
from reucid_client import napari as plugin
from tests.client.test_client import image
from tests.support.inprocess import Api

in_napari = pytest.mark.skipif(
    find_spec("napari") is None, reason="needs napari (pip install 'reucid-client[napari]')"
)


def layer(pixels: Any, **stated: Any) -> Any:
    """What the plugin asks of a layer."""
    plain = {"name": "a/b", "data": pixels, "multiscale": False, "rgb": False}
    return SimpleNamespace(**plain | stated)


def test_both_layers_lie_where_the_image_does(client: Client) -> None:
    noisy = image(61)
    place = {"scale": (0.2, 0.3), "translate": (5.0, -1.0), "units": ("nm", "nm")}
    source = layer(noisy, **place)
    result = client.denoise(plugin.pixels_of(source), patch_size=5, method="paper")
    denoised, residual = plugin.layers_of(source.name, plugin.place_of(source), result)
    np.testing.assert_allclose(denoised[0] + residual[0], noisy, rtol=1e-5)
    for _, meta, kind in (denoised, residual):
        assert (kind, {name: meta[name] for name in place}) == ("image", place)
        assert meta["metadata"]["reucid"]["job"] == result.job.id
    assert (denoised[1]["name"], residual[1]["name"]) == ("a/b denoised", "a/b residual")
    low, high = residual[1]["contrast_limits"]
    assert low == -high
    assert low <= residual[0].min() <= residual[0].max() <= high


def test_of_several_resolutions_the_finest_is_taken() -> None:
    noisy = image(62)
    pixels = plugin.pixels_of(layer([noisy, noisy[::2, ::2]], multiscale=True))
    np.testing.assert_array_equal(pixels, noisy)


@pytest.mark.parametrize(
    "wrong",
    [layer(np.zeros((4, 5, 3)), rgb=True), layer(np.zeros((2, 2, 4, 5))), layer(np.zeros(7))],
)
def test_what_is_no_image_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"'a/b'.*expected an image"):
        plugin.pixels_of(wrong)


def test_the_manifest_names_what_there_is() -> None:
    told = Path(plugin.__file__).with_name("napari.yaml").read_text()
    names = [line.split(":", 1)[1].strip() for line in told.splitlines() if "python_name" in line]
    assert names == ["reucid_client.napari:denoise_widget"]
    assert callable(plugin.denoise_widget)


@in_napari
@pytest.mark.filterwarnings("ignore")  # napari's own, and Qt's
def test_in_napari_without_a_screen(api: Api, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the window, which needs OpenGL: layers, the widget, and its worker in Qt's loop."""
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QApplication

    running = QApplication.instance() or QApplication([])
    viewer, noisy = ViewerModel(), image(63)
    source = viewer.add_image(noisy, name="si", scale=(0.5, 0.25), translate=(3, 4))
    widget = plugin.denoise_widget()
    assert {"viewer", "image", "server", "key", "method"} <= set(widget.asdict())
    assert widget.method.choices == plugin.METHODS
    widget.viewer.bind(viewer)
    widget.image.bind(source)
    widget.server.value, widget.key.value, widget.method.value = api.url, key, "paper"
    widget()
    end = time.monotonic() + 60
    while len(viewer.layers) < 3 and time.monotonic() < end:
        running.processEvents()
    assert [each.name for each in viewer.layers] == ["si", "si denoised", "si residual"]
    _, denoised, residual = viewer.layers
    np.testing.assert_allclose(denoised.data + residual.data, noisy, rtol=1e-5)
    for each in (denoised, residual):
        np.testing.assert_array_equal(each.scale, source.scale)
        np.testing.assert_array_equal(each.translate, source.translate)
        assert each.units == source.units
    assert denoised.metadata["reucid"]["verdict"]
