"""HyperSpy signals keep their axes and metadata; skipped where HyperSpy is not installed."""

import numpy as np
import pytest

from reucid_client import Client
from reucid_client.hyperspy import denoise

pytest.importorskip("hyperspy", reason="needs the extra `interop`")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.mark.parametrize("shape", [(32, 40), (3, 32, 40)])
def test_a_signal_keeps_what_it_is(client: Client, shape: tuple[int, ...]) -> None:
    import hyperspy.api as hs

    noisy = np.random.default_rng(5).poisson(9, shape).astype(np.uint16)
    signal = hs.signals.Signal2D(noisy)
    signal.metadata.General.title = "a/b"
    for n, axis in enumerate(signal.axes_manager._axes):
        axis.scale, axis.offset, axis.units, axis.name = 0.1 * (n + 1), -2.0, "nm", f"axis {n}"
    made, rest = denoise(signal, client, residual=True, patch_size=5, method="paper")
    assert made.data.shape == shape
    np.testing.assert_allclose(made.data + rest.data, noisy, rtol=1e-5)
    for before, after in zip(signal.axes_manager._axes, made.axes_manager._axes, strict=True):
        assert before.get_axis_dictionary() == after.get_axis_dictionary()
    assert made.metadata.General.title == "a/b"
    assert len(made.metadata.REUCID.job) == 32
    assert "REUCID" not in signal.metadata
    np.testing.assert_array_equal(signal.data, noisy)


def test_spectra_are_refused(client: Client) -> None:
    import hyperspy.api as hs

    with pytest.raises(ValueError, match="expected images"):
        denoise(hs.signals.Signal1D(np.zeros((4, 50))), client)
