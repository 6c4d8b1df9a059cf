"""XML that nobody vouches for: of bounded size and depth, with no entities of its own."""

import xml.etree.ElementTree as ET

MOST_ELEMENTS = 100_000
DEEPEST = 64  # elements in elements


def parsed(text: str, most: int = MOST_ELEMENTS) -> ET.Element:
    """The root of a document.

    Raises
    ------
    ValueError
        When it is not well-formed, defines a document type, or has too many elements or too deep
        ones; ElementTree's own `ParseError` is a `SyntaxError`.
    """
    parser = ET.XMLParser(target=_Builder(most))  # noqa: S314  (that is what the builder is for)
    try:
        parser.feed(text)
        root: ET.Element = parser.close()
    except ET.ParseError as error:
        raise ValueError(f"the XML is not well-formed: {error}") from None
    return root


class _Builder(ET.TreeBuilder):
    """Builds a tree as long as it stays small."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left, self._depth = most, 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        self._left -= 1
        self._depth += 1
        if self._left < 0 or self._depth > DEEPEST:
            raise ValueError("got XML of too many elements, or too deep ones")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ET.Element:
        self._depth -= 1
        return super().end(tag)

    def doctype(self, *_: object) -> None:
        raise ValueError("got XML that defines a document type, expected none")
