"""Why a file cannot be used."""

from typing import Any

from worker.formats.text import plain


class FormatError(Exception):
    """The file cannot be used: `code` for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(plain(message))
        self.code = code

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` needs in another process."""
        return {"code": self.code, "message": str(self)}

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> "FormatError":
        """The error of another process."""
        return LimitError(**fields) if "limit" in fields else FormatError(**fields)


class LimitError(FormatError):
    """The file exceeds a limit: its name, its value, and what the file has of it."""

    def __init__(self, code: str, message: str, limit: str, most: float, got: float) -> None:
        super().__init__(code, message)
        self.limit = limit
        self.most = most
        self.got = got

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"limit": self.limit, "most": self.most, "got": self.got}


def exceeded(limit: str, what: str, most: int, got: int) -> LimitError:
    """Of too many of something."""
    message = f"got {got} {what}, at most {most} are accepted ({limit})"
    return LimitError("too_large", message, limit, most, got)
