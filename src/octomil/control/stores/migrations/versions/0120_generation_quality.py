"""How generations went, by what clients tell of them: sketches by model, version, class and time.

Constraints get their names from the convention in `stores.schema`.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0120"
down_revision = "0113"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)
_SUBJECT = ("model_id", "version", "device_class")
_OUTCOMES = ("started", "completed", "failed", "cancelled")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "quality_claims",
        _organisation(),
        sa.Column("event", sa.LargeBinary, primary_key=True),
        sa.Column("came_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_quality_claims_came_at", "quality_claims", ["came_at"])
    op.create_table(
        "quality_subjects",
        _organisation(),
        *(sa.Column(name, _TEXT, primary_key=True) for name in _SUBJECT),
        sa.Column("first_at", _MOMENT, nullable=False),
        sa.Column("last_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_quality_subjects_last_at", "quality_subjects", ["last_at"])
    _create_stretches()


def _create_stretches() -> None:
    op.create_table(
        "quality_stretches",
        _organisation(),
        sa.Column("model_id", _TEXT, primary_key=True),
        sa.Column("began_at", _MOMENT, primary_key=True),
        sa.Column("length_s", sa.BigInteger, primary_key=True),
        sa.Column("version", _TEXT, primary_key=True),
        sa.Column("device_class", _TEXT, primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _OUTCOMES),
        sa.Column("sketches", sa.Text, nullable=False),
    )
    columns = ["length_s", "began_at"]
    op.create_index("ix_quality_stretches_length_s_began_at", "quality_stretches", columns)
    op.create_index("ix_quality_stretches_began_at", "quality_stretches", ["began_at"])


def _organisation() -> sa.Column[str]:
    return sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), primary_key=True)
