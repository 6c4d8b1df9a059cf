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
    version = source.unpack(">I", 0)[0]
    cursor = _Cursor(source, 12, "i", 4) if version == 3 else _Cursor(source, 16, "q", 8)
    left = [_open_group(cursor)]  # tags still to come, in every group that is open
    tags = 0
    while left:
        if not left[-1]:
            left.pop()
            continue
        left[-1] -= 1
        tags += 1
        if tags > MOST_TAGS:
            raise ValueError(f"got more than {MOST_TAGS} tags")
        if _tag(cursor, version) == GROUP:
            left.append(_open_group(cursor))
            if len(left) > DEEPEST:
                raise ValueError(f"got tags nested deeper than {DEEPEST}")
        else:
            _skip_data(cursor)
    declared.add(0, source.size, stored=True)


def _open_group(cursor: _Cursor) -> int:
    cursor.skip(2)
    (count,) = cursor.words(1)
    if count < 0:
        raise ValueError("got a group of fewer than no tags")
    return count


def _tag(cursor: _Cursor, version: int) -> int:
    kind = cursor.numbers("B", 1)
    if kind not in (GROUP, DATA):
        raise ValueError(f"got a tag of kind {kind}, expected {GROUP} or {DATA}")
    cursor.skip(cursor.numbers(">H", 2))
    cursor.skip(8 if version == 4 else 0)  # its length, which readers do not use
    return kind


def _skip_data(cursor: _Cursor) -> None:
    if cursor.source.read(cursor.place, 4) != b"%%%%":
        raise ValueError("got no %%%% before the description of a tag")
    cursor.skip(4)
    (count,) = cursor.words(1)
    if not 1 <= count <= MOST_FIELDS:
        raise ValueError(f"got a description of {count} numbers, expected 1 to {MOST_FIELDS}")
    cursor.skip(_length(cursor.words(count)))


def _length(description: list[int]) -> int:
    """Bytes of the value that is so described."""
    match description:
        case [kind] if kind in SIZES:
            return SIZES[kind]
        case [18, length]:
            return length
        case [15, *fields]:
            return _struct(fields)
        case [20, 15, *fields, count]:
            return count * _struct(fields)
        case [20, 18, length, count]:
            return _product(length, count)
        case [20, 20, kind, length, count] if kind in SIZES:
            return _product(SIZES[kind] * length, count)
        case [20, kind, count] if kind in SIZES:
            return SIZES[kind] * count
    raise ValueError("got a tag whose description has no meaning")


def _struct(fields: list[int]) -> int:
    _, count, *pairs = fields
    kinds = pairs[1::2]
    if len(pairs) != 2 * count or any(kind not in SIZES for kind in kinds):
        raise ValueError("got a structure whose description has no meaning")
    return sum(SIZES[kind] for kind in kinds)


def _product(length: int, count: int) -> int:
    if length < 0 or count < 0:
        raise ValueError("got a length below zero")
    return length * count
