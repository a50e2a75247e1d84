"""Rollouts, and what devices attest that they run.

Constraints get their names from the convention in `stores.schema`.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0030"
down_revision = "0020"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    _create_rollouts()
    _create_attestations()


def _create_rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("model_id", _TEXT, nullable=False),
        sa.Column("version_id", _TEXT, nullable=False),
        sa.Column("number", _TEXT, nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("rollout_percentage", sa.Float, nullable=False),
        sa.Column("target_percentage", sa.Float, nullable=False),
        sa.Column("increment_step", sa.Float, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("is_offered", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT),
        sa.Column("completed_at", _MOMENT),
        sa.Column("deleted_at", _MOMENT),
    )
    op.create_index("ix_rollouts_organisation_model_id", "rollouts", ["organisation", "model_id"])
    op.create_index("ix_rollouts_version_id", "rollouts", ["version_id"])
    for name in ("is_open", "is_offered"):
        op.create_index(
            f"uq_rollouts_model_id_{name}",
            "rollouts",
            ["model_id"],
            unique=True,
            sqlite_where=sa.column(name),
            postgresql_where=sa.column(name),
        )


def _create_attestations() -> None:
    op.create_table(
        "attestations",
        sa.Column("device_id", _TEXT, sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("model_id", _TEXT, primary_key=True),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("number", _TEXT, nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("message", _TEXT),
        sa.Column("attested_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_attestations_model_id_digest", "attestations", ["model_id", "digest"])
