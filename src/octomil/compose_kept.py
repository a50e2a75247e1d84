"""What a control plane keeps, opened beside it whether it runs or not: to check it or add keys."""

from collections.abc import Iterator
from contextlib import contextmanager

from octomil.compose_control import utc_now
from octomil.config import Settings
from octomil.control.blobs.catalog import open_blobs
from octomil.control.data_folder import DataFolder
from octomil.control.ports import BlobStore, Store
from octomil.control.scopes import ALL_SCOPES, INSTALLATION
from octomil.control.services.api_keys import ApiKeyService
from octomil.control.services.audit import Verified, all_verified
from octomil.control.services.callers import Caller
from octomil.control.stores.catalog import open_store
from octomil.errors import NotFoundError
from octomil.wire.api_keys import CreateKey, KeyCreated


@contextmanager
def open_kept(settings: Settings, folder: DataFolder) -> Iterator[tuple[Store, BlobStore]]:
    """Open the rows and the files of a control plane that may be running.

    Raises:
        ConfigurationError: they cannot be reached.
        DataFolderError: another version of Octomil wrote them.
    """
    store = open_store(settings.database_url or folder.database_url, upgrade=False)
    try:
        yield store, open_blobs(settings.blob_url or folder.blob_url)
    finally:
        store.close()


@contextmanager
def open_audit(settings: Settings, folder: DataFolder) -> Iterator[Iterator[Verified]]:
    """Open a control plane's audit, which may be running; yields a verdict for each organisation.

    Raises:
        ConfigurationError: the database cannot be reached.
        DataFolderError: another version of Octomil wrote it.
    """
    store = open_store(settings.database_url or folder.database_url, upgrade=False)
    try:
        yield all_verified(store)
    finally:
        store.close()


def make_key(
    settings: Settings, folder: DataFolder, organisation: str, request: CreateKey
) -> KeyCreated:
    """Make a key that is good for whatever is asked, for whoever may read and write the folder.

    The control plane may run meanwhile.

    Raises:
        NotFoundError: there is no such organisation.
        BadRequestError: there is no such scope.
        ConfigurationError: the database cannot be reached.
        DataFolderError: another version of Octomil wrote it.
    """
    store = open_store(settings.database_url or folder.database_url, upgrade=False)
    try:
        with store.system_snapshot() as tx:
            if tx.organisation(organisation) is None:
                raise NotFoundError(f"there is no organisation {organisation!r}")
        owner = Caller(organisation, "local", (ALL_SCOPES, INSTALLATION))
        return ApiKeyService(store, utc_now).make(owner, request)
    finally:
        store.close()
