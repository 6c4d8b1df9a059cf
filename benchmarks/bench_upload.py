"""What an upload costs beside reading the file plainly: the whole way through the API to the 201.

Medians are what counts; the best of all says what they would be on a machine with nothing else to
do. Nothing heavy is imported at the top: children of the decoder import this script.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[1]))

FORMATS = {"tiff": ".tif", "png": ".png", "npy": ".npy", "mrc": ".mrc", "hspy": ".hspy"}
MOST_PIXELS = 2**28


def files(side: int, folder: Path) -> dict[str, Path]:
    """The same 16-bit micrograph in every format that can be written, TIFF also deflated."""
    import numpy as np
    import tifffile
    from bench_core import micrograph
    from PIL import Image

    from worker.contract import ImageInfo
    from worker.formats import write

    image = np.clip(micrograph(side) + 10, 0, 65535).astype(np.uint16)
    info = ImageInfo("tiff", image.shape, "uint16", (0.02, 0.02), "nm")
    made = {}
    for format_, suffix in FORMATS.items():
        made[format_] = folder / f"image{suffix}"
        if format_ == "png":
            Image.fromarray(image).save(made[format_])
        else:
            write(made[format_], image, info, format_, source=True)
    made["tiff deflated"] = folder / "deflated.tif"
    tifffile.imwrite(made["tiff deflated"], image, compression="zlib")
    return made


def times_ms(act: Callable[[int], object], count: int) -> tuple[float, float]:
    """Median and best time of a call, which is given its number; the first three do not count."""
    seconds = []
    for number in range(count + 3):
        start = time.perf_counter()
        act(number)
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds[3:]), 1e3 * min(seconds[3:])


def shown(times: tuple[float, float]) -> str:
    """Median and best, in a column."""
    return f"{times[0]:>7.1f} ({times[1]:>5.1f})"


def distinct(content: bytes, number: int) -> bytes:
    """The file with bytes after its end, so that no two have the same digest."""
    return content + number.to_bytes(8, "big") + b"\0" * 8


def compare(url: str, paths: Mapping[str, Path], count: int) -> None:
    """For each format: reading it here, and sending it."""
    import httpx

    from worker.formats.reading import read

    print(f"ms, {count} uploads of each format: median (best)")
    print(f"{'format':<16}{'bytes':>10}{'read':>16}{'upload':>16}{'more':>16}")
    with httpx.Client(base_url=f"{url}/v1", timeout=60) as client:
        for format_, path in paths.items():
            content = path.read_bytes()

            def upload(number: int, content: bytes = content) -> None:
                body = distinct(content, number + int(time.time() * 1e6) % 10**9 * 1000)
                response = client.post("/images", content=body)
                assert response.status_code == 201, response.text

            plain = times_ms(lambda _, path=path: read(path, max_pixels=MOST_PIXELS), count)
            sent = times_ms(upload, count)
            more = (sent[0] - plain[0], sent[1] - plain[1])
            print(f"{format_:<16}{len(content):>10}", *map(shown, (plain, sent, more)))


def parts(path: Path, count: int) -> None:
    """Where the time of an upload goes, each part alone."""
    from worker import store
    from worker.contract import FileInfo, ImageInfo
    from worker.decoding import apart, parent
    from worker.decoding.parent import Limits
    from worker.ledger.database import Database
    from worker.ledger.images import Images

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        files_, limits = store.FolderStore(root / "store"), Limits(MOST_PIXELS, 30.0)
        database = Database.open(f"sqlite:///{root}/ledger.sqlite")
        uploads: list[Path] = []
        apart.warm_up()

        def receive(_: int) -> None:
            uploads.append(files_.new_upload())
            shutil.copyfile(path, uploads[-1] / store.ORIGINAL)

        def decode(number: int) -> None:
            parent.decode(uploads[number] / store.ORIGINAL, uploads[number], limits)

        def accept(number: int) -> None:
            files_.accept(uploads[number], uuid4().hex)

        def enter(_: int) -> None:
            id_ = uuid4().hex
            info = ImageInfo("tiff", (512, 512), "uint16")
            Images(database).add(
                image_id=id_,
                owner="local",
                name="image",
                sha256=id_ * 2,
                size=1,
                info=FileInfo("tiff", (info,)),
            )

        for act in (receive, decode, accept, enter):
            print(f"  {act.__name__:<10}{shown(times_ms(act, count))}")
        database.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=30)
    parser.add_argument("--side", type=int, default=512, help="px")
    options = parser.parse_args()
    from bench_core import machine
    from bench_service import server

    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        paths = files(options.side, Path(folder))
        with server(1) as url:
            compare(url, paths, options.uploads)
        print("parts of an upload of TIFF, each alone, in ms:")
        parts(paths["tiff"], options.uploads)


if __name__ == "__main__":
    main()
