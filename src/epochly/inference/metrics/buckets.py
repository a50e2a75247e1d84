"""Bucket edges: where a histogram tells one duration from another."""

from collections.abc import Iterable
from math import inf

from epochly.errors import ConfigurationError

LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Model calls and requests, in seconds."""

FINE_S = tuple(float(f"{10 ** (step / 24 - 5):.4g}") for step in range(193))
"""10 µs to 1000 s, each edge 10 % above the last: what quantiles are read from."""

# The edges which the conventions advise:
# https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md
GENERATION_S = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
FIRST_TOKEN_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
OUTPUT_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOKENS = tuple(float(4**power) for power in range(14))


def edges_of(buckets: Iterable[float]) -> tuple[float, ...]:
    """Return ascending, distinct, finite edges; +Inf is understood and may be given.

    Raises:
        ConfigurationError: an edge is not a positive number, or there is none.
    """
    edges = sorted({float(edge) for edge in buckets} - {inf})
    if not edges or not all(0 < edge < inf for edge in edges):
        raise ConfigurationError(f"bucket edges must be positive numbers, got {edges}")
    return tuple(edges)
