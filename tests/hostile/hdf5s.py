"""HDF5 (NCEM EMD, Velox EMD, HSPY): what reaches out of the file, never ends, or explodes."""

import io
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from tests.hostile.cases import SHAPE, Canary, Case, Valid, image

Place = Callable[[h5py.File], h5py.Group]  # makes the group in which a reader looks for `data`


def hdf5(write: Callable[[h5py.File], object], **options: Any) -> bytes:
    """A file in memory."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        write(file)
    return buffer.getvalue()


def ncem(file: h5py.File) -> h5py.Group:
    """The group of an image in Berkeley's EMD."""
    file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
    group = file.create_group("data/image")
    group.attrs["emd_group_type"] = 1
    for number, (name, size) in enumerate(zip("yx", SHAPE, strict=True), start=1):
        axis = group.create_dataset(f"dim{number}", data=np.arange(size) * 0.1)
        axis.attrs["name"], axis.attrs["units"] = name, "[n_m]"
    return group


def hspy(file: h5py.File) -> h5py.Group:
    """The group of an image in HyperSpy's layout."""
    file.attrs["file_format"], file.attrs["file_format_version"] = "HyperSpy", "3.3"
    group = file.create_group("Experiments/image")
    for number, (name, size) in enumerate(zip("yx", SHAPE, strict=True)):
        axis = group.create_group(f"axis-{number}")
        axis.attrs.update(
            {"_type": "UniformDataAxis", "name": name, "units": "nm", "size": size}
            | {"scale": 0.1, "offset": 0.0, "navigate": False, "is_binned": False}
        )
    signal = group.create_group("metadata/Signal")
    signal.attrs["signal_type"] = ""
    group.create_group("metadata/General").attrs["title"] = "image"
    group.create_group("original_metadata")
    group.create_group("learning_results")
    group.attrs["package"], group.attrs["package_version"] = "hyperspy", "2.0"
    return group


def array(file: h5py.File) -> h5py.Group:
    """The group of an array in a file of no known kind."""
    return file.create_group("lattice/image")


PLACES: dict[str, Place] = {"ncem": ncem, "hspy": hspy, "array": array}


def _valid(place: Place) -> bytes:
    return hdf5(lambda file: place(file).create_dataset("data", data=image(), compression="gzip"))


def valid() -> Iterator[Valid]:
    """An NCEM EMD and an HSPY file; a boundary wherever an object of the library begins."""
    for name, place in PLACES.items():
        content = _valid(place)
        marks = (b"TREE", b"SNOD", b"HEAP", b"OHDR", b"FRHP", b"BTHD", b"GCOL")
        found = {content.find(mark, start) for mark in marks for start in range(0, 9000, 700)}
        yield Valid(name, content, [4, 8, 16, 48, 96, *sorted(found - {-1})])


def cases(canary: Canary) -> Iterator[Case]:
    """Everything but truncation and mutation, as far as possible in both layouts."""
    for name, place in PLACES.items():
        for case in _in_place(place, canary):
            yield Case(f"{name}-{case.name}", case.content, case.why)
    yield from _trees()
    yield from _shells(canary)
    yield from _arrays()


def _arrays() -> Iterator[Case]:
    """Of files of no known kind, all of whose arrays count."""

    def many(file: h5py.File) -> None:
        for number in range(65):
            file[f"array-{number}"] = image()

    yield Case("array-65", hdf5(many), "more arrays than signals may be")

    def together(file: h5py.File) -> None:
        for number in range(40):
            file.create_dataset(f"array-{number}", (2**12, 2**11), "u1", chunks=(2**8, 2**8))

    yield Case("array-40-unwritten", hdf5(together), "arrays that are too many pixels together")
    deep = hdf5(lambda file: file.create_dataset("/".join(["a"] * 40), data=image()))
    yield Case("array-40-deep", deep, "an array in groups nested 40 deep")

    def beside(file: h5py.File) -> None:
        file["image"] = image()
        file["link"] = h5py.SoftLink("/image")

    yield Case("array-beside-link", hdf5(beside), "a link beside an array")
    few = hdf5(lambda file: file.create_dataset("positions", data=np.ones((90, 2))))
    yield Case("array-of-positions", few, "an array that is too narrow for an image")


def _in_place(place: Place, canary: Canary) -> Iterator[Case]:
    yield from _outside(place, canary)
    yield from _sizes(place)
    yield from _kinds(place)
    yield from _links(place)


def _outside(place: Place, canary: Canary) -> Iterator[Case]:
    for name, path in (("absolute", str(canary.hdf5)), ("relative", f"../../{canary.hdf5.name}")):
        link = h5py.ExternalLink(path, "/data")
        linked = hdf5(lambda file, link=link: place(file).__setitem__("data", link))
        yield Case(f"external-link-{name}", linked, "a link to another file")
        source = h5py.VirtualSource(path, "data", shape=SHAPE, dtype="<u2")
        layout = h5py.VirtualLayout(SHAPE, "<u2")
        layout[:] = source
        virtual = hdf5(
            lambda file, layout=layout: place(file).create_virtual_dataset("data", layout)
        )
        yield Case(f"virtual-{name}", virtual, "pixels of another file")
    for name, path in (
        ("absolute", str(canary.raw)),
        ("relative", f"../../{canary.raw.name}"),
        ("passwd", "/etc/passwd"),
        ("environment", "/proc/self/environ"),
        ("endless", "/dev/zero"),
    ):
        external = hdf5(lambda file, path=path: _external(place(file), path))
        yield Case(f"external-storage-{name}", external, "pixels that lie in any file")
    group = hdf5(lambda file: _linked_group(place(file), canary))
    yield Case("external-metadata", group, "metadata that lie in another file")


def _external(group: h5py.Group, path: str) -> None:
    group.create_dataset("data", SHAPE, "<u2", external=[(path, 0, 2 * SHAPE[0] * SHAPE[1])])


def _linked_group(group: h5py.Group, canary: Canary) -> None:
    group["data"] = image()
    group["original_metadata/other" if "original_metadata" in group else "other"] = (
        h5py.ExternalLink(str(canary.hdf5), "/")
    )


def _sizes(place: Place) -> Iterator[Case]:
    def make(**options: Any) -> bytes:
        return hdf5(lambda file: place(file).create_dataset("data", **options))

    yield Case("2-TiB", make(shape=(2**20, 2**20), dtype="<u2"), "2 TiB that were never written")
    yield Case("2**62", make(shape=(2**31, 2**31), dtype="u1"), "2**62 bytes never written")
    chunks = (2**13, 9 * 2**9)
    zeros = np.zeros(chunks, np.uint16)
    bomb = {"compression": "gzip", "compression_opts": 6}
    yield Case("bomb", make(data=zeros, chunks=chunks, **bomb), "75 kB are 72 MiB")
    large = make(shape=(2**15, 2**15), dtype="<u2", chunks=(2**14, 2**14), **bomb)
    yield Case("large-chunks", large, "chunks of 512 MiB, never written")
    twice = hdf5(lambda file: _deflated_twice(place(file)))
    yield Case("deflated-twice", twice, "1 kB that is 1 MB that is 1 GB")
    yield Case("no-pixels", make(shape=(0, 20), dtype="<u2"), "no pixels")
    yield Case("a-number", make(data=np.uint16(7)), "a number for an image")
    yield Case("four-dimensions", make(data=np.ones((2, 2, 24, 20), np.uint16)), "four dimensions")
    empty = hdf5(lambda file: place(file).create_dataset("data", data=h5py.Empty("<u2")))
    yield Case("null-space", empty, "a dataset without space")
    rng = np.random.default_rng(2)
    runs = np.repeat(rng.integers(0, 9, 4, np.uint16), 9 * 2**20).reshape(2**13, 9 * 2**9)
    yield Case("bomb-of-runs", make(data=runs, chunks=(2**10, 9 * 2**9), **bomb), "bomb in chunks")


def _deflated_twice(group: h5py.Group) -> None:
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk(SHAPE)
    creation.set_deflate(9)
    creation.set_deflate(9)
    space = h5s.create_simple(SHAPE)
    dataset = h5d.create(group.id, b"data", h5t.STD_U16LE, space, dcpl=creation)
    once = zlib.compress(bytes(2**26), 9)
    dataset.write_direct_chunk((0, 0), zlib.compress(once * 16, 9))


def _kinds(place: Place) -> Iterator[Case]:
    def make(data: Any, dtype: Any = None) -> bytes:
        return hdf5(lambda file: place(file).create_dataset("data", data=data, dtype=dtype))

    yield Case("complex", make(np.ones(SHAPE, complex)), "complex numbers")
    yield Case("nan", make(np.full(SHAPE, np.nan)), "all NaN")
    yield Case("text", make([["a"] * 20] * 24, h5py.string_dtype()), "texts for pixels")
    lists = np.empty(SHAPE, object)
    lists[:] = [[np.arange(3)] * 20] * 24
    yield Case("lists", make(lists, h5py.vlen_dtype(np.int32)), "lists for pixels")
    record = np.zeros(SHAPE, [("a", "<u2"), ("b", "<f4")])
    yield Case("records", make(record), "records for pixels")
    yield Case("opaque", make(np.zeros(SHAPE, "V16")), "opaque bytes for pixels")
    yield Case("references", make(np.empty(SHAPE, object), h5py.ref_dtype), "references for pixels")
    for number in (4, 307, 32001, 32008, 32015, 65000):
        filtered = hdf5(lambda file, number=number: _filtered(place(file), number))
        yield Case(f"filter-{number}", filtered, "a filter that has to be loaded")
    group = hdf5(lambda file: place(file).create_group("data"))
    yield Case("group-for-data", group, "a group where pixels should be")
    yield Case("no-data", hdf5(place), "no pixels at all")


def _filtered(group: h5py.Group, number: int) -> None:
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk(SHAPE)
    creation.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (8, 2))
    kind, space = h5t.STD_U16LE, h5s.create_simple(SHAPE)
    dataset = h5d.create(group.id, b"data", kind, space, dcpl=creation)
    dataset.write_direct_chunk((0, 0), image().tobytes())


def _links(place: Place) -> Iterator[Case]:
    def soft(target: str) -> bytes:
        return hdf5(lambda file: place(file).__setitem__("data", h5py.SoftLink(target)))

    yield Case("soft-link-nowhere", soft("/nowhere"), "a link to nothing")
    yield Case("soft-link-itself", soft("data"), "a link to itself")
    yield Case("soft-link-root", soft("/"), "a link to the root")

    def named_twice(file: h5py.File) -> None:
        group = place(file)
        group["data"] = image()
        group["again"] = group["data"]

    yield Case("two-names", hdf5(named_twice), "pixels with two names")

    def looped(file: h5py.File) -> None:
        group = place(file)
        group["data"] = image()
        inner = group.require_group("metadata/deep")
        inner["loop"] = group

    yield Case("loop", hdf5(looped), "a group that holds itself")


def _trees() -> Iterator[Case]:
    def deep(file: h5py.File) -> None:
        ncem(file)["data"] = image()
        file.create_group("/".join(["deep"] * 300))

    yield Case("hdf5-300-deep", hdf5(deep), "groups nested 300 deep")

    def wide(file: h5py.File) -> None:
        ncem(file)["data"] = image()
        for number in range(10_500):
            file.create_group(f"g{number}")

    yield Case("hdf5-10500-groups", hdf5(wide, libver="latest"), "10500 groups")

    def doubled(file: h5py.File) -> None:
        ncem(file)["data"] = image()
        inner = file.create_group("level0")
        for level in range(1, 31):
            outer = file.create_group(f"level{level}")
            outer["a"], outer["b"] = inner, inner
            inner = outer

    yield Case("hdf5-2**30-paths", hdf5(doubled), "2**30 ways to one group")


def _shells(canary: Canary) -> Iterator[Case]:
    yield Case("hdf5-empty", hdf5(lambda _: None), "nothing in it")
    yield Case("hdf5-signature-alone", b"\x89HDF\r\n\x1a\n", "no superblock")
    content = _valid(ncem)
    yield Case("hdf5-noise", content[:8] + np.random.default_rng(3).bytes(4000), "noise")
    yield Case("hdf5-root-outside", content[:64] + b"\xff\xff\xff\x7f" * 8, "root beyond the end")
    broken = hdf5(lambda file: _velox(file, b"{"))
    yield Case("velox-no-json", broken, "Velox with broken JSON", has_image=True)
    listed = hdf5(lambda file: _velox(file, b"[[]]"))
    yield Case("velox-list-json", listed, "Velox with JSON of another kind", has_image=True)
    deep = b"[" * 30_000
    yield Case("velox-nested-json", hdf5(lambda file: _velox(file, deep)), "JSON nested 30000 deep")
    yield Case("velox-empty", hdf5(lambda file: file.create_group("Data/Image")), "Velox, no image")
    link = h5py.ExternalLink(str(canary.hdf5), "/data")

    def linked(file: h5py.File) -> None:
        group = _velox(file, b"{}")
        del group["Data"]
        group["Data"] = link

    yield Case("velox-external-link", hdf5(linked), "Velox with pixels of another file")


def _velox(file: h5py.File, json: bytes) -> h5py.Group:
    file.create_dataset("Version", data=[b'{"format": "Velox", "version": "1.0"}'])
    group = file.create_group("Data/Image/0123456789abcdef0123456789abcdef")
    group.create_dataset("Data", data=image()[..., np.newaxis])
    metadata = np.zeros((max(60_000, len(json)), 1), np.uint8)
    metadata[: len(json), 0] = np.frombuffer(json, np.uint8)
    group.create_dataset("Metadata", data=metadata)
    return group
