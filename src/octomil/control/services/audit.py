"""What was done, and whether the record of it is whole."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from octomil.control.cursors import cursor_of, read_cursor
from octomil.control.ports import AuditError, Store
from octomil.control.records import NotedAct
from octomil.control.services.callers import Caller
from octomil.control.turns import Turns
from octomil.errors import BadRequestError, ServiceUnavailableError
from octomil.wire.audit import AuditEntry, AuditPage, AuditVerdict

MAX_AUDITS_OF_ONE = 4
_MAX_SEQUENCE = 2**63 - 1
_RETRY_AFTER_S = 10


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found in an organisation's audit.

    Attributes:
        records: how many are right; None where one is not.
        problem: which is the first that is not, and in what way.
    """

    organisation: str
    records: int | None
    problem: str | None


class AuditService:
    """Shows what was done.

    Args:
        store: where that was noted.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns = Turns()

    def page(self, caller: Caller, cursor: str | None, limit: int) -> AuditPage:
        """Return acts of the caller's organisation, the latest first.

        Raises:
            BadRequestError: the cursor is none of this list.
        """
        caller.require_key()
        before = _before(cursor)
        with self._store.snapshot(caller.organisation) as tx:
            found = tx.audit.page(before, limit)
        is_more = len(found) == limit and found[-1].sequence > 1
        return AuditPage(
            entries=[_entry(noted) for noted in found],
            next_cursor=cursor_of("audit", found[-1].sequence) if is_more else None,
        )

    @asynccontextmanager
    async def turn(self, caller: Caller) -> AsyncIterator[None]:
        """Wait for the turn of a caller to `verify`, which keeps a thread for as long as it takes.

        One walk at a time, and of each organisation one in the queue, so that nobody waits for
        another's many. Few of each wait in front of that, since each is a walk of its own.

        Raises:
            ServiceUnavailableError: `MAX_AUDITS_OF_ONE` of the organisation's are there already.
        """
        name = f"audit of {caller.organisation}"
        if self._turns.users(name) >= MAX_AUDITS_OF_ONE:
            raise ServiceUnavailableError(
                "too many checks of the organisation's audit wait already; try again once one of "
                "them is done",
                {"retry_after_s": _RETRY_AFTER_S},
            )
        async with self._turns.of(name), self._turns.of("audits"):
            yield

    def verify(self, caller: Caller) -> AuditVerdict:
        """Check every record of the caller's organisation."""
        caller.require_key()
        found = verified(self._store, caller.organisation)
        return AuditVerdict(ok=found.problem is None, records=found.records, problem=found.problem)


def verified(store: Store, organisation: str) -> Verified:
    """Check every record of an organisation."""
    with store.snapshot(organisation) as tx:
        try:
            return Verified(organisation, tx.audit.verify(), None)
        except AuditError as error:
            return Verified(organisation, None, str(error))


def all_verified(store: Store) -> Iterator[Verified]:
    """Check every record of every organisation, one after the other."""
    with store.system_snapshot() as tx:
        organisations = tx.organisations()
    for each in organisations:
        yield verified(store, each.id)


def _before(cursor: str | None) -> int | None:
    place = read_cursor(cursor, "audit", 1)
    if place is None:
        return None
    if not (isinstance(place[0], int) and 0 < place[0] <= _MAX_SEQUENCE):
        raise BadRequestError("the cursor is none of this list; pass `next_cursor` as it came")
    return place[0]


def _entry(noted: NotedAct) -> AuditEntry:
    entry = noted.entry
    return AuditEntry(
        sequence=noted.sequence,
        at=str(entry.get("at", "")),  # somebody may have edited the row: `verify` tells of that
        actor=str(entry.get("actor", "")),
        operation=str(entry.get("operation", "")),
        target=str(entry.get("target", "")),
        details=dict(entry.get("details", {})),
        digest=noted.digest.hex(),
    )
