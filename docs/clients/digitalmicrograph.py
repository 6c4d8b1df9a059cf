"""Denoise the image in front on a REUCID server and show the result: DigitalMicrograph's Python.

Once, in DigitalMicrograph's own environment: ``pip install reucid-client``. Then open this file in
a script window, set SERVER and KEY, and execute it on the background thread.
"""

import DigitalMicrograph as DM  # noqa: N817  (as its own examples do)

from reucid_client import Client

SERVER, KEY = "http://localhost:8000", None


def main():
    """Send what is in front, wait, and show it denoised, with its calibration."""
    front = DM.GetFrontImage()
    with Client(SERVER, KEY) as client:
        result = client.denoise(front.GetNumArray().copy(), name=front.GetName() + ".npy")
    shown = DM.CreateImage(result.image.copy())
    shown.SetName("denoised " + front.GetName())
    for axis in range(2):
        shown.SetDimensionCalibration(axis, *front.GetDimensionCalibration(axis, 0), 0)
    shown.ShowImage()
    for sentence in result.verdict:
        DM.Result(sentence + "\n")


main()
