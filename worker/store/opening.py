"""The store that the settings name."""

from pathlib import Path

from worker.settings import Settings
from worker.store.address import parsed
from worker.store.folder import FolderStore
from worker.store.interface import Store


def open_store(settings: Settings) -> Store:
    """The store of a server with these settings.

    Raises
    ------
    UnusableStoreError
        When the settings name none.
    """
    if settings.store_url is None:
        return FolderStore(settings.data_dir)
    place = parsed(settings.store_url)
    if isinstance(place, Path):
        return FolderStore(place)
    from worker.store.bucket import BucketStore  # with boto3, which takes a while

    return BucketStore(settings.data_dir, place, settings.store_cache)
