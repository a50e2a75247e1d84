"""Organisations, their keys, devices and tokens, the audit, and what requests were answered.

Constraints get their names from the convention in `stores.schema`.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0001"
down_revision = None

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "settings",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("value", _TEXT, nullable=False),
    )
    op.create_table(
        "organisations",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
    )
    _create_api_keys()
    _create_devices()
    _create_tokens()
    _create_audit()
    _create_idempotency_keys()


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", _TEXT, primary_key=True),
        _owner(),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("scopes", _TEXT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT),
        sa.Column("revoked_at", _MOMENT),
    )
    op.create_index("ix_api_keys_organisation", "api_keys", ["organisation"])


def _create_devices() -> None:
    op.create_table(
        "devices",
        sa.Column("id", _TEXT, primary_key=True),
        _owner(),
        sa.Column("identifier", _TEXT, nullable=False),
        sa.Column("platform", _TEXT),
        sa.Column("os_version", _TEXT),
        sa.Column("sdk_version", _TEXT),
        sa.Column("app_version", _TEXT),
        sa.Column("metadata", _TEXT, nullable=False),
        sa.Column("capabilities", _TEXT, nullable=False),
        sa.Column("feature_schema", _TEXT),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("last_seen_at", _MOMENT),
        sa.Column("tokens_revoked_at", _MOMENT),
        sa.UniqueConstraint("organisation", "identifier"),
    )
    revoked = sa.text("tokens_revoked_at IS NOT NULL")
    op.create_index(
        "ix_devices_tokens_revoked_at",
        "devices",
        ["tokens_revoked_at"],
        sqlite_where=revoked,
        postgresql_where=revoked,
    )


def _create_tokens() -> None:
    op.create_table(
        "token_families",
        sa.Column("id", _TEXT, primary_key=True),
        _owner(),
        sa.Column("device_id", _TEXT, sa.ForeignKey("devices.id"), nullable=False),
        sa.Column("scopes", _TEXT, nullable=False),
        sa.Column("access_ttl_s", sa.BigInteger, nullable=False),
        sa.Column("current_hash", sa.LargeBinary, nullable=False),
        sa.Column("previous_hash", sa.LargeBinary),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("rotated_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("revoked_at", _MOMENT),
        sa.Column("revoke_reason", _TEXT),
    )
    op.create_index("ix_token_families_device_id", "token_families", ["device_id"])
    op.create_table(
        "signing_secrets",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("retired_at", _MOMENT),
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        _owner(primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("entry", _TEXT, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit_heads",
        _owner(primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        _owner(primary_key=True),
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _owner(*, primary_key: bool = False) -> sa.Column[Any]:
    owner = sa.ForeignKey("organisations.id")
    return sa.Column("organisation", _TEXT, owner, nullable=False, primary_key=primary_key)
