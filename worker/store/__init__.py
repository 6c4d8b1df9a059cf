"""The files of images and jobs, and the only owner of their paths and names.

`interface` says what a store can do; `folder` keeps the files in a folder, `bucket` in an object
store (by `objects`, with a `cache` of this machine); `opening` makes the one that the
settings name. The
names are the same in both: a folder that is copied into a bucket, or back, is the same store. May
import `worker.contract`, `worker.settings` and, in `objects` alone, boto3.
"""

from worker.store.checked import CHECKED
from worker.store.errors import (
    DamagedError,
    StoreAwayError,
    StoreRefusedError,
    UnusableStoreError,
)
from worker.store.files import sha256_of, write_atomic
from worker.store.folder import FolderStore
from worker.store.interface import Store
from worker.store.names import ORIGINAL, companion_name, interim_name, pixels_name

__all__ = [
    "CHECKED",
    "ORIGINAL",
    "DamagedError",
    "FolderStore",
    "Store",
    "StoreAwayError",
    "StoreRefusedError",
    "UnusableStoreError",
    "companion_name",
    "interim_name",
    "pixels_name",
    "sha256_of",
    "write_atomic",
]
