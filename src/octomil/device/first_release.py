"""What a serving node begins with, before its agent follows rollouts."""

from collections.abc import Callable
from http import HTTPStatus

from octomil.device.answers import read_answer
from octomil.device.releases import Release, Releases
from octomil.device.session import Session
from octomil.device.way_back import last_of
from octomil.errors import (
    ApiError,
    ModelUnavailableError,
    NotFoundError,
    OctomilClientError,
    RateLimitedError,
    UnauthorizedError,
)
from octomil.http.api import path_to
from octomil.registry.semver import SemVer
from octomil.wire.aliases import AliasView
from octomil.wire.devices import Assignment, AssignmentsAnswer
from octomil.wire.models import ModelList
from octomil.wire.versions import VersionView

_LATEST = "latest"


def is_pinned(version: str) -> bool:
    """Tell whether a version is meant by its number, so that no rollout changes it.

    >>> is_pinned("1.2.0"), is_pinned("production")
    (True, False)
    """
    try:
        SemVer.parse(version)
    except ValueError:
        return False
    return True


class FirstReleases:
    """Finds what a served model begins with.

    A number means that version. An alias means what is assigned to this device; where that is not
    what ran here last, the latter goes first, for it is known to work, and the agent brings the
    other. Where nothing is assigned, it means the version that the alias points at. Where the
    control plane cannot tell, what ran last goes on.

    Args:
        session: the device's.
        releases: fetches and verifies them.
        say: called with one line for people: why there is none yet, each reason once.
        wait: waits until it makes sense to ask again.
    """

    def __init__(
        self,
        session: Session,
        releases: Releases,
        *,
        say: Callable[[str], None],
        wait: Callable[[], object],
    ) -> None:
        self._session = session
        self._releases = releases
        self._say = say
        self._wait = wait

    def find(self, name: str, version: str) -> Release:
        """Return the release to begin with; wait as long as there is none.

        Args:
            name: the model's.
            version: a number, an alias such as `production`, or `latest`.

        Raises:
            ModelError: what was fetched is not what was promised, or the disk is full.
            OctomilClientError: the control plane refuses, and would do so again.
        """
        last = self._last(name, version)
        if last is not None and last.version == version:
            return last
        said, is_token_new = "", False
        while True:
            try:
                return self._wanted(name, version, last)
            except UnauthorizedError:
                if is_token_new:
                    raise
                self._session.forget_access()  # this machine's clock may be wrong
                is_token_new = True
                continue
            except (OctomilClientError, ModelUnavailableError) as error:
                if not _may_pass(error):
                    raise
                if last is not None and not is_pinned(version):
                    self._say(f"{name} begins with {last.version}, which ran last: {error}")
                    return last
                if str(error) != said:
                    said = str(error)
                    self._say(f"waiting for a release of {name}@{version}: {error}")
            self._wait()

    def assigned_instead(self, begun: Release) -> Release | None:
        """Return what is assigned in place of a release, fetched; None if nothing else is.

        What this device took back is nothing to begin with.

        Raises:
            OctomilError: the control plane refuses or does not answer, or what is assigned is not
                to be had.
        """
        model_id = begun.model_id
        rejection = self._releases.slots.of(model_id).rejection
        left_out = {begun.digest} | ({rejection.candidate.digest} if rejection else set())
        for each in self._assignments():
            if each.model_id == model_id and each.digest not in left_out:
                return self._obtain(each)
        return None

    def _last(self, name: str, version: str) -> Release | None:
        """Return what ran last; who asks for a number is not led back from that."""
        releases = self._releases
        return releases.running(name) if is_pinned(version) else last_of(releases, name)

    def _wanted(self, name: str, version: str, last: Release | None) -> Release:
        """Return the release that the control plane means.

        Raises:
            NotFoundError: there is none yet.
            OctomilError: as `find`, or it may work the next time.
        """
        if not is_pinned(version):
            for each in self._assignments():
                if each.name == name:
                    return last or self._obtain(each)
        return self._named(name, version)

    def _assignments(self) -> list[Assignment]:
        path = path_to("devices", self._session.device_id, "assignments")
        answer = self._session.api.get(path)
        return read_answer(answer, AssignmentsAnswer, "what to run").assignments

    def _obtain(self, wanted: Assignment) -> Release:
        self._releases.accept(wanted, self._session.device_id)
        return self._releases.obtain(
            wanted.model_id, wanted.version, wanted.digest, name=wanted.name
        )

    def _named(self, name: str, version: str) -> Release:
        """Return the release of a number or an alias. Raises as `_wanted` does."""
        api = self._session.api
        models = read_answer(api.get("/models", name=name), ModelList, "models").models
        if not models:
            raise NotFoundError(f"the registry has no model {name!r}")
        model_id = models[0].id
        if not is_pinned(version) and version != _LATEST:
            path = path_to("models", model_id, "aliases", version)
            points_at = read_answer(api.get(path), AliasView, "an alias").version
            if points_at is None:
                raise NotFoundError(f"{version!r} points at no version of {name}")
            version = points_at
        path = path_to("models", model_id, "versions", version)
        found = read_answer(api.get(path), VersionView, "a version")
        if found.digest is None:
            raise NotFoundError(f"version {version} of {name} is {found.status}, not published")
        return self._releases.obtain(model_id, found.version, found.digest, name=name)


def _may_pass(error: Exception) -> bool:
    """Tell whether waiting helps: nobody answers, nothing is there yet, or the server is at a loss.

    A refusal, of a token for one, stays one.
    """
    if not isinstance(error, ApiError):
        return True
    is_servers_fault = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return is_servers_fault or isinstance(error, NotFoundError | RateLimitedError)
