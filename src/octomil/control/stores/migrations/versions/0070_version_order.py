"""An index in the very order that versions are listed in, so that a later page sorts nothing."""

from alembic import op

revision = "0070"
down_revision = "0050"

_OLD = "ix_versions_model_id_created_at"
_NEW = "ix_versions_model_id_created_at_sort_key"


def upgrade() -> None:
    """Apply."""
    op.create_index(_NEW, "versions", ["model_id", "created_at", "sort_key"])
    op.drop_index(_OLD, "versions")
