"""What requests were answered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """What a request that may come again is known by, within its organisation.

    Attributes:
        caller: who sent it, as in the audit; another's key of the same text is another key.
        text: the key, as the caller chose it.
    """

    caller: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """What a request with an idempotency key was answered.

    Attributes:
        request_digest: SHA-256 of the request, so that the key is good for that one alone.
        status: of the answer; 0 within the transaction that is still about to find it.
        body: of the answer; None where it is not kept.
    """

    request_digest: bytes
    status: int
    body: bytes | None
