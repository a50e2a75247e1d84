"""Uploads that can be gone on with, and what is known about the bytes that are kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0020"
down_revision = "0010"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "uploads",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("verified", _TEXT),
        sa.Column("digest", _TEXT),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
    )
    op.create_index("ix_uploads_digest", "uploads", ["digest"])
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    op.create_table(
        "blobs",
        sa.Column("digest", _TEXT, primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("format", _TEXT, nullable=False),
        sa.Column("unknown_imports", _TEXT, nullable=False),
        sa.Column("safetensors_digest", _TEXT),
        sa.Column("safetensors_bytes", sa.BigInteger),
        sa.Column("not_converted", _TEXT),
        sa.Column("claimed_at", _MOMENT, nullable=False),
        sa.Column("condemned_at", _MOMENT),
    )
    op.create_index("ix_blobs_safetensors_digest", "blobs", ["safetensors_digest"])
    op.create_index("ix_blobs_claimed_at", "blobs", ["claimed_at"])
