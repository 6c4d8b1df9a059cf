"""What an upload costs beside reading the file plainly, from the request to the 201."""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import tifffile
from bench_core import machine, micrograph
from bench_service import server

sys.path.insert(0, str(Path(__file__).parents[1]))

from worker import decoder, store
from worker.contract import (
    FileInfo,
    ImageInfo,
)
from worker.decoder import Limits
from worker.formats import write
from worker.formats.reading import read
from worker.ledger import Ledger

FORMATS = {"tiff": ".tif", "png": ".png", "npy": ".npy", "mrc": ".mrc", "hspy": ".hspy"}
MOST_PIXELS = 2**28


def files(side: int, folder: Path) -> dict[str, Path]:
    """The same 16-bit micrograph in every format that can be written, TIFF also deflated."""
    image = np.clip(micrograph(side) + 10, 0, 65535).astype(np.uint16)
    info = ImageInfo("tiff", image.shape, "uint16", (0.02, 0.02), "nm")
    made = {}
    for format_, suffix in FORMATS.items():
        made[format_] = folder / f"image{suffix}"
        if format_ == "png":
            from PIL import Image

            Image.fromarray(image).save(made[format_])
        else:
            write(made[format_], image, info, format_, source=True)
    made["tiff deflated"] = folder / "deflated.tif"
    tifffile.imwrite(made["tiff deflated"], image, compression="zlib")
    return made


def median_ms(act: Callable[[int], object], count: int) -> float:
    """Median time of a call, which is given its number; the first three are not counted."""
    seconds = []
    for number in range(count + 3):
        start = time.perf_counter()
        act(number)
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds[3:])


def distinct(content: bytes, number: int) -> bytes:
    """The file with bytes after its end, so that no two have the same digest."""
    return content + number.to_bytes(8, "big") + b"\0" * 8


def compare(url: str, paths: Mapping[str, Path], count: int) -> None:
    """For each format: reading it here, and sending it."""
    print(
        f"{'format':<16}{'bytes':>10}{'read':>8}{'upload':>8}{'more':>8}   (ms, median of {count})"
    )
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as client:
        for format_, path in paths.items():
            content = path.read_bytes()

            def upload(number: int, content: bytes = content) -> None:
                body = distinct(content, number + int(time.time() * 1e6) % 10**9 * 1000)
                response = client.post("/images", content=body)
                assert response.status_code == 201, response.text

            plain = median_ms(lambda _, path=path: read(path, max_pixels=MOST_PIXELS), count)
            sent = median_ms(upload, count)
            print(f"{format_:<16}{len(content):>10}{plain:>8.1f}{sent:>8.1f}{sent - plain:>8.1f}")


def parts(path: Path, count: int) -> None:
    """Where the time of an upload goes, each part alone."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        files_, limits = store.Store(root / "store"), Limits(MOST_PIXELS, 30.0)
        ledger = Ledger.open(f"sqlite:///{root}/ledger.sqlite")
        uploads: list[Path] = []
        decoder.warm_up()

        def receive(_: int) -> None:
            uploads.append(files_.new_upload())
            shutil.copyfile(path, uploads[-1] / store.ORIGINAL)

        def decode(number: int) -> None:
            decoder.decode(uploads[number] / store.ORIGINAL, uploads[number], limits)

        def accept(number: int) -> None:
            files_.accept(uploads[number], uuid4().hex)

        def enter(_: int) -> None:
            id_ = uuid4().hex
            info = ImageInfo("tiff", (512, 512), "uint16")
            ledger.add_image(
                image_id=id_,
                owner="local",
                name="image",
                sha256=id_ * 2,
                size=1,
                info=FileInfo("tiff", (info,)),
            )

        for act in (receive, decode, accept, enter):
            print(f"  {act.__name__:<10}{median_ms(act, count):>8.1f}")
        ledger.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=30)
    parser.add_argument("--side", type=int, default=512, help="px")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        paths = files(options.side, Path(folder))
        with server(1) as url:
            compare(url, paths, options.uploads)
        print("parts of an upload of TIFF, each alone, in ms:")
        parts(paths["tiff"], options.uploads)


if __name__ == "__main__":
    main()
