"""What devices report of the requests that they answered while a version is rolled out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0111"
down_revision = "0110"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "usage_windows",
        sa.Column("device_id", _TEXT, sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("reported_at", _MOMENT, nullable=False),
    )
    op.create_table(
        "rollout_usage",
        sa.Column("rollout_id", _TEXT, sa.ForeignKey("rollouts.id"), primary_key=True),
        sa.Column("device_id", _TEXT, sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("digest", _TEXT, primary_key=True),
        sa.Column("tier", _TEXT, primary_key=True),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("began_at", _MOMENT, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("log_latency_ms_sum", sa.Float, nullable=False),
    )
