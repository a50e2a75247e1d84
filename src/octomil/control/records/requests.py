"""What requests were answered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """What a request with an idempotency key was answered.

    Attributes:
        request_digest: SHA-256 of the request, so that the key is good for that one alone.
        status: of the answer.
        body: of the answer.
    """

    request_digest: bytes
    status: int
    body: bytes
