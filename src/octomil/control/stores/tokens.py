"""Families of refresh tokens, and the secrets that access tokens are signed with."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    RowMapping,
    Table,
    insert,
    select,
    update,
)

from octomil.control.records import SigningSecret, TokenFamily
from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.schema import metadata

token_families = Table(
    "token_families",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), nullable=False),
    Column("scopes", JsonText, nullable=False),
    Column("access_ttl_s", BigInteger, nullable=False),
    Column("current_hash", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary),
    Column("created_at", Moment, nullable=False),
    Column("rotated_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("revoked_at", Moment),
    Column("revoke_reason", PLAIN_TEXT),
    Column("bootstrap_id", PLAIN_TEXT),
    Column("rotations", BigInteger, nullable=False, server_default="0"),
    Index("ix_token_families_device_id", "device_id"),
    Index("ix_token_families_expires_at", "expires_at"),
    Index("ix_token_families_revoked_at", "revoked_at"),
)

signing_secrets = Table(
    "signing_secrets",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("retired_at", Moment),
)


class TokenFamilyRows:
    """The families of refresh tokens of an organisation."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = token_families.c.organisation == organisation
        self._organisation = organisation

    def add(self, family: TokenFamily) -> None:
        """Add a family."""
        row = {
            "id": family.id,
            "organisation": self._organisation,
            "device_id": family.device_id,
            "scopes": list(family.scopes),
            "access_ttl_s": family.access_ttl_s,
            "current_hash": family.current_hash,
            "previous_hash": family.previous_hash,
            "created_at": family.created_at,
            "rotated_at": family.rotated_at,
            "expires_at": family.expires_at,
            "bootstrap_id": family.bootstrap_id,
            "rotations": family.rotations,
        }
        self._connection.execute(insert(token_families).values(row))

    def rotate(
        self,
        family: TokenFamily,
        secret_hash: bytes,
        *,
        rotations: int,
        previous_hash: bytes,
        rotated_at: datetime,
        expires_at: datetime,
    ) -> bool:
        """Make another token the youngest, if `family` is still as it was read."""
        unchanged = (
            (token_families.c.id == family.id)
            & (token_families.c.current_hash == family.current_hash)
            & token_families.c.revoked_at.is_(None)
        )
        change = (
            update(token_families)
            .where(self._own, unchanged)
            .values(
                current_hash=secret_hash,
                rotations=rotations,
                previous_hash=previous_hash,
                rotated_at=rotated_at,
                expires_at=expires_at,
            )
        )
        return self._connection.execute(change).rowcount == 1

    def revoke(self, family_id: str, reason: str, now: datetime) -> bool:
        """Make a family void; return False if there is none that holds under that id."""
        holds = (token_families.c.id == family_id) & token_families.c.revoked_at.is_(None)
        change = update(token_families).where(self._own, holds)
        done = self._connection.execute(change.values(revoked_at=now, revoke_reason=reason))
        return done.rowcount == 1

    def origins(self, device_id: str, now: datetime) -> set[str | None]:
        """Return which bootstrap tokens a device's families began with that are good."""
        table = token_families.c
        good = table.revoked_at.is_(None) & (table.expires_at > now)
        query = select(table.bootstrap_id).where(self._own, table.device_id == device_id, good)
        return set(self._connection.execute(query).scalars())

    def ended(self, device_id: str, reason: str) -> set[str | None]:
        """Return which bootstrap tokens those began with that were made void for a reason."""
        table = token_families.c
        those = (table.device_id == device_id) & (table.revoke_reason == reason)
        query = select(table.bootstrap_id).where(self._own, those)
        return set(self._connection.execute(query).scalars())

    def revoke_all(self, device_id: str, reason: str, now: datetime) -> int:
        """Make all families of a device void; return how many that were."""
        table = token_families.c
        holds = (table.device_id == device_id) & table.revoked_at.is_(None)
        change = update(token_families).where(self._own, holds)
        done = self._connection.execute(change.values(revoked_at=now, revoke_reason=reason))
        return done.rowcount


def find_token_family(connection: Connection, family_id: str) -> TokenFamily | None:
    """Return a family, whosever it is."""
    query = select(token_families).where(token_families.c.id == family_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _family(row)


def all_signing_secrets(connection: Connection) -> Sequence[SigningSecret]:
    """Return all secrets, oldest first."""
    query = select(signing_secrets).order_by(signing_secrets.c.created_at, signing_secrets.c.id)
    return [SigningSecret(**row) for row in connection.execute(query).mappings()]


def add_signing_secret(connection: Connection, secret: SigningSecret) -> None:
    """Add a secret, and retire the ones before it."""
    active = signing_secrets.c.retired_at.is_(None)
    retire = update(signing_secrets).where(active).values(retired_at=secret.created_at)
    connection.execute(retire)
    row = {"id": secret.id, "secret": secret.secret, "created_at": secret.created_at}
    connection.execute(insert(signing_secrets).values(row))


def _family(row: RowMapping) -> TokenFamily:
    return TokenFamily(**{**row, "scopes": tuple(row["scopes"])})
