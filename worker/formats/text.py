"""Text out of files that nobody vouches for."""


def plain(text: str, longest: int = 2048) -> str:
    """As every database and JSON document can hold it: no NUL, no half of a surrogate pair."""
    kept = text[:longest].replace("\0", "")
    return kept.encode("utf-8", "replace").decode("utf-8")
