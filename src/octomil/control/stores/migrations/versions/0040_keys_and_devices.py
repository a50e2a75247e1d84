"""What keys are known by, bootstrap tokens, labels and groups of devices, and their lists."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0040"
down_revision = "0030"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.add_column("api_keys", sa.Column("prefix", _TEXT, nullable=False, server_default=""))
    op.add_column("api_keys", sa.Column("last_used_at", _MOMENT))
    op.add_column("api_keys", sa.Column("replaced_by", _TEXT))
    op.add_column("devices", sa.Column("labels", _TEXT, nullable=False, server_default="{}"))
    op.add_column("devices", sa.Column("groups", _TEXT, nullable=False, server_default="[]"))
    op.add_column("devices", sa.Column("deleted_at", _MOMENT))
    for columns in (["id"], ["platform", "id"], ["last_seen_at", "id"]):
        names = ["organisation", *columns]
        op.create_index(f"ix_devices_{'_'.join(names)}", "devices", names)
    op.add_column("token_families", sa.Column("bootstrap_id", _TEXT))
    _create_device_tags()
    _create_bootstrap_tokens()
    _let_first_admins_make_organisations()


def _create_device_tags() -> None:
    organisation, device = sa.ForeignKey("organisations.id"), sa.ForeignKey("devices.id")
    op.create_table(
        "device_tags",
        sa.Column("organisation", _TEXT, organisation, nullable=False, primary_key=True),
        sa.Column("tag", _TEXT, nullable=False, primary_key=True),
        sa.Column("device_id", _TEXT, device, nullable=False, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_device_tags_device_id", "device_tags", ["device_id"])


def _create_bootstrap_tokens() -> None:
    op.create_table(
        "bootstrap_tokens",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("prefix", _TEXT, nullable=False),
        sa.Column("device_scopes", _TEXT, nullable=False),
        sa.Column("labels", _TEXT, nullable=False),
        sa.Column("groups", _TEXT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("max_uses", sa.BigInteger),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", _MOMENT),
    )
    op.create_index("ix_bootstrap_tokens_organisation", "bootstrap_tokens", ["organisation"])


def _let_first_admins_make_organisations() -> None:
    """Give the keys that first starts printed the scope which they get since."""
    op.execute(
        """UPDATE api_keys SET scopes = '["*","installation:admin"]'
        WHERE organisation = 'default' AND name = 'admin' AND scopes = '["*"]'"""
    )
