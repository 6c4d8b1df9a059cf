"""napari: an image layer in, the denoised one and what was taken from it out, in their places.

The plugin's manifest is `napari.yaml`; its widget is `Plugins > Denoise (REUCID)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reucid_client.exchange import Array
from reucid_client.synchronous import Client, Result

if TYPE_CHECKING:
    import napari.layers
    import napari.viewer

# Of a layer: where its pixels lie in the world, and how its axes are called.
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
METHODS = ("auto", "two-scale", "paper")
LayerData = tuple[Array, dict[str, Any], str]


def pixels_of(layer: Any) -> Array:
    """The image, or the stack of images, of an image layer.

    Parameters
    ----------
    layer : napari.layers.Image
        Of several resolutions, the finest is taken.

    Raises
    ------
    ValueError
        When it is in colour, or has other than 2 or 3 axes.
    """
    pixels = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    if layer.rgb or pixels.ndim not in (2, 3):
        colours = " in colour" if layer.rgb else ""
        raise ValueError(
            f"got the layer {layer.name!r} of shape {pixels.shape}{colours}, expected an image or "
            "a stack of images, in grey"
        )
    return pixels


def place_of(layer: Any) -> dict[str, Any]:
    """What a layer in the same place is made with: scale, offset, units and so on."""
    return {name: getattr(layer, name) for name in PLACE if hasattr(layer, name)}


def layers_of(name: str, place: Mapping[str, Any], result: Result) -> list[LayerData]:
    """The layers that a result is shown in: denoised, and above it, hidden, the residual.

    The residual's contrast is the same on both sides of 0, so that mid-grey is nothing taken away.
    """
    told = {"job": result.job.id, "verdict": list(result.verdict)}
    reach = float(np.abs(result.residual).max()) or 1.0
    return [
        (
            result.image,
            {**place, "name": f"{name} denoised", "metadata": {"reucid": told}},
            "image",
        ),
        (
            result.residual,
            {
                **place,
                "name": f"{name} residual",
                "metadata": {"reucid": told},
                "contrast_limits": (-reach, reach),
                "visible": False,
            },
            "image",
        ),
    ]


def denoise_widget() -> Any:
    """The widget of the plugin."""
    from magicgui import magic_factory

    made = magic_factory(
        _denoise,
        call_button="Denoise",
        method={"choices": METHODS},
        key={"label": "key", "tooltip": "If the server wants one; else REUCID_API_KEY is used."},
    )
    return made()


def _denoise(
    viewer: napari.viewer.Viewer,
    image: napari.layers.Image,
    server: str = "http://localhost:8000",
    key: str = "",
    method: str = "auto",
) -> Any:
    """Denoise a layer beside whatever else is done; what goes wrong is shown as napari does."""
    from napari.layers import Layer
    from napari.qt.threading import create_worker
    from napari.utils.notifications import show_info

    name, pixels, place = image.name, pixels_of(image), place_of(image)

    def work() -> Result:
        with Client(server, key or None) as client:
            return client.denoise(pixels, name=f"{name.replace('/', '-')}.npy", method=method)

    def show(result: Result) -> None:
        for data, meta, kind in layers_of(name, place, result):
            viewer.add_layer(Layer.create(data, meta, kind))
        show_info("\n".join(result.verdict))

    return create_worker(
        work, _connect={"returned": show}, _progress={"total": 0, "desc": f"denoising {name}"}
    )
