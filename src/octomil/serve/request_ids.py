"""What a request is called, in the log, in the audit, and to its client."""

import re
from collections.abc import Iterable

from epochly.inference.context.request import new_request_id
from epochly.inference.context.trace import TraceContext

_SENT = re.compile(rb"[!-~]{1,128}")


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id a request brings in `x-request-id`, or that of its trace, or a new one.

    An id has 1 to 128 printable ASCII characters without spaces, so that it can forge no line of
    the log; a trace's is that of a valid `traceparent` (W3C Trace Context).
    """
    traced = ""
    for name, value in headers:
        if name == b"x-request-id" and _SENT.fullmatch(value):
            return value.decode()
        if name == b"traceparent":
            trace = TraceContext.parse(value.decode("latin-1"))
            traced = trace.trace_id if trace else ""
    return traced or new_request_id()
