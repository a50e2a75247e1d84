"""Blocks hold for the same files under another number: rulings are kept by the versions' files."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import chain, groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0113"
down_revision = "0112"

_PREFIX = "sha256:"
_Row = Mapping[Any, Any]


def upgrade() -> None:
    """Apply."""
    connection = op.get_bind()
    known_by = _known_by(connection)
    found = connection.execute(sa.text("SELECT * FROM rulings ORDER BY organisation, digest"))
    kept = [
        dict(row) for row in found.mappings() if (row["organisation"], row["digest"]) in known_by
    ]
    for organisation, digest in known_by:
        gone = "DELETE FROM rulings WHERE organisation = :organisation AND digest = :digest"
        connection.execute(sa.text(gone), {"organisation": organisation, "digest": digest})
    rows = _together(kept, known_by)
    if rows:
        columns = ("organisation", "digest", "ordinal", "is_block", "at", "actor", "reason")
        places = ", ".join(f":{name}" for name in columns)
        insert = f"INSERT INTO rulings ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - names above
        connection.execute(sa.text(insert), rows)


def _known_by(connection: sa.Connection) -> dict[tuple[str, str], str]:
    """Return what each ruling is kept by from now on; of models that are gone none is known."""
    query = """SELECT DISTINCT rulings.organisation, rulings.digest, versions.model_id,
        version_manifests.payload FROM rulings
        JOIN versions ON versions.organisation = rulings.organisation
        AND versions.digest = rulings.digest
        JOIN version_manifests ON version_manifests.version_id = versions.id"""
    return {
        (row.organisation, row.digest): _files_digest(row.model_id, bytes(row.payload))
        for row in connection.execute(sa.text(query))
        if json.loads(bytes(row.payload))["files"]
    }


def _files_digest(model_id: str, manifest: bytes) -> str:
    files = json.loads(manifest)["files"]
    digests = {name: each["digest"].removeprefix(_PREFIX) for name, each in files.items()}
    known = {"files": digests, "model": model_id}
    return sha256(json.dumps(known, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _together(
    rulings: Iterable[_Row], known_by: Mapping[tuple[str, str], str]
) -> list[dict[str, Any]]:
    """Return the rulings by files, those of each version in their order.

    Of versions with the same files comes last whose block stands, and who was ruled on last.
    """
    moved = []
    for (organisation, digest), of_one in groupby(
        rulings, lambda each: (each["organisation"], each["digest"])
    ):
        ordered = sorted(of_one, key=lambda each: each["ordinal"])
        new = known_by[organisation, digest]
        last = ordered[-1]
        moved.append((organisation, new, bool(last["is_block"]), last["at"], digest, ordered))
    moved.sort(key=lambda each: each[:-1])
    rows = []
    for (_, new), versions in groupby(moved, lambda each: each[:2]):
        of_files = chain.from_iterable(each[-1] for each in versions)
        for ordinal, ruling in enumerate(of_files, 1):
            rows.append({**ruling, "digest": new, "ordinal": ordinal})
    return rows
