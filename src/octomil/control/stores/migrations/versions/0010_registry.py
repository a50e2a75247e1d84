"""Models, versions with their files and manifests, lineage, aliases, and webhooks with an outbox.

Constraints get their names from the convention in `stores.schema`.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0010"
down_revision = "0001"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_JSON = sa.Text
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    _create_models()
    _create_versions()
    _create_version_parts()
    _create_lineage()
    _create_aliases()
    _create_manifest_keys()
    _create_webhooks()
    _create_deliveries()


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("id", _TEXT, primary_key=True),
        _owner(),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("description", _TEXT),
        sa.Column("framework", _TEXT),
        sa.Column("use_case", _TEXT),
        sa.Column("model_contract", _JSON),
        sa.Column("data_contract", _JSON),
        sa.Column("architecture", _JSON),
        sa.Column("metadata", _JSON, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.UniqueConstraint("organisation", "name"),
    )


def _create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("id", _TEXT, primary_key=True),
        _owner(),
        sa.Column("model_id", _TEXT, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("number", _TEXT, nullable=False),
        sa.Column("sort_key", _TEXT, nullable=False),
        sa.Column("is_prerelease", sa.Boolean, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("failure", _TEXT),
        sa.Column("description", _TEXT),
        sa.Column("formats_wanted", _JSON, nullable=False),
        sa.Column("metrics", _JSON, nullable=False),
        sa.Column("digest", _TEXT),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("published_at", _MOMENT),
        sa.Column("deprecated_at", _MOMENT),
        sa.Column("deleted_at", _MOMENT),
        sa.UniqueConstraint("model_id", "number"),
    )
    op.create_index("ix_versions_model_id_created_at", "versions", ["model_id", "created_at"])
    op.create_index("ix_versions_model_id_sort_key", "versions", ["model_id", "sort_key"])


def _create_version_parts() -> None:
    op.create_table(
        "version_files",
        sa.Column("version_id", _TEXT, sa.ForeignKey("versions.id"), primary_key=True),
        sa.Column("format", _TEXT, primary_key=True),
        _owner(),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("origin", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_version_files_digest", "version_files", ["digest"])
    op.create_table(
        "version_manifests",
        sa.Column("version_id", _TEXT, sa.ForeignKey("versions.id"), primary_key=True),
        _owner(),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("key_id", _TEXT, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
    )


def _create_lineage() -> None:
    op.create_table(
        "version_parents",
        sa.Column("version_id", _TEXT, sa.ForeignKey("versions.id"), primary_key=True),
        sa.Column("parent_id", _TEXT, sa.ForeignKey("versions.id"), primary_key=True),
        _owner(),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_version_parents_parent_id", "version_parents", ["parent_id"])


def _create_aliases() -> None:
    op.create_table(
        "alias_steps",
        sa.Column("model_id", _TEXT, sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        _owner(),
        sa.Column("version_id", _TEXT, sa.ForeignKey("versions.id")),
        sa.Column("number", _TEXT),
        sa.Column("actor", _TEXT, nullable=False),
        sa.Column("moved_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_alias_steps_version_id", "alias_steps", ["version_id"])


def _create_manifest_keys() -> None:
    op.create_table(
        "manifest_keys",
        sa.Column("id", _TEXT, primary_key=True),
        _owner(),
        sa.Column("private", sa.LargeBinary, nullable=False),
        sa.Column("public", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_manifest_keys_organisation", "manifest_keys", ["organisation"])


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", _TEXT, primary_key=True),
        _owner(),
        sa.Column("url", _TEXT, nullable=False),
        sa.Column("secret", _TEXT, nullable=False),
        sa.Column("events", _JSON, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("deleted_at", _MOMENT),
    )
    op.create_index("ix_webhooks_organisation", "webhooks", ["organisation"])


def _create_deliveries() -> None:
    sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "deliveries",
        sa.Column("sequence", sequence, primary_key=True),
        _owner(),
        sa.Column("webhook_id", _TEXT, sa.ForeignKey("webhooks.id"), nullable=False),
        sa.Column("event_id", _TEXT, nullable=False),
        sa.Column("event_type", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("body", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("leased_until", _MOMENT),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.Column("status", sa.BigInteger),
        sa.Column("problem", _TEXT),
    )
    op.create_index("ix_deliveries_webhook_id_sequence", "deliveries", ["webhook_id", "sequence"])
    op.create_index("ix_deliveries_ended_at", "deliveries", ["ended_at"])
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_deliveries_turn",
        "deliveries",
        ["webhook_id", "subject", "sequence"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


def _owner() -> sa.Column[Any]:
    return sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False)
