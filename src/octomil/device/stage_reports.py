"""Telling the control plane how far this device is, without ever waiting for that."""

from dataclasses import dataclass
from threading import Lock, Thread
from typing import Final

from octomil.device.attestations import Attested
from octomil.device.session import Session
from octomil.errors import (
    ApiError,
    OctomilError,
    RateLimitedError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from octomil.http.api import path_to
from octomil.http.exchange import Request
from octomil.wire.rollouts import Stage

_TIMEOUT_S = 10.0
_PASSING: Final = (RateLimitedError, ServiceUnavailableError, UnauthorizedError)
"""Refusals that may be none the next time."""


@dataclass(frozen=True, slots=True)
class _Told:
    digest: str
    stage: Stage


class StageReports:
    """Sends each stage once, from a thread of its own; safe to use from threads.

    Of each model only the last stage is kept until it can be sent. A control plane that does not
    know stages is told none.

    Args:
        session: who the device is.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = Lock()
        self._is_sending = False
        self._last: dict[str, _Told] = {}
        self._kept: dict[str, _Told] = {}

    def tell(self, wanted: Attested, stage: Stage) -> None:
        """Send a stage as soon as that works, unless it was the last; return at once."""
        told = _Told(wanted.digest, stage)
        with self._lock:
            if self._last.get(wanted.model_id) == told:
                return
            self._last[wanted.model_id] = self._kept[wanted.model_id] = told
        self.send()

    def forget(self, model_id: str) -> None:
        """Send nothing of a model any more: what is attested says more."""
        with self._lock:
            self._last.pop(model_id, None)
            self._kept.pop(model_id, None)

    def send(self) -> None:
        """Try to send what is kept; return at once."""
        with self._lock:
            if self._is_sending or not self._kept:
                return
            self._is_sending = True
        try:
            Thread(target=self._send, name="stages", daemon=True).start()
        except RuntimeError:  # the machine has no thread to spare: the next call tries again
            with self._lock:
                self._is_sending = False

    def _send(self) -> None:
        while (next_one := self._next()) is not None:
            model_id, told = next_one
            try:
                self._post(model_id, told)
            except ApiError as refusal:
                if isinstance(refusal, _PASSING):
                    self._keep(model_id, told)
                    return
            except (OctomilError, OSError, RuntimeError):  # the session was closed, for one
                self._keep(model_id, told)
                return

    def _next(self) -> tuple[str, _Told] | None:
        """Return what to send; with None, nobody sends any more."""
        with self._lock:
            if not self._kept:
                self._is_sending = False
                return None
            model_id = next(iter(self._kept))
            return model_id, self._kept.pop(model_id)

    def _keep(self, model_id: str, told: _Told) -> None:
        """Keep what could not be sent, unless there is something newer; nobody sends any more."""
        with self._lock:
            self._is_sending = False
            if self._last.get(model_id) == told:
                self._kept.setdefault(model_id, told)

    def _post(self, model_id: str, told: _Told) -> None:
        path = path_to("devices", self._session.device_id, "stages")
        body = {"model_id": model_id, "digest": told.digest, "stage": told.stage}
        self._session.api.send(
            Request(method="POST", path=path, json=body, timeout_s=_TIMEOUT_S, is_repeatable=False)
        )
