"""How many refresh tokens of a family went before, which the tokens say themselves from now on."""

import sqlalchemy as sa
from alembic import op

revision = "0090"
down_revision = "0080"


def upgrade() -> None:
    """Apply."""
    count = sa.Column("rotations", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("token_families", count)
