"""What the control plane counts."""

from collections.abc import Callable, Iterator, Mapping

from epochly.inference.metrics.instruments import Counter, Histogram, Metric, Reading
from octomil.control.generation_counts import GenerationCounts

LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bucket edges."""

_LIMITED = {
    "refused": "Requests that came too often.",
    "unshared": "Requests that only this replica counted, because Redis did not answer.",
}


class ControlMetrics:
    """Requests by route, credentials that were refused, and what clients tell.

    Attributes:
        generations: what they tell of generations.
    """

    def __init__(self) -> None:
        self.generations = GenerationCounts()
        self._requests = Counter(
            "octomil:control_requests_total",
            "Requests by method, route and status.",
            ("method", "route", "status"),
        )
        self._latency = Histogram(
            "octomil:control_request_latency_seconds",
            "Time to the end of the answer.",
            ("route",),
            LATENCY_S,
        )
        self._refused = Counter(
            "octomil:control_refused_credentials_total", "Requests without a valid key or token."
        )
        self._bodies_bytes: Callable[[], int] = lambda: 0

    def tell_of_bodies(self, held_bytes: Callable[[], int]) -> None:
        """Show from now on what the bodies of requests take in memory."""
        self._bodies_bytes = held_bytes

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that has left."""
        self._requests.add(1, method, route, str(status))
        self._latency.observe(seconds, route)
        if status == 401:
            self._refused.add(1)

    def shown(
        self,
        waiting: Mapping[str, int],
        unwritten_sightings: int,
        limited: Mapping[str, int],
        polls: Mapping[str, int],
    ) -> Iterator[Metric]:
        """Yield everything, for `/metrics`.

        Args:
            waiting: service calls under way or waiting, by kind.
            unwritten_sightings: devices whose last sighting is not written yet.
            limited: requests that the rate limits turned away, and those that were counted by this
                replica alone, as `refused` and `unshared`.
            polls: those that wait for news now, and those that were not let wait because too many
                did, as `held` and `turned_away`.
        """
        yield from (self._requests, self._latency, self._refused)
        calls = {(kind,): number for kind, number in waiting.items()}
        yield Reading(
            "octomil:control_service_calls",
            "Calls that work on the database or wait for it.",
            ("kind",),
            calls.items,
        )
        yield Reading(
            "octomil:control_sightings_unwritten",
            "Devices whose last sighting is not written yet.",
            (),
            {(): unwritten_sightings}.items,
        )
        yield Reading(
            "octomil:control_body_memory_bytes",
            "Memory that the bodies of requests take.",
            (),
            {(): self._bodies_bytes()}.items,
        )
        for kind, meaning in _LIMITED.items():
            count = Counter(f"octomil:control_rate_limit_{kind}_total", meaning)
            count.add(limited[kind])
            yield count
        yield Reading(
            "octomil:control_polls_held",
            "Polls that wait for news.",
            (),
            {(): polls["held"]}.items,
        )
        hurried = Counter(
            "octomil:control_polls_not_held_total",
            "Polls that were answered at once because too many waited.",
        )
        hurried.add(polls["turned_away"])
        yield hurried
        yield from self.generations.shown()
