"""A device's tokens: begun with a bootstrap token, renewed before they end, kept on disk."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from octomil.config import Settings
from octomil.device.answers import read_answer
from octomil.device.options import DeviceOptions
from octomil.device.state import Identity, StateFolder
from octomil.errors import ConfigurationError, UnauthorizedError, UnexpectedAnswerError
from octomil.http.api import ApiClient
from octomil.http.retry import Backoff
from octomil.wire.device_auth import DeviceTokens

SCOPES = ("devices:write", "models:read")
"""What the agent needs: to report on itself, and to fetch what it is to run."""

_WHAT = "a device's tokens"
_EARLY = timedelta(seconds=30)
_AUTH_TIMEOUT_S = 10.0
_AUTH_BACKOFF = Backoff(attempts=4, first_s=0.5, longest_s=30.0)
_WAITS_OF_A_TRY = 3  # to connect, to send, and for the answer

AUTH_PATIENCE_S = (
    _AUTH_BACKOFF.attempts * _WAITS_OF_A_TRY * _AUTH_TIMEOUT_S
    + (_AUTH_BACKOFF.attempts - 1) * _AUTH_BACKOFF.longest_s
)
"""A call for tokens is given up after this long at the latest."""


class Session:
    """Who the device is, and the token that proves it; safe to use from threads.

    Args:
        state: where tokens outlive a restart.
        api_base: the control plane's.
        identifier: what the device calls itself.
        bootstrap_token: what begins its tokens; None where it has some already.
        clock: tells the time.

    Raises:
        ConfigurationError: the folder belongs to another device, or to another control plane.
    """

    def __init__(
        self,
        state: StateFolder,
        api_base: str,
        identifier: str | None,
        bootstrap_token: str | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._state = state
        self._bootstrap_token = bootstrap_token
        self._clock = clock
        self._identity = state.identity
        self._is_void = False
        self._renewing = Lock()
        patience: Any = {"timeout_s": _AUTH_TIMEOUT_S, "backoff": _AUTH_BACKOFF}
        self._anybody = ApiClient(api_base, None, **patience)
        if self._identity is not None:
            _require_same(state, self._identity, self._anybody.base_url, identifier)
            identifier = self._identity.device_identifier
        if identifier is None:
            raise ConfigurationError("the device has no name yet; give it one with --identifier")
        self.identifier = identifier
        self._bootstrapper = ApiClient(api_base, lambda: bootstrap_token or "", **patience)
        self.api = ApiClient(api_base, self.token)

    def close(self) -> None:
        """Close every connection."""
        for client in (self._anybody, self._bootstrapper, self.api):
            client.close()

    @property
    def device_id(self) -> str:
        """The device's id at the control plane. Raises as :meth:`token` does."""
        return self._present().device_id

    def token(self) -> str:
        """Return an access token that holds for a while.

        Raises:
            UnauthorizedError: the device's tokens have ended, and there is no way to new ones.
            OctomilClientError: the control plane does not answer.
        """
        return self._present().access_token

    def forget_access(self) -> None:
        """Ask for a new access token the next time: the control plane does not take this one."""
        self._is_void = True

    def _present(self) -> Identity:
        with self._renewing:  # a refresh token is good for one use only
            known = self._identity
            if known is None:
                return self._keep(self._bootstrap())
            if self._is_void or self._clock() >= known.expires_at - _EARLY:
                return self._keep(self._refresh(known))
            return known

    def _bootstrap(self) -> DeviceTokens:
        if self._bootstrap_token is None:
            raise UnauthorizedError(
                f"{self.identifier} has no tokens that hold; give it a new --bootstrap-token"
            )
        body = {"device_identifier": self.identifier, "scopes": SCOPES}
        return _read_tokens(self._bootstrapper.post("/device-auth/bootstrap", body))

    def _refresh(self, known: Identity) -> DeviceTokens:
        body = {"refresh_token": known.refresh_token}
        try:
            return _read_tokens(self._anybody.post("/device-auth/refresh", body))
        except UnauthorizedError:  # revoked, or the device was away for too long
            return self._bootstrap()

    def _keep(self, tokens: DeviceTokens) -> Identity:
        try:
            expires_at = self._clock() + timedelta(seconds=tokens.expires_in)
        except OverflowError as error:
            raise UnexpectedAnswerError(f"{_WHAT} do not hold so long: {error}") from error
        self._identity = Identity(
            api_base=self._anybody.base_url,
            device_identifier=self.identifier,
            device_id=tokens.device_id,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_at=expires_at,
        )
        self._state.keep_identity(self._identity)
        self._is_void = False
        return self._identity


def open_session(state: StateFolder, settings: Settings, options: DeviceOptions) -> Session:
    """Return the session of the device that a folder belongs to, or will. Raises as `Session`."""
    known = state.identity
    name = options.identifier or (known.device_identifier if known else socket.gethostname())
    return Session(state, settings.api_base, name, settings.bootstrap_token, _now)


def _now() -> datetime:
    return datetime.now(UTC)


def _read_tokens(answer: Any) -> DeviceTokens:
    """Return what a device proves itself with, fit for headers and paths.

    Raises:
        UnexpectedAnswerError: it is something else.
    """
    tokens = read_answer(answer, DeviceTokens, _WHAT)
    for text in (tokens.device_id, tokens.access_token, tokens.refresh_token):
        if not (text.isascii() and text.isprintable()):
            raise UnexpectedAnswerError(f"this is not {_WHAT}: {text!r:.80} is not printable ASCII")
    return tokens


def _require_same(
    state: StateFolder, known: Identity, api_base: str, identifier: str | None
) -> None:
    wanted: dict[str, Any] = {"api_base": api_base, "device_identifier": identifier}
    for name, value in wanted.items():
        if value is not None and value != getattr(known, name):
            raise ConfigurationError(
                f"{state.path} belongs to {known.device_identifier!r} at {known.api_base}, not to "
                f"{value!r}; give this device a folder of its own with --state-dir"
            )
