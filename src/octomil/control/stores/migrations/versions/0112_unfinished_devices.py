"""Which devices came to no end with a rollout: found at once, however many did come to one."""

import sqlalchemy as sa
from alembic import op

revision = "0112"
down_revision = "0111"

_UNFINISHED = sa.text(
    "state IN ('activating', 'confirming', 'downloading', 'offered', 'pending', 'staged', "
    "'verifying')"
)


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_rollout_devices_unfinished",
        "rollout_devices",
        ["rollout_id", "since", "state"],
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )
