"""The request at hand: its identity, its trace, and what it may be batched with."""

from epochly.inference.context.batch_key import BatchKey
from epochly.inference.context.request import RequestContext, bound, carrying, current_request
from epochly.inference.context.trace import TraceContext

__all__ = [
    "BatchKey",
    "RequestContext",
    "TraceContext",
    "bound",
    "carrying",
    "current_request",
]
