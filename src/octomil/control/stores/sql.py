"""The store: transactions over SQL, the same code for SQLite and Postgres.

A new resource is one file beside this one, with its table and its repository, and one line in
`SqlTransaction`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import local

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from octomil.control.records import (
    ApiKey,
    BootstrapToken,
    Organisation,
    Revocation,
    SigningSecret,
    TokenFamily,
)
from octomil.control.stores.aliases import AliasRows
from octomil.control.stores.api_keys import ApiKeyRows, key_of_hash, note_key_uses
from octomil.control.stores.audit import AuditRows
from octomil.control.stores.blobs import BlobLedgerRows, BlobRows
from octomil.control.stores.bootstrap_tokens import BootstrapTokenRows, bootstrap_token_of_hash
from octomil.control.stores.devices import DeviceRows, note_last_seen, revocations
from octomil.control.stores.engines import Engines
from octomil.control.stores.idempotency import IdempotencyKeyRows
from octomil.control.stores.lineage import LineageRows
from octomil.control.stores.manifest_keys import ManifestKeyRows
from octomil.control.stores.models import ModelRows
from octomil.control.stores.organisations import (
    add_organisation,
    find_organisation,
    list_organisations,
)
from octomil.control.stores.outbox import DeliveryRows, OutboxRows
from octomil.control.stores.rollouts import AttestationRows, OfferRows, RolloutRows
from octomil.control.stores.schema import metadata
from octomil.control.stores.settings import read_setting, write_setting
from octomil.control.stores.tokens import (
    TokenFamilyRows,
    add_signing_secret,
    all_signing_secrets,
    find_token_family,
)
from octomil.control.stores.uploads import UploadRows
from octomil.control.stores.versions import VersionRows
from octomil.control.stores.webhooks import WebhookRows
from octomil.errors import ServiceUnavailableError

__all__ = ["SqlStore", "metadata"]


class SqlTransaction:
    """One organisation's unit of work."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self.organisation = organisation
        self.devices = DeviceRows(connection, organisation)
        self.api_keys = ApiKeyRows(connection, organisation)
        self.bootstrap_tokens = BootstrapTokenRows(connection, organisation)
        self.token_families = TokenFamilyRows(connection, organisation)
        self.models = ModelRows(connection, organisation)
        self.versions = VersionRows(connection, organisation)
        self.uploads = UploadRows(connection, organisation)
        self.blobs = BlobRows(connection, organisation)
        self.lineage = LineageRows(connection, organisation)
        self.aliases = AliasRows(connection, organisation)
        self.manifest_keys = ManifestKeyRows(connection, organisation)
        self.rollouts = RolloutRows(connection, organisation)
        self.attestations = AttestationRows(connection, organisation)
        self.webhooks = WebhookRows(connection, organisation)
        self.outbox = OutboxRows(connection, organisation)
        self.audit = AuditRows(connection, organisation)
        self.idempotency_keys = IdempotencyKeyRows(connection, organisation)


class SqlSystemTransaction:
    """What must be found before it is known whose it is, and what is everybody's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.blob_ledger = BlobLedgerRows(connection)
        self.deliveries = DeliveryRows(connection)
        self.offers = OfferRows(connection)

    def add_organisation(self, organisation: Organisation) -> bool:
        """Add an organisation; return False if the id is taken."""
        return add_organisation(self._connection, organisation)

    def organisation(self, organisation_id: str) -> Organisation | None:
        """Return an organisation."""
        return find_organisation(self._connection, organisation_id)

    def organisations(self, after: str = "", limit: int | None = None) -> Sequence[Organisation]:
        """Return the organisations behind an id, by their ids."""
        return list_organisations(self._connection, after, limit)

    def key_of_hash(self, key_hash: bytes) -> ApiKey | None:
        """Return the API key with that SHA-256, if it was ever given out."""
        return key_of_hash(self._connection, key_hash)

    def bootstrap_token_of_hash(self, token_hash: bytes) -> BootstrapToken | None:
        """Return the bootstrap token with that SHA-256, if it was ever given out."""
        return bootstrap_token_of_hash(self._connection, token_hash)

    def token_family(self, family_id: str) -> TokenFamily | None:
        """Return a family of refresh tokens."""
        return find_token_family(self._connection, family_id)

    def revocations(self, since: datetime) -> Sequence[Revocation]:
        """Return the revocations of access tokens since a moment."""
        return revocations(self._connection, since)

    def signing_secrets(self) -> Sequence[SigningSecret]:
        """Return all secrets that tokens were signed with, oldest first."""
        return all_signing_secrets(self._connection)

    def add_signing_secret(self, secret: SigningSecret) -> None:
        """Add a secret; the ones before it are retired at its creation."""
        add_signing_secret(self._connection, secret)

    def note_last_seen(self, seen: Iterable[tuple[str, datetime]]) -> None:
        """Note when devices were last seen, by id; an earlier moment than the known is ignored."""
        note_last_seen(self._connection, seen)

    def note_key_uses(self, used: Iterable[tuple[str, datetime]]) -> None:
        """Note when keys were last used, by id; an earlier moment than the known is ignored."""
        note_key_uses(self._connection, used)

    def setting(self, name: str) -> str | None:
        """Return a value that all replicas share."""
        return read_setting(self._connection, name)

    def put_setting(self, name: str, value: str) -> None:
        """Set a value that all replicas share."""
        write_setting(self._connection, name, value)


class SqlStore:
    """Opens transactions on a database that is up to date (see `stores.catalog`)."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._thread = _Thread()

    @contextmanager
    def transaction(self, organisation: str) -> Iterator[SqlTransaction]:
        """Begin to read and write one organisation's things."""
        with self._writing() as connection:
            yield SqlTransaction(connection, organisation)

    @contextmanager
    def snapshot(self, organisation: str) -> Iterator[SqlTransaction]:
        """Begin to read one organisation's things."""
        with self._reading() as connection:
            yield SqlTransaction(connection, organisation)

    @contextmanager
    def system(self) -> Iterator[SqlSystemTransaction]:
        """Begin to read and write what is no organisation's own."""
        with self._writing() as connection:
            yield SqlSystemTransaction(connection)

    @contextmanager
    def system_snapshot(self) -> Iterator[SqlSystemTransaction]:
        """Begin to read what is no organisation's own."""
        with self._reading() as connection:
            yield SqlSystemTransaction(connection)

    @contextmanager
    def group(self) -> Iterator[None]:
        """Make this thread's transactions parts of one, committed together when the block ends."""
        if (outer := self._thread.group) is not None:
            with outer.begin_nested():
                yield
            return
        with _translated(), self._engines.writer.begin() as connection:
            self._thread.group = connection
            try:
                yield
            finally:
                self._thread.group = None

    def close(self) -> None:
        """Close every connection."""
        self._engines.dispose()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        group = self._thread.group
        with _translated():
            if group is not None:
                with group.begin_nested():
                    yield group
            else:
                with self._engines.writer.begin() as connection:
                    yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        group = self._thread.group
        with _translated():
            if group is not None:  # what was written before it in the group is to be seen
                yield group
            else:
                with self._engines.reader.connect() as connection:
                    yield connection


class _Thread(local):
    """What a thread is at: the connection of its group, if it is in one."""

    group: Connection | None = None


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver says into our errors.

    Raises:
        ServiceUnavailableError: the database cannot be reached, is full, or may not be written.
    """
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        cause = getattr(error, "orig", None) or error
        raise ServiceUnavailableError(f"the database cannot be used now: {cause}") from error
