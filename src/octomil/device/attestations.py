"""Telling the control plane what runs here, and when it wants to hear of that again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from octomil.device.answers import read_answer
from octomil.device.session import Session
from octomil.device.slots import Failure
from octomil.errors import (
    DigestMismatchError,
    EngineError,
    EngineUnavailableError,
    InsufficientSpaceError,
    InvalidModelFileError,
    ModelError,
    ModelUnavailableError,
)
from octomil.http.api import path_to
from octomil.wire.devices import Assignment
from octomil.wire.texts import plain_text

_MESSAGE_CHARS = 2000

_CODES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (InsufficientSpaceError, "disk_full"),
    (DigestMismatchError, "wrong_digest"),
    (InvalidModelFileError, "invalid_file"),
    (EngineError, "does_not_run"),
)


class Attested(Protocol):
    """A version of a model: an assignment, a release, or a candidate."""

    @property
    def model_id(self) -> str:
        """The model."""

    @property
    def version(self) -> str:
        """The version's number."""

    @property
    def digest(self) -> str:
        """Of its manifest."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """What the agent needs of the answer to an attestation (`wire.rollouts.AttestationView`)."""

    confirmed_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Pending:
    wanted: Assignment
    due_at_s: float


class Attestations:
    """What this device has attested, and is to attest again when its health window is over.

    Args:
        session: who the device is.
        clock: tells monotonic seconds.
    """

    def __init__(self, session: Session, clock: Callable[[], float]) -> None:
        self._session = session
        self._clock = clock
        self._pending: dict[str, _Pending] = {}

    def tell(self, wanted: Assignment, failure: Failure | None = None) -> float:
        """Attest that what was assigned runs, or why it cannot; it is due again after its window.

        Returns:
            The seconds that are left of its health window; 0 where nobody waits for that.

        Raises:
            OctomilClientError: the control plane refuses, or does not answer.
        """
        window_s = self.post(wanted, failure)
        self._await(wanted, None if failure is not None else window_s)
        return window_s or 0.0

    def post(self, said: Attested, failure: Failure | None = None) -> float | None:
        """Attest that a version runs, or why it cannot; raises and returns as :meth:`tell`."""
        body: dict[str, Any] = {
            "model_id": said.model_id,
            "version": said.version,
            "digest": said.digest,
            "status": "active",
        }
        if failure is not None:
            body |= {"status": "failed", "message": failure.message, "code": failure.code}
        path = path_to("devices", self._session.device_id, "attestations")
        answer = self._session.api.post(path, body)
        return read_answer(answer, _Heard, "an answer to an attestation").confirmed_after_s

    def forget(self, model_id: str) -> None:
        """Wait no more for the window of what ran of a model."""
        self._pending.pop(model_id, None)

    def due(self) -> list[Assignment]:
        """Return the assignments that are to be looked at and attested again now."""
        now_s = self._clock()
        return [each.wanted for each in self._pending.values() if now_s >= each.due_at_s]

    def supersede(self, wanted: Assignment) -> None:
        """Wait no more for the window of what this assignment takes the place of."""
        pending = self._pending.get(wanted.model_id)
        if pending is not None and pending.wanted.digest != wanted.digest:
            del self._pending[wanted.model_id]

    def _await(self, wanted: Assignment, wait_s: float | None) -> None:
        pending = self._pending.get(wanted.model_id)
        if wait_s is not None:
            self._pending[wanted.model_id] = _Pending(wanted, self._clock() + wait_s)
        elif pending is not None and pending.wanted.digest == wanted.digest:
            del self._pending[wanted.model_id]


def failure_of(error: Exception) -> Failure:
    """Return why a release cannot be run, as it is attested."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "cannot_run")
    message = " ".join(plain_text(str(error)).split())[:_MESSAGE_CHARS]
    return Failure(code=code, message=message)


def is_fault_of_release(error: Exception) -> bool:
    """Tell whether an error says something about a release, and not about the way to it.

    A full disk does: the release is too large for the device.
    """
    is_outside = isinstance(error, (ModelUnavailableError, EngineUnavailableError))
    return isinstance(error, (ModelError, EngineError)) and not is_outside
