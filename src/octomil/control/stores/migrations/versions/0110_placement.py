"""Where models run for devices: decisions, counted, and what devices measured of themselves.

Constraints get their names from the convention in `stores.schema`.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0110"
down_revision = "0100"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)
_KIND = ("platform", "device_class", "accelerator")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "route_tallies",
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), primary_key=True),
        *(sa.Column(name, _TEXT, primary_key=True) for name in ("model_id", "target", "reason")),
        sa.Column("decisions", sa.BigInteger, nullable=False),
        sa.Column("latency_us", sa.BigInteger, nullable=False),
    )
    _create_profiles()
    _create_speeds()


def _create_profiles() -> None:
    op.create_table(
        "device_profiles",
        sa.Column("device_id", _TEXT, sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in _KIND),
        sa.Column("ms_per_mb", sa.Float),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("measured_at", _MOMENT, nullable=False),
    )
    columns = ["organisation", *_KIND, "measured_at"]
    op.create_index("ix_device_profiles_kind_measured_at", "device_profiles", columns)


def _create_speeds() -> None:
    op.create_table(
        "device_speeds",
        sa.Column("device_id", _TEXT, sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("model_id", _TEXT, primary_key=True),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in _KIND),
        sa.Column("size_mb", sa.Float, nullable=False),
        sa.Column("tokens_per_s", sa.Float, nullable=False),
        sa.Column("measured_at", _MOMENT, nullable=False),
    )
    columns = ["organisation", *_KIND, "model_id", "measured_at"]
    op.create_index("ix_device_speeds_kind_model_id_measured_at", "device_speeds", columns)
