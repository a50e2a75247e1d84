"""Organisations: who owns things."""

from dataclasses import dataclass
from typing import Annotated

from octomil.wire.texts import Matches, Name

OrganisationId = Annotated[str, Matches(r"^[a-z0-9][a-z0-9._-]{0,62}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrganisation:
    """`POST /organisations`.

    Attributes:
        id: what clients call `org_id`.
        name: the id where it is left out.
    """

    id: OrganisationId
    name: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationView:
    """An organisation.

    Attributes:
        created_at: RFC 3339 in UTC.
    """

    id: str
    name: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationCreated(OrganisationView):
    """A new organisation, and the text of its first key, which cannot be had again."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationPage:
    """`GET /organisations`, by their ids.

    Attributes:
        next_cursor: leads to the next page; None on the last.
    """

    organisations: list[OrganisationView]
    next_cursor: str | None
