"""DM3 and DM4: a tree of tags, in which every length is stated before its bytes."""

from dataclasses import dataclass

from worker.decoding.admission.declared import Declared
from worker.decoding.admission.source import Source

GROUP, DATA = 20, 21  # kinds of tag
STRUCT, STRING, ARRAY = 15, 18, 20  # kinds of value that are made of others
SIZES = {2: 2, 3: 4, 4: 2, 5: 4, 6: 4, 7: 8, 8: 1, 9: 1, 10: 1, 11: 8, 12: 8}
DEEPEST = 64  # groups in groups
MOST_TAGS = 100_000
MOST_FIELDS = 1024  # of a description
LONGEST_STRING = 2**16  # bytes
LONGEST_NAME = 2**15 - 1  # bytes; readers take the length for a signed number
MOST_VALUES = 250_000  # in structures, and characters: readers take them one by one
PIXELS = (b"ImageData", b"Data")  # group and tag whose values are read at once


@dataclass
class _Cursor:
    source: Source
    place: int
    word: str  # layout of the format's larger integers
    size: int

    def words(self, count: int) -> list[int]:
        values = self.source.unpack(f">{count}{self.word}", self.place)
        self.place += count * self.size
        return list(values)

    def skip(self, count: int) -> None:
        self.source.read(self.place + count, 0)
        if count < 0:
            raise ValueError("got a length below zero")
        self.place += count

    def numbers(self, layout: str, size: int) -> int:
        (value,) = self.source.unpack(layout, self.place)
        self.place += size
        return int(value)


def check_dm(source: Source, declared: Declared) -> None:
    """Walk all tags. The pixels lie in the file as they are.

    Raises
    ------
    FormatError, ValueError
    """
    walk(source)
    declared.add(0, source.size, stored=True)


def walk(source: Source) -> int:
    """Walk all tags; where they end.

    Raises
    ------
    ValueError
    """
    version = source.unpack(">I", 0)[0]
    cursor = _Cursor(source, 12, "i", 4) if version == 3 else _Cursor(source, 16, "q", 8)
    groups = [_open_group(cursor, b"")]
    tags = values = 0
    while groups:
        group = groups[-1]
        if not group.left:
            groups.pop()
            continue
        group.left -= 1
        tags += 1
        if tags > MOST_TAGS:
            raise ValueError(f"got more than {MOST_TAGS} tags")
        kind, name = _tag(cursor, version)
        if kind == GROUP:
            if (group.name, name) == PIXELS:
                raise ValueError("got tags where the pixels should be")
            groups.append(_open_group(cursor, name))
            if len(groups) > DEEPEST:
                raise ValueError(f"got tags nested deeper than {DEEPEST}")
            continue
        found = _skip_data(cursor)
        values += 0 if (group.name, name) == PIXELS else found
        if values > MOST_VALUES:
            raise ValueError(f"got more than {MOST_VALUES} values in structures and strings")
    return cursor.place


@dataclass
class _Group:
    """A group that is open: its name, and how many of its tags are still to come."""

    name: bytes
    left: int


def _open_group(cursor: _Cursor, name: bytes) -> _Group:
    cursor.skip(2)
    (count,) = cursor.words(1)
    if count < 0:
        raise ValueError("got a group of fewer than no tags")
    return _Group(name, count)


def _tag(cursor: _Cursor, version: int) -> tuple[int, bytes]:
    kind = cursor.numbers("B", 1)
    if kind not in (GROUP, DATA):
        raise ValueError(f"got a tag of kind {kind}, expected {GROUP} or {DATA}")
    length = cursor.numbers(">H", 2)
    if length > LONGEST_NAME:
        raise ValueError(f"got a tag whose name has {length} bytes")
    name = cursor.source.read(cursor.place, length).replace(b".", b"")  # as readers have it
    cursor.skip(length)
    cursor.skip(8 if version == 4 else 0)  # its length, which readers do not use
    return kind, name


def _skip_data(cursor: _Cursor) -> int:
    """Pass by a value; how many values it is made of that are read one by one."""
    if cursor.source.read(cursor.place, 4) != b"%%%%":
        raise ValueError("got no %%%% before the description of a tag")
    cursor.skip(4)
    (count,) = cursor.words(1)
    if not 1 <= count <= MOST_FIELDS:
        raise ValueError(f"got a description of {count} numbers, expected 1 to {MOST_FIELDS}")
    length, values = _length(cursor.words(count))
    cursor.skip(length)
    return values


def _length(description: list[int]) -> tuple[int, int]:
    """Bytes of the value that is so described, and how many values are read one by one."""
    match description:
        case [kind] if kind in SIZES:
            return SIZES[kind], 0
        case [18, length]:
            if not 0 <= length <= LONGEST_STRING:
                raise ValueError(f"got a string of {length} bytes, at most {LONGEST_STRING}")
            return length, length
        case [15, *fields]:
            return _struct(fields)
        case [20, 15, *fields, count]:
            length, values = _struct(fields)
            return _times(length, count), _times(values, count)
        case [20, kind, count] if kind in SIZES:
            return _times(SIZES[kind], count), 0
    raise ValueError("got a tag whose description has no meaning, or is one that no reader knows")


def _struct(fields: list[int]) -> tuple[int, int]:
    _, count, *pairs = fields
    kinds = pairs[1::2]
    if len(pairs) != 2 * count or any(kind not in SIZES for kind in kinds):
        raise ValueError("got a structure whose description has no meaning")
    return sum(SIZES[kind] for kind in kinds), len(kinds)


def _times(length: int, count: int) -> int:
    """Bytes or values of so many; of those that take no room there could be any number."""
    if length < 0 or count < 0:
        raise ValueError("got a length below zero")
    if count and not length:
        raise ValueError(f"got {count} values of no size")
    return length * count
