"""Noisy lattices, as files and in a ledger."""

from pathlib import Path
from uuid import uuid4

import numpy as np
import tifffile

from worker.contract import FileInfo, ImageInfo, ImageRecord
from worker.ledger.database import Database
from worker.ledger.images import Images
from worker.store import Store

OWNER = "someone"
PIXEL_SIZE = 0.02  # nm


def add_image(database: Database, store: Store | None = None, *, owner: str = OWNER) -> ImageRecord:
    """An accepted noisy lattice; without a store, its row alone."""
    image_id = uuid4().hex
    info = FileInfo("tiff", (ImageInfo("tiff", (320, 320), "uint16", (0.1, 0.1), "nm"),))
    if store is not None:
        rows, columns = np.mgrid[:320, :320]
        lattice = 20 + 10 * np.cos(rows / 2) * np.cos(columns / 2)
        upload = store.new_upload()
        (upload / "original").write_bytes(image_id.encode())
        np.save(upload / "pixels.npy", np.random.default_rng(1).poisson(lattice).astype(np.uint16))
        info = store.with_digests(upload, info)
        store.accept(upload, image_id)
    record, _ = Images(database).add(
        owner=owner,
        name="lattice.tif",
        sha256=image_id * 2,
        size=1,
        info=info,
        image_id=image_id,
    )
    return record


def write_input(path: Path, frames: int | None = None) -> None:
    """A noisy lattice with pixels of 0.02 nm x 0.03 nm; or a stack of them, ever dimmer."""
    rows, columns = np.mgrid[:56, :64]
    lattice = 40 + 20 * np.cos(2 * np.pi * rows / 9) + 20 * np.cos(2 * np.pi * columns / 11)
    doses = np.linspace(1, 0.7, frames or 1)[:, None, None]
    pixels = np.random.default_rng(4).poisson(doses * lattice).astype(np.uint16)
    tifffile.imwrite(
        path,
        pixels if frames else pixels[0],
        imagej=True,
        resolution=(1 / 0.03, 1 / 0.02),
        metadata={"unit": "nm", "axes": "TYX" if frames else "YX"},
    )
