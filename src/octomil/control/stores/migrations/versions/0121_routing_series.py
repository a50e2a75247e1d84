"""What serving nodes did: sums by minute and by hour, and how far their spools were read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0121"
down_revision = "0120"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)
_COUNTS = (
    "requests", "routed", "errors", "escalations", "subtasks", "prompt_tokens",
    "completion_tokens", "routing_us",
)  # fmt: skip
_AMOUNTS = ("cost_usd", "saved_usd", "largest_s", "saved_s")
_BUCKETS = tuple(f"routing_bucket_{number}" for number in range(20))


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "routing_series",
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), primary_key=True),
        sa.Column("device_id", _TEXT, sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("span_s", sa.Integer, primary_key=True),
        sa.Column("start_s", sa.BigInteger, primary_key=True),
        sa.Column("model", _TEXT, primary_key=True),
        sa.Column("tier", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTS),
        *(sa.Column(name, sa.Float, nullable=False) for name in _AMOUNTS),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _BUCKETS),
    )
    op.create_index(
        "ix_routing_series_organisation_start_s", "routing_series", ["organisation", "start_s"]
    )
    op.create_index("ix_routing_series_span_s_start_s", "routing_series", ["span_s", "start_s"])
    op.create_table(
        "routing_spools",
        sa.Column("device_id", _TEXT, sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("spool", _TEXT, primary_key=True),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
        sa.Column("heard_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_routing_spools_organisation", "routing_spools", ["organisation"])
