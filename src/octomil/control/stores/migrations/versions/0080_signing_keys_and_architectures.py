"""Signing keys that follow one another, and how versions are built anew."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0080"
down_revision = "0070"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_SIGNS = sa.column("retired_at").is_(None)


def upgrade() -> None:
    """Apply."""
    op.add_column("manifest_keys", sa.Column("endorsed_by", _TEXT))
    op.add_column("manifest_keys", sa.Column("endorsement", sa.LargeBinary))
    op.add_column("manifest_keys", sa.Column("retired_at", sa.DateTime(timezone=True)))
    _let_one_key_sign()
    op.create_index(
        "uq_manifest_keys_organisation_signs",
        "manifest_keys",
        ["organisation"],
        unique=True,
        sqlite_where=_SIGNS,
        postgresql_where=_SIGNS,
    )
    op.add_column("versions", sa.Column("architecture", _TEXT))


def _let_one_key_sign() -> None:
    """Retire all keys of an organisation but its youngest, which is the one that signed so far."""
    names = ("id", "organisation", "created_at", "retired_at")
    columns = [*map(sa.column, names), sa.column("private", sa.LargeBinary)]
    keys = sa.table("manifest_keys", *columns)
    younger = keys.alias("younger")
    age, its_age = (sa.tuple_(each.c.created_at, each.c.id) for each in (keys, younger))
    follower = sa.exists().where(younger.c.organisation == keys.c.organisation, its_age > age)
    change = keys.update().where(follower)
    op.execute(change.values(retired_at=keys.c.created_at, private=b""))
