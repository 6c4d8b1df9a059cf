"""HDF5: every object is looked at, no link is followed, and nothing outside the file is named.

What HDF5 offers to reach other files (external links, external storage, virtual datasets, filter
plugins) is refused, and so is what makes a tree endless (soft links, objects with two names).
"""

from math import prod

from h5py import h5d, h5f, h5g, h5l, h5o, h5p, h5pl

from worker.decoding.admission.declared import Declared
from worker.decoding.admission.source import Source
from worker.formats.errors import FormatError

MOST_OBJECTS = 10_000
DEEPEST = 32  # groups in groups
FREE_CHUNKS = 4096  # that any file may declare, and
SMALLEST_CHUNK = 24  # bytes that each of the others takes at least: its place in an index
FILTERS = {1: "deflate", 2: "shuffle", 3: "Fletcher32", 32000: "LZF"}
REFUSED = {4: "SZIP", 5: "n-bit", 6: "scale-offset", 305: "LZO", 307: "bzip2", 32001: "Blosc"}
REFUSED |= {32004: "LZ4", 32008: "bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32026: "Blosc2"}
LINKS = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}


def forget_plugins() -> None:
    """Leave the library nowhere to load filters from."""
    for _ in range(h5pl.size()):
        h5pl.remove(0)


def check_hdf5(source: Source, declared: Declared) -> None:
    """Walk all objects.

    Raises
    ------
    FormatError, ValueError
    """
    forget_plugins()
    file = h5f.open(bytes(source.path), h5f.ACC_RDONLY, fapl=_strict())
    try:
        _Walk(declared).group(h5g.open(file, b"/"), "", 0)
    finally:
        file.close()


def _strict() -> h5p.PropFAID:
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    return access


class _Walk:
    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self._objects = 0
        self._chunks = 0

    def group(self, group: h5g.GroupID, path: str, depth: int) -> None:
        if depth > DEEPEST:
            raise ValueError(f"got groups nested deeper than {DEEPEST}")
        if group.get_num_objs() > MOST_OBJECTS:
            raise ValueError(f"got more than {MOST_OBJECTS} objects")
        for name in group:
            self._link(group, name, f"{path}/{name.decode('utf-8', 'replace')}", depth)

    def _link(self, group: h5g.GroupID, name: bytes, path: str, depth: int) -> None:
        self._objects += 1
        if self._objects > MOST_OBJECTS:
            raise ValueError(f"got more than {MOST_OBJECTS} objects")
        link = group.links.get_info(name)
        if link.type != h5l.TYPE_HARD:
            raise _forbidden(path, LINKS.get(link.type, "a link of an unknown kind"))
        found = h5o.open(group, name)
        if h5o.get_info(found).rc != 1:
            raise _forbidden(path, "an object that has two names")
        if isinstance(found, h5g.GroupID):
            self.group(found, path, depth + 1)
        elif isinstance(found, h5d.DatasetID):
            self._dataset(found, path)

    def _dataset(self, dataset: h5d.DatasetID, path: str) -> None:
        creation = dataset.get_create_plist()
        layout = creation.get_layout()
        if layout == h5d.VIRTUAL:
            raise _forbidden(path, "a virtual dataset, whose pixels lie in other files")
        if layout == h5d.CONTIGUOUS and creation.get_external_count():
            raise _forbidden(path, "a dataset whose pixels lie in another file")
        filters = [creation.get_filter(index)[0] for index in range(creation.get_nfilters())]
        if len(set(filters)) < len(filters):
            raise _forbidden(path, "a filter that is applied more than once")
        for number in filters:
            if number not in FILTERS:
                accepted, named = ", ".join(FILTERS.values()), REFUSED.get(number, "unknown")
                raise _forbidden(path, f"filter {number} ({named}), expected one of {accepted}")
        self._add(dataset, creation.get_chunk() if layout == h5d.CHUNKED else ())

    def _add(self, dataset: h5d.DatasetID, chunk: tuple[int, ...]) -> None:
        space = dataset.get_space()
        values = space.get_simple_extent_npoints() if space.get_simple_extent_type() else 0
        shape = space.get_simple_extent_dims() if values else ()
        if chunk and shape:
            self._check_chunks(prod(-(-n // size) for n, size in zip(shape, chunk, strict=True)))
        size = dataset.get_type().get_size()
        pixels = values if len(shape) >= 2 else 0
        self._declared.add(pixels, max(values, prod(chunk) if chunk else 0) * size, stored=False)

    def _check_chunks(self, count: int) -> None:
        """Each chunk that was written has its place in the file, and takes time."""
        self._chunks += count
        most = FREE_CHUNKS + self._declared.file_size // SMALLEST_CHUNK
        if self._chunks > most:
            raise ValueError(f"got {self._chunks} chunks, expected {most} at most in such a file")


def _forbidden(path: str, what: str) -> FormatError:
    return FormatError(
        "forbidden_content",
        f"got {what} ({path[:200]!r} in an HDF5 file), which is not accepted: save the data itself",
    )
