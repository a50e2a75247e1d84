"""Where models run for devices: decided, and told what was decided so far."""

from collections import Counter
from collections.abc import Callable, Sequence
from time import perf_counter

from octomil.control.identifiers import new_id
from octomil.control.ports import Clock, Store
from octomil.control.records import RouteTally
from octomil.control.services.callers import Caller
from octomil.control.services.route_counts import Counted, RouteCounts
from octomil.control.services.speeds import SpeedQuery
from octomil.errors import NotFoundError
from octomil.placement.decision import Measured, Placement, Preference, place
from octomil.placement.devices import Device, Model
from octomil.placement.table import Cloud
from octomil.wire.placement import (
    Capabilities,
    EstimatesMeasured,
    FallbackTarget,
    ReasonCount,
    RouteDecision,
    RouteRequest,
    RouteStats,
)

_US_PER_S = 1e6


class PlacementService:
    """Decides where models run.

    Args:
        store: where what was decided is counted.
        clock: tells the time.
        counts: is told of each decision.
        clock_s: a clock that never goes back, in seconds.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        counts: RouteCounts,
        clock_s: Callable[[], float] = perf_counter,
    ) -> None:
        self._store = store
        self._clock = clock
        self._counts = counts
        self._clock_s = clock_s

    def decide(self, caller: Caller, request: RouteRequest, measured: Measured) -> RouteDecision:
        """Decide where a model runs for a device; reads and writes nothing but memory.

        Args:
            caller: who asks.
            request: the model, the device, and what is wanted most.
            measured: what is known of the model's speed there (`speed_query`).
        """
        began_s = self._clock_s()
        model = Model(request.model_params, request.model_size_mb)
        device = device_of(request.device_capabilities)
        found = place(model, device, Preference(request.prefer), measured)
        latency_us = max(1, round((self._clock_s() - began_s) * _US_PER_S))
        counted = Counted(caller.organisation, request.model_id, found.target, found.cause)
        self._counts.note(counted, latency_us)
        return _answer(new_id("rd", self._clock()), found, latency_us)

    def stats(self, caller: Caller, model_id: str) -> RouteStats:
        """Return what was decided about a model, as far as it is written down.

        Raises:
            NotFoundError: nothing was, and the organisation has no model of that id or name.
        """
        with self._store.snapshot(caller.organisation) as tx:
            tallies = tx.route_tallies.of_model(model_id)
            models = tx.models
            if not (tallies or models.get(model_id) or models.find(model_id)):
                raise NotFoundError(
                    f"nothing was decided about {model_id!r}, and no model has that id or name"
                )
        return _stats(model_id, tallies)


def speed_query(caller: Caller, request: RouteRequest) -> SpeedQuery:
    """Return what must be known of a model's speed to decide where it runs."""
    return SpeedQuery(
        organisation=caller.organisation,
        kind=device_of(request.device_capabilities).kind,
        model_id=request.model_id,
        device_id=caller.device_id,
    )


def device_of(capabilities: Capabilities) -> Device:
    """Return the device that has some capabilities."""
    return Device(
        platform=capabilities.platform,
        total_memory_mb=capabilities.total_memory_mb,
        gpu_available=capabilities.gpu_available,
        npu_available=capabilities.npu_available,
    )


def _answer(name: str, found: Placement, latency_us: int) -> RouteDecision:
    return RouteDecision(
        id=name,
        target=found.target,
        format=found.format,
        engine=found.engine,
        quantization=found.quantization,
        reason=found.reason,
        fallback_target=_fallback(found.fallback),
        device_class=found.device_class,
        estimated_device_latency_ms=found.device_latency_ms,
        estimated_cloud_latency_ms=found.cloud_latency_ms,
        routing_latency_us=latency_us,
        estimates_measured=EstimatesMeasured(device=found.is_measured, cloud=False),
    )


def _fallback(cloud: Cloud) -> FallbackTarget:
    return FallbackTarget(
        target="cloud", endpoint=cloud.endpoint, format=cloud.format, engine=cloud.engine
    )


def _stats(model_id: str, tallies: Sequence[RouteTally]) -> RouteStats:
    targets, reasons = Counter[str](), Counter[str]()
    for tally in tallies:
        targets[tally.target] += tally.decisions
        reasons[tally.reason] += tally.decisions
    total = targets.total()
    device_pct = round(100 * targets["device"] / total, 1) if total else 0.0
    latency_us = sum(tally.latency_us for tally in tallies)
    return RouteStats(
        model_id=model_id,
        total_decisions=total,
        device_count=targets["device"],
        cloud_count=targets["cloud"],
        device_pct=device_pct,
        cloud_pct=round(100 - device_pct, 1) if total else 0.0,
        common_reasons=[ReasonCount(reason=r, count=n) for r, n in reasons.most_common()],
        avg_routing_latency_us=round(latency_us / total) if total else None,
    )
