"""Perceptually uniform colours for 256 grays, as palettes of red, green, blue.

The tables of van der Walt and Smith (2015), CC0.
"""

import numpy as np

# 64 colours each, in hex; those in between are interpolated.
_TABLES = {
    "viridis": (
        "44015446075a470d6047136548186a481d6f482374482878472d7b46327e453781443b84424086404588"
        "3e49893d4e8a3a538b38588c365c8d34608d32648e31688e2f6c8e2d708e2c738e2a778e297b8e277f8e"
        "26828e24868e238a8d218e8d20928c1f968b1f9a8a1f9e891fa18721a58523a98326ad812ab07f2fb47c"
        "35b7793bbb7542be714ac16d52c5695ac86465cb5e6ece5877d15381d34d8bd64695d840a0da39aadc32"
        "b5de2bc0df25cae11fd5e21adfe318eae51af4e61efde725"
    ),
    "inferno": (
        "00000402010a04031207051b0b072410092d150b371b0c41210c4a280b532f0a5b3609613d0965440a68"
        "4a0c6b510e6c59106e5f136e65156e6c186e721a6e781c6d7f1e6c85216b8c23699225689827669f2a63"
        "a52c60ab2f5eb1325ab73557bf3952c43c4eca404acf4446d44842d94d3dde5238e25734e65d2fea632a"
        "ed6925f06f20f3761bf57d15f78410f98b0bfa9407fb9b06fca309fcaa0ffcb216fbba1ffac228f9c932"
        "f7d13df5d949f4e156f2e865f1ef75f3f586f6fa96fcffa4"
    ),
    "magma": (
        "00000402010903031206051a0a08220e0b2b130d34180f3d1d114722115029115a2f116336106b3d0f71"
        "440f764a107952137c59157e5f187f651a806b1d81721f817822817e24828426818b2981912b81982d80"
        "9e2f7fa5317eab337cb2357bba3878c03a76c73d73cd4071d3436ed9466bdf4a68e44f64e95462ed5a5f"
        "f1605df4675cf66e5cf8765cfa7d5efb8560fc8e64fd9668fe9d6cfea571feac76feb47bfebb81fec287"
        "feca8dfed194fed89afde0a1fde7a9fceeb0fcf6b8fcfdbf"
    ),
}


def _palette(table: str) -> bytes:
    """256 colours through those of a table."""
    colours = np.frombuffer(bytes.fromhex(table), np.uint8).reshape(-1, 3)
    where = np.linspace(0, len(colours) - 1, 256)
    channels = [np.interp(where, np.arange(len(colours)), channel) for channel in colours.T]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8).tobytes()


COLORMAPS: dict[str, bytes | None] = {"gray": None} | {
    name: _palette(table) for name, table in _TABLES.items()
}
