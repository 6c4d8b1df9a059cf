"""The store that the settings name."""

from worker.settings import Settings
from worker.store.folder import FolderStore
from worker.store.interface import Store


def open_store(settings: Settings) -> Store:
    """The store of a server with these settings."""
    return FolderStore(settings.data_dir)
