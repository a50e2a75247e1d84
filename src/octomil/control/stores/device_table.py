"""The table of devices."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, UniqueConstraint

from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.schema import metadata

devices = Table(
    "devices",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("identifier", PLAIN_TEXT, nullable=False),
    Column("platform", PLAIN_TEXT),
    Column("os_version", PLAIN_TEXT),
    Column("sdk_version", PLAIN_TEXT),
    Column("app_version", PLAIN_TEXT),
    Column("metadata", JsonText, nullable=False),
    Column("capabilities", JsonText, nullable=False),
    Column("feature_schema", JsonText),
    Column("generation", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("last_seen_at", Moment),
    Column("tokens_revoked_at", Moment),
    Column("labels", JsonText, nullable=False, server_default="{}"),
    Column("groups", JsonText, nullable=False, server_default="[]"),
    Column("deleted_at", Moment),
    UniqueConstraint("organisation", "identifier"),
    Index("ix_devices_organisation_id", "organisation", "id"),
    Index("ix_devices_organisation_platform_id", "organisation", "platform", "id"),
    Index("ix_devices_organisation_last_seen_at_id", "organisation", "last_seen_at", "id"),
)
"""A removed device keeps its row, with `deleted_at`: replicas learn from it that its tokens are
void, and what it did still names it."""

Index(
    "ix_devices_tokens_revoked_at",
    devices.c.tokens_revoked_at,
    sqlite_where=devices.c.tokens_revoked_at.is_not(None),
    postgresql_where=devices.c.tokens_revoked_at.is_not(None),
)
