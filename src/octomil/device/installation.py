"""How an accepted assignment comes to run: fetched, tried and activated, while it is wanted."""

from collections.abc import Callable
from functools import partial

from octomil.device.activation import Activator
from octomil.device.assignments import is_same
from octomil.device.probation import Probation
from octomil.device.releases import Release, Releases
from octomil.errors import DigestMismatchError, InsufficientSpaceError, ModelUnavailableError
from octomil.wire.devices import Assignment, AssignmentsAnswer
from octomil.wire.rollouts import Stage


class Installation:
    """Brings releases to where they run.

    Args:
        releases: what the device has.
        activator: what runs models here.
        probation: tries and activates them.
        news: returns what the device is told where that may have changed lately; None if it did
            not.
        say: tells a person what happens, a line at a time.
        tell: is told each stage that an assignment comes to.
    """

    def __init__(
        self,
        releases: Releases,
        activator: Activator,
        probation: Probation,
        *,
        news: Callable[[], AssignmentsAnswer | None],
        say: Callable[[str], None],
        tell: Callable[[Assignment, Stage], object],
    ) -> None:
        self._releases = releases
        self._activator = activator
        self._probation = probation
        self._news = news
        self._say = say
        self._tell = tell

    def run(self, wanted: Assignment) -> None:
        """Return when an accepted assignment runs.

        Raises:
            OctomilError: it does not.
            OSError: the disk fails.
        """
        if self._activator.running(wanted.model_id) == wanted.digest:
            return
        news = self._news()
        if news is not None and not _is_assigned(news, wanted):
            raise ModelUnavailableError("it is not assigned any more, so it is not fetched")
        self._say(f"{wanted.model_id} {wanted.version}: fetching")
        release = self._obtain(wanted)
        news = self._news()
        if news is not None and not (_is_assigned(news, wanted) or wanted.digest in news.held):
            raise ModelUnavailableError("it is not assigned any more, so it is not activated")
        self._probation.activate(wanted, release, partial(self._tell, wanted))
        found = self._activator.running(wanted.model_id)
        if found != wanted.digest:
            raise DigestMismatchError(f"{wanted.digest} was activated, and {found} runs")

    def _obtain(self, wanted: Assignment) -> Release:
        """Return a release; where there is no room for it, in place of what ran before."""
        obtain = partial(
            self._releases.obtain,
            wanted.model_id,
            wanted.version,
            wanted.digest,
            name=wanted.name,
            fetching=partial(self._tell, wanted, "downloading"),
        )
        try:
            return obtain()
        except InsufficientSpaceError:
            if not self._releases.make_room(wanted.model_id, self._activator.in_use()):
                raise
            return obtain()


def _is_assigned(news: AssignmentsAnswer, wanted: Assignment) -> bool:
    return any(is_same(each, wanted) for each in news.assignments)
