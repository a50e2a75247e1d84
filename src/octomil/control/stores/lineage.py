"""Which versions come from which."""

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Table,
    delete,
    insert,
    select,
)

from octomil.control.stores.columns import PLAIN_TEXT
from octomil.control.stores.organisations import organisations
from octomil.control.stores.schema import metadata
from octomil.control.stores.versions import versions

version_parents = Table(
    "version_parents",
    metadata,
    Column("version_id", PLAIN_TEXT, ForeignKey("versions.id"), primary_key=True),
    Column("parent_id", PLAIN_TEXT, ForeignKey("versions.id"), primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("position", BigInteger, nullable=False),
    Index("ix_version_parents_parent_id", "parent_id"),
)


class LineageRows:
    """Which versions of an organisation come from which."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._own = version_parents.c.organisation == organisation
        self._organisation = organisation

    def hold(self) -> None:
        """Let nobody else change the lineage before the transaction ends."""
        owner = select(organisations.c.id).where(organisations.c.id == self._organisation)
        # The weaker lock lets others go on adding rows that refer to the organisation.
        self._connection.execute(owner.with_for_update(key_share=True))

    def set_parents(self, version_id: str, parents: Sequence[str]) -> None:
        """Say which versions one comes from, in place of what was said before."""
        of_version = version_parents.c.version_id == version_id
        self._connection.execute(delete(version_parents).where(self._own, of_version))
        rows = [
            {
                "version_id": version_id,
                "parent_id": parent,
                "organisation": self._organisation,
                "position": position,
            }
            for position, parent in enumerate(parents)
        ]
        if rows:
            self._connection.execute(insert(version_parents), rows)

    def foreign_children(self, model_id: str) -> Sequence[str]:
        """Return the ids of the versions of other models that come from a model's."""
        own_ids = select(versions.c.id).where(versions.c.model_id == model_id)
        crossing = version_parents.c.parent_id.in_(own_ids) & version_parents.c.version_id.not_in(
            own_ids
        )
        query = select(version_parents.c.version_id).where(self._own, crossing).distinct()
        return self._connection.execute(query).scalars().all()

    def delete_all(self, model_id: str) -> None:
        """Forget what the versions of a model come from."""
        chosen = select(versions.c.id).where(versions.c.model_id == model_id)
        of_model = version_parents.c.version_id.in_(chosen)
        self._connection.execute(delete(version_parents).where(self._own, of_model))

    def parents_of(self, version_id: str) -> Sequence[str]:
        """Return the ids of the versions that one comes from, in their order."""
        edges = version_parents.c
        query = select(edges.parent_id).where(self._own, edges.version_id == version_id)
        return self._connection.execute(query.order_by(edges.position)).scalars().all()

    def children_of(self, version_id: str) -> Sequence[str]:
        """Return the ids of the versions that come from one, in their order."""
        edges = version_parents.c
        query = select(edges.version_id).where(self._own, edges.parent_id == version_id)
        return self._connection.execute(query.order_by(edges.version_id)).scalars().all()

    def ancestry(self, version_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the parents of some versions and of all their ancestors."""
        return self._reached("version_id", "parent_id", version_ids)

    def progeny(self, version_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the children of some versions and of all their descendants."""
        return self._reached("parent_id", "version_id", version_ids)

    def _reached(
        self, source: str, target: str, version_ids: Sequence[str]
    ) -> Mapping[str, Sequence[str]]:
        """Follow the edges from `source` to `target` as far as they go, in one query."""
        edges = version_parents.c
        columns = (edges.version_id, edges.parent_id, edges.position)
        first = select(*columns).where(self._own, edges[source].in_(version_ids))
        walked = first.cte("walked", recursive=True)
        following = select(*columns).join(walked, edges[source] == walked.c[target])
        walked = walked.union(following.where(self._own))
        found: dict[str, list[str]] = {}
        order = (walked.c[source], walked.c.position, walked.c[target])
        for row in self._connection.execute(select(walked).order_by(*order)).mappings():
            found.setdefault(row[source], []).append(row[target])
        return found
