"""What can be wrong with a store."""


class DamagedError(Exception):
    """A file of the store is not there, or not what was put there."""

    def __init__(self) -> None:
        super().__init__("this image is missing or damaged in the store: upload it again")


class UnusableStoreError(Exception):
    """The store cannot be used as it is set; the message says what to do."""


class StoreAwayError(OSError):
    """The store does not answer, or not as it should; it may later."""


class StoreRefusedError(StoreAwayError):
    """The store answers, and will not do it: a matter of settings."""
