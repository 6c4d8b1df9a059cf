"""How the pixels of a TIFF may be compressed."""

from worker.formats.errors import FormatError

UNCOMPRESSED = 1
CODECS = {
    UNCOMPRESSED: "none",
    5: "LZW",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    34925: "LZMA",
    50000: "Zstandard",
}
REFUSED = {
    2: "CCITT RLE",
    3: "CCITT fax 3",
    4: "CCITT fax 4",
    6: "JPEG",
    7: "JPEG",
    9: "JBIG",
    10: "JBIG",
    99: "JPEG",
    22610: "JPEG XR",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    33007: "JPEG",
    34661: "JBIG",
    34676: "SGI Log",
    34677: "SGI Log",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "JPEG",
    34927: "WebP",
    34933: "PNG",
    34934: "JPEG XR",
    48124: "Jetraw",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
    65000: "EER",
    65001: "EER",
    65002: "EER",
}


def check_codec(codec: int) -> None:
    """Refuse a codec that is not accepted.

    Raises
    ------
    FormatError
    """
    if codec not in CODECS:
        raise FormatError(
            "unsupported_format",
            f"got a TIFF with compression {codec} ({REFUSED.get(codec, 'unknown')}), expected one "
            f"of {', '.join(sorted(set(CODECS.values())))}: save it without compression",
        )
