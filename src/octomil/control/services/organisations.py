"""Organisations: made by an admin of the installation, each with its own first key."""

from octomil.control.cursors import cursor_of, read_cursor
from octomil.control.moments import shown
from octomil.control.ports import Clock, Store
from octomil.control.records import Act, Organisation
from octomil.control.scopes import ALL_SCOPES, INSTALLATION
from octomil.control.services.api_keys import ApiKeyService
from octomil.control.services.callers import Caller
from octomil.errors import ConflictError, NotFoundError
from octomil.wire.organisations import (
    CreateOrganisation,
    OrganisationCreated,
    OrganisationPage,
    OrganisationView,
)


class OrganisationService:
    """Makes organisations, and shows them.

    Args:
        store: where they are.
        clock: tells the time.
        api_keys: makes an organisation's first key.
    """

    def __init__(self, store: Store, clock: Clock, api_keys: ApiKeyService) -> None:
        self._store = store
        self._clock = clock
        self._api_keys = api_keys

    def create(self, caller: Caller, request: CreateOrganisation) -> OrganisationCreated:
        """Make an organisation and the key that is good for everything in it.

        Noted in its own audit and in the caller's.

        Raises:
            ConflictError: there is one of that id.
        """
        caller.require_key()
        made = Organisation(
            id=request.id, name=request.name or request.id, created_at=self._clock()
        )
        act = Act(
            actor=caller.actor,
            operation="organisation.create",
            target=made.id,
            details={"name": made.name},
        )
        with self._store.group():
            with self._store.system() as system:
                if not system.add_organisation(made):
                    raise ConflictError(f"there is an organisation {made.id!r} already")
            for organisation in (made.id, caller.organisation):
                with self._store.transaction(organisation) as tx:
                    tx.audit.append(act, made.created_at)
            _, text = self._api_keys.create(made.id, "admin", [ALL_SCOPES], actor=caller.actor)
        view = view_of(made)
        return OrganisationCreated(id=view.id, name=view.name, created_at=view.created_at, key=text)

    def page(self, cursor: str | None, limit: int) -> OrganisationPage:
        """Return organisations by their ids.

        Raises:
            BadRequestError: the cursor is none of this list.
        """
        place = read_cursor(cursor, "organisation", 1)
        with self._store.system_snapshot() as tx:
            found = tx.organisations(str(place[0]) if place else "", limit + 1)
        is_more = len(found) > limit
        return OrganisationPage(
            organisations=[view_of(each) for each in found[:limit]],
            next_cursor=cursor_of("organisation", found[limit - 1].id) if is_more else None,
        )

    def get(self, caller: Caller, organisation_id: str) -> OrganisationView:
        """Return an organisation: the caller's own, or any for an admin of the installation.

        Raises:
            NotFoundError: there is no such organisation, for all the caller may know.
        """
        caller.require_key()
        found = None
        if organisation_id == caller.organisation or caller.may(INSTALLATION):
            with self._store.system_snapshot() as tx:
                found = tx.organisation(organisation_id)
        if found is None:
            raise NotFoundError(f"there is no organisation {organisation_id!r}")
        return view_of(found)


def view_of(organisation: Organisation) -> OrganisationView:
    """Return an organisation as the API shows it."""
    return OrganisationView(
        id=organisation.id, name=organisation.name, created_at=shown(organisation.created_at)
    )
