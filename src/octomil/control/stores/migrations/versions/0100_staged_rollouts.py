"""Rollouts in steps: plans, where they stand, their history, the devices that took them, blocks."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0100"
down_revision = "0090"

_TEXT = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_MOMENT = sa.DateTime(timezone=True)
_OLD_PLAN = ("rollout_percentage", "target_percentage", "increment_step")


def upgrade() -> None:
    """Apply."""
    op.drop_index("uq_rollouts_model_id_is_offered", "rollouts")
    op.drop_index("ix_rollouts_organisation_model_id", "rollouts")
    op.alter_column("rollouts", "status", new_column_name="state")
    _add_plan_and_progress()
    _bring_rollouts_along()
    for name in ("is_offered", *_OLD_PLAN):
        op.drop_column("rollouts", name)
    columns = ["organisation", "model_id", "ordinal"]
    op.create_index("ix_rollouts_organisation_model_id_ordinal", "rollouts", columns)
    _create_history()
    _create_rollout_devices()
    _take_devices_along()
    _date_attestations()
    _create_rulings()


def _add_plan_and_progress() -> None:
    for name in ("ordinal", "step"):
        column = sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        op.add_column("rollouts", column)
    for name in ("base_percentage", "percentage", "offered_percentage"):
        column = sa.Column(name, sa.Float, nullable=False, server_default="0")
        op.add_column("rollouts", column)
    op.add_column("rollouts", sa.Column("plan", sa.Text, nullable=False, server_default="{}"))
    for name in ("began_at", "widened_at"):
        op.add_column("rollouts", sa.Column(name, _MOMENT))


def _bring_rollouts_along() -> None:
    """Give each rollout its plan, its place behind those before it, and the share it offered."""
    connection = op.get_bind()
    names = ("id", "model_id", "state", "is_offered", "started_at", *_OLD_PLAN)
    columns = ", ".join(names)
    found = connection.execute(
        sa.text(f"SELECT {columns} FROM rollouts ORDER BY model_id, created_at, id")  # noqa: S608 - names above
    )
    ordinals: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    for row in found.mappings():
        ordinals[row["model_id"]] = ordinals.get(row["model_id"], 0) + 1
        share = row["rollout_percentage"] if row["started_at"] is not None else 0
        rows.append(
            {
                "id": row["id"],
                "ordinal": ordinals[row["model_id"]],
                "plan": json.dumps({name: row[name] for name in _OLD_PLAN}),
                "step": int(row["started_at"] is not None),
                "percentage": share,
            }
        )
    if rows:
        change = (
            "UPDATE rollouts SET ordinal = :ordinal, plan = :plan, step = :step, percentage = "
            ":percentage, offered_percentage = :percentage, began_at = started_at, widened_at = "
            "started_at WHERE id = :id"
        )
        connection.execute(sa.text(change), rows)


def _create_history() -> None:
    op.create_table(
        "rollout_transitions",
        sa.Column("rollout_id", _TEXT, sa.ForeignKey("rollouts.id"), primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("transition", sa.Text, nullable=False),
    )


def _create_rollout_devices() -> None:
    op.create_table(
        "rollout_devices",
        sa.Column("rollout_id", _TEXT, sa.ForeignKey("rollouts.id"), primary_key=True),
        sa.Column("device_id", _TEXT, sa.ForeignKey("devices.id"), primary_key=True),
        sa.Column("organisation", _TEXT, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("reached", _TEXT, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("code", _TEXT, nullable=False),
        sa.Column("taken_at", _MOMENT, nullable=False),
        sa.Column("is_counted", sa.Boolean, nullable=False),
    )
    columns = ["rollout_id", "state", "since"]
    op.create_index("ix_rollout_devices_rollout_id_state_since", "rollout_devices", columns)


def _take_devices_along() -> None:
    """Let what devices attested about rollouts under way be where they stand with them."""
    op.execute(
        """INSERT INTO rollout_devices SELECT rollouts.id, attestations.device_id,
        rollouts.organisation, rollouts.digest, 1,
        CASE WHEN attestations.is_active THEN 'succeeded' ELSE 'failed' END, 'confirming',
        attestations.attested_at, '', attestations.attested_at, true
        FROM rollouts JOIN attestations ON attestations.organisation = rollouts.organisation
        AND attestations.model_id = rollouts.model_id AND attestations.digest = rollouts.digest
        WHERE rollouts.state = 'active' AND rollouts.deleted_at IS NULL"""
    )


def _date_attestations() -> None:
    since = sa.Column("since", _MOMENT, nullable=False, server_default="2026-01-01 00:00:00")
    op.add_column("attestations", since)
    op.execute("UPDATE attestations SET since = attested_at")


def _create_rulings() -> None:
    organisation = sa.ForeignKey("organisations.id")
    op.create_table(
        "rulings",
        sa.Column("organisation", _TEXT, organisation, primary_key=True, nullable=False),
        sa.Column("digest", _TEXT, primary_key=True, nullable=False),
        sa.Column("ordinal", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("is_block", sa.Boolean, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
    )
