"""Requests that may come again: carried out once, and answered alike.

After draft-ietf-httpapi-idempotency-key-header. The key is claimed, the act done and its answer
kept in one transaction, so that a crash leaves all of it or nothing. Whoever comes with the same
key meanwhile, to whichever replica, waits for the end of that transaction; none is turned away.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final

from octomil.control.ports import Clock, Store
from octomil.control.records import KeptAnswer, RequestKey
from octomil.control.services.callers import Caller
from octomil.errors import ApiError, BadRequestError, ConflictError, IdempotencyKeyReusedError

KEPT: Final = timedelta(hours=24)
KEY_PATTERN: Final = r"^[!-~]{1,255}$"
MAX_KEPT_BYTES: Final = 256 * 1024

_PASSING: Final = frozenset({401, 403, 408, 429})
"""Refusals that say nothing about the request itself: the same one may succeed later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A request that bears an idempotency key.

    Attributes:
        organisation: the caller's.
        key: what it is known by.
        digest: SHA-256 of its method, path and body.
        is_secret: whether its answer must not be kept.
    """

    organisation: str
    key: RequestKey
    digest: bytes
    is_secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request is answered.

    Attributes:
        body: JSON.
        is_repeated: whether this was its answer before.
    """

    status: int
    body: bytes
    is_repeated: bool = False


def keyed_request(
    caller: Caller, text: str, method: str, target: str, body: bytes, *, is_secret: bool
) -> KeyedRequest:
    """Return a request as it is known here.

    Args:
        caller: who sent it.
        text: the idempotency key.
        method: of the request.
        target: its path and query, as they were sent.
        body: as it was sent.
        is_secret: whether its answer must not be kept.

    Raises:
        BadRequestError: the key is empty, too long, or has other than visible ASCII characters.
    """
    if not re.fullmatch(KEY_PATTERN[1:-1], text):
        raise BadRequestError(
            "the Idempotency-Key must have 1 to 255 visible ASCII characters; a UUID is a good one"
        )
    return KeyedRequest(
        organisation=caller.organisation,
        key=RequestKey(caller=caller.actor, text=text),
        digest=sha256(f"{method} {target}\n".encode() + body).digest(),
        is_secret=is_secret,
    )


def is_final(error: ApiError) -> bool:
    """Tell whether a refusal is the request's answer for good, so that it is kept.

    Example:
        >>> is_final(ConflictError("there already"))
        True
        >>> is_final(ConflictError("not now", {"retry_after_s": 1}))
        False
    """
    is_refusal = 400 <= error.status < 500 and error.status not in _PASSING
    return is_refusal and "retry_after_s" not in error.details


class IdempotencyService:
    """Carries requests out once.

    Args:
        store: where answers are kept.
        clock: tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def answer(
        self,
        request: KeyedRequest,
        act: Callable[[], Answer],
        refusal: Callable[[ApiError], Answer],
    ) -> Answer:
        """Return what a request is answered, carrying it out unless it was before.

        Args:
            request: what came.
            act: carries it out in this thread, by transactions of this store alone.
            refusal: returns how a refusal is told.

        Raises:
            IdempotencyKeyReusedError: the key was used for another request.
            ConflictError: it was carried out, and its answer is not kept.
            ApiError: it was refused for now; nothing is kept.
        """
        with self._store.group():
            if (earlier := self._earlier(request)) is not None:
                return earlier
            try:
                with self._store.group():
                    answer = act()
            except ApiError as error:
                if not is_final(error):
                    raise
                answer = refusal(error)
            self._keep(request, answer)
        return answer

    def earlier(self, request: KeyedRequest) -> Answer | None:
        """Return what a request was answered before, if it was; claims nothing.

        Raises:
            IdempotencyKeyReusedError: the key was used for another request.
            ConflictError: it was carried out, and its answer is not kept.
        """
        with self._store.snapshot(request.organisation) as tx:
            kept = tx.idempotency_keys.find(request.key)
        return None if kept is None else _repeated(request, kept)

    def settle(self, request: KeyedRequest, answer: Answer) -> Answer:
        """Keep what a request was answered by what is no transaction of this store.

        Nothing is kept of an answer that is too large, nor that there was one: it did nothing that
        must not be done again, so that whoever lost it may ask once more.

        Returns:
            what it is to be answered: the same, or what another replica was faster with. Raises
            what `earlier` does.
        """
        if len(answer.body) > MAX_KEPT_BYTES:
            return answer
        with self._store.group():
            if (earlier := self._earlier(request)) is not None:
                return earlier
            self._keep(request, answer)
        return answer

    def _earlier(self, request: KeyedRequest) -> Answer | None:
        """Claim a request's key; return the answer that was kept if it was claimed before."""
        with self._store.transaction(request.organisation) as tx:
            if tx.idempotency_keys.claim(request.key, request.digest, self._clock()):
                return None
            kept = tx.idempotency_keys.find(request.key)
        return _repeated(request, kept)

    def _keep(self, request: KeyedRequest, answer: Answer) -> None:
        is_told = answer.status >= 400 or not request.is_secret
        body = answer.body if is_told and len(answer.body) <= MAX_KEPT_BYTES else None
        with self._store.transaction(request.organisation) as tx:
            tx.idempotency_keys.keep(request.key, answer.status, body)


def _repeated(request: KeyedRequest, kept: KeptAnswer | None) -> Answer:
    if kept is None or kept.request_digest != request.digest:
        raise IdempotencyKeyReusedError(
            f"the Idempotency-Key {request.key.text!r} was used for another request; send a "
            "new key with each request, and the same one only to repeat it"
        )
    if kept.body is None:
        raise ConflictError(
            f"the request with the Idempotency-Key {request.key.text!r} was carried out "
            f"(status {kept.status}), but its answer is not kept: it holds a secret, or is too "
            "large; see what is there, or make another with a new key",
            {"status": kept.status},
        )
    return Answer(status=kept.status, body=kept.body, is_repeated=True)
