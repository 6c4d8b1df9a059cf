"""Text out of files that nobody vouches for."""

import os
import re

FORMULA = tuple("=+-@")  # with which a spreadsheet takes a cell for one
STRAY = re.compile(r"&(?!(#[0-9]+|#x[0-9a-fA-F]+|[a-zA-Z]+);)")  # an ampersand that begins nothing


def plain(text: str, longest: int = 2048) -> str:
    """As every database and JSON document can hold it: no NUL, no half of a surrogate pair."""
    kept = text[:longest].replace("\0", "")
    return kept.encode("utf-8", "replace").decode("utf-8")


def printable(name: str) -> str:
    """A file's name, with a mark for each byte that is not UTF-8; as a server shows what it got."""
    return os.fsencode(name).decode("utf-8", "replace")


def cell(text: str) -> str:
    """As a cell of CSV: on one line, and no formula to a spreadsheet, which would run it."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(FORMULA) else line


def decoded(text: bytes) -> str:
    """As UTF-8, and what is none of it as Latin-1, which has a character for every byte."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def with_stray_ampersands_escaped(xml: str) -> str:
    """XML whose names and values hold ampersands as they were typed."""
    return STRAY.sub("&amp;", xml)
