"""The store: transactions over SQL, the same code for SQLite and Postgres.

A new resource is one file beside this one, with its table and its repository, and one line in
`SqlTransaction`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from threading import local
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from octomil.control.records import (
    ApiKey,
    BootstrapToken,
    Organisation,
    Revocation,
    RouteTally,
    SigningSecret,
    TokenFamily,
)
from octomil.control.stores.aliases import AliasRows
from octomil.control.stores.api_keys import ApiKeyRows, key_of_hash, note_key_uses
from octomil.control.stores.attestations import AttestationRows
from octomil.control.stores.audit import AuditRows
from octomil.control.stores.blobs import BlobLedgerRows, BlobRows
from octomil.control.stores.bootstrap_tokens import BootstrapTokenRows, bootstrap_token_of_hash
from octomil.control.stores.devices import DeviceRows, note_last_seen, revocations
from octomil.control.stores.engines import Engines
from octomil.control.stores.faults import confirmed, translated
from octomil.control.stores.idempotency import IdempotencyKeyRows
from octomil.control.stores.leftovers import LeftoverRows
from octomil.control.stores.lineage import LineageRows
from octomil.control.stores.manifest_keys import ManifestKeyRows
from octomil.control.stores.models import ModelRows
from octomil.control.stores.organisations import (
    add_organisation,
    find_organisation,
    list_organisations,
)
from octomil.control.stores.outbox import DeliveryRows, OutboxRows
from octomil.control.stores.placement import (
    DeviceProfileRows,
    RouteTallyRows,
    add_route_tallies,
)
from octomil.control.stores.quality import QualityLedgerRows, QualityRows
from octomil.control.stores.rollout_devices import RolloutDeviceRows
from octomil.control.stores.rollouts import OfferRows, RolloutRows
from octomil.control.stores.routing_series import RoutingHourRows, RoutingSeriesRows
from octomil.control.stores.rulings import RulingRows
from octomil.control.stores.schema import metadata
from octomil.control.stores.settings import read_setting, write_setting
from octomil.control.stores.tokens import (
    TokenFamilyRows,
    add_signing_secret,
    all_signing_secrets,
    find_token_family,
)
from octomil.control.stores.uploads import UploadRows
from octomil.control.stores.usage import UsageRows
from octomil.control.stores.versions import VersionRows
from octomil.control.stores.webhooks import WebhookRows
from octomil.errors import ServiceUnavailableError

__all__ = ["SqlStore", "metadata"]

RowsT = TypeVar("RowsT")
_log = logging.getLogger("octomil.control")


def _lazily(rows: Callable[[Connection, str], RowsT]) -> "cached_property[RowsT]":
    """Return a repository that is made when it is first asked for.

    A transaction uses a few of them, and each builds expressions as it is made: making all of them
    took most of the time of a look-up.
    """
    return cached_property(lambda tx: rows(tx.connection, tx.organisation))


class SqlTransaction:
    """One organisation's unit of work."""

    devices = _lazily(DeviceRows)
    api_keys = _lazily(ApiKeyRows)
    bootstrap_tokens = _lazily(BootstrapTokenRows)
    token_families = _lazily(TokenFamilyRows)
    models = _lazily(ModelRows)
    versions = _lazily(VersionRows)
    uploads = _lazily(UploadRows)
    blobs = _lazily(BlobRows)
    lineage = _lazily(LineageRows)
    aliases = _lazily(AliasRows)
    manifest_keys = _lazily(ManifestKeyRows)
    rollouts = _lazily(RolloutRows)
    rollout_devices = _lazily(RolloutDeviceRows)
    rulings = _lazily(RulingRows)
    attestations = _lazily(AttestationRows)
    usage = _lazily(UsageRows)
    routing_series = _lazily(RoutingSeriesRows)
    route_tallies = _lazily(RouteTallyRows)
    device_profiles = _lazily(DeviceProfileRows)
    quality = _lazily(QualityRows)
    webhooks = _lazily(WebhookRows)
    outbox = _lazily(OutboxRows)
    audit = _lazily(AuditRows)
    idempotency_keys = _lazily(IdempotencyKeyRows)

    def __init__(self, unit: "_Unit", organisation: str) -> None:
        self.connection = unit.connection
        self.organisation = organisation
        self._effects = unit.effects

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Call something once all this is committed, and only then; it touches memory alone."""
        self._effects.append(effect)


class SqlSystemTransaction:
    """What must be found before it is known whose it is, and what is everybody's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.blob_ledger = BlobLedgerRows(connection)
        self.deliveries = DeliveryRows(connection)
        self.offers = OfferRows(connection)
        self.leftovers = LeftoverRows(connection)
        self.quality_ledger = QualityLedgerRows(connection)
        self.routing_hours = RoutingHourRows(connection)

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

    def add_route_tallies(self, tallies: Iterable[tuple[str, RouteTally]]) -> None:
        """Add to what was decided before about models, by organisation."""
        add_route_tallies(self._connection, tallies)

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
        with self._writing() as unit:
            yield SqlTransaction(unit, organisation)

    @contextmanager
    def snapshot(self, organisation: str) -> Iterator[SqlTransaction]:
        """Begin to read one organisation's things."""
        with self._reading() as unit:
            yield SqlTransaction(unit, organisation)

    @contextmanager
    def system(self) -> Iterator[SqlSystemTransaction]:
        """Begin to read and write what is no organisation's own."""
        with self._writing() as unit:
            yield SqlSystemTransaction(unit.connection)

    @contextmanager
    def system_snapshot(self) -> Iterator[SqlSystemTransaction]:
        """Begin to read what is no organisation's own."""
        with self._reading() as unit:
            yield SqlSystemTransaction(unit.connection)

    @contextmanager
    def group(self) -> Iterator[None]:
        """Make this thread's transactions parts of one, committed together when the block ends."""
        outer = self._thread.unit
        with self._writing() as unit:
            self._thread.unit = unit
            try:
                yield
            finally:
                self._thread.unit = outer

    def scrub(self) -> None:
        """Take what was overwritten out of the database's files, where the database lets one."""
        self._engines.scrub()

    def close(self) -> None:
        """Close every connection."""
        self._engines.dispose()

    @contextmanager
    def _writing(self) -> Iterator["_Unit"]:
        """Begin a transaction, or a part of the one that this thread is in."""
        unit = self._thread.unit
        if unit is not None:
            with translated(), unit.part():
                yield unit
            return
        with translated(), ExitStack() as begun:
            with translated(begins=True):
                connection = begun.enter_context(self._engines.writer.connect())
                transaction = begun.enter_context(connection.begin())
            unit = _Unit(connection)
            yield unit
            if self._engines.is_undone(connection):
                raise RuntimeError("a statement was refused, and nothing of its transaction stays")
            with confirmed():
                transaction.commit()
        unit.follow()

    @contextmanager
    def _reading(self) -> Iterator["_Unit"]:
        """Begin to read, in a group what was written before it there as well."""
        unit = self._thread.unit
        if unit is not None:  # a part: Postgres gives up the whole of what a refused read is in
            with translated(may_write=False), unit.part():
                yield unit
            return
        with translated(may_write=False), self._engines.reader.connect() as connection:
            yield _Unit(connection)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is committed at once.

    Attributes:
        effects: what follows the commit.
    """

    connection: Connection
    effects: list[Callable[[], None]] = field(default_factory=list)

    @contextmanager
    def part(self) -> Iterator[None]:
        """Make the block a part that can be undone by itself, with its effects."""
        before, savepoint = len(self.effects), self.connection.begin_nested()
        try:
            yield
            savepoint.commit()
        except BaseException as error:
            del self.effects[before:]
            try:
                savepoint.rollback()
            except DBAPIError:
                # A full disk has made SQLite undo the whole unit already: it is what to tell of.
                if not isinstance(error, DBAPIError | ServiceUnavailableError):
                    raise
            raise

    def follow(self) -> None:
        """Do what follows the commit; what fails keeps nothing else from following."""
        for effect in self.effects:
            try:
                effect()
            except Exception:  # noqa: BLE001 - what is committed is committed
                _log.exception("what follows a commit failed")


class _Thread(local):
    """What a thread is at: the unit that its transactions are parts of, if they are."""

    unit: _Unit | None = None
