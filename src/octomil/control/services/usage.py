"""What devices report of the requests that they answered, for the gates of rollouts."""

import math
from functools import partial

from octomil.control.ports import Clock, Store, Transaction
from octomil.control.records import DeviceUsage, Rollout
from octomil.control.services.callers import Caller
from octomil.control.services.devices import require_itself
from octomil.control.services.last_seen import LastSeen
from octomil.errors import BadRequestError
from octomil.registry.manifest import hex_of
from octomil.wire.usage import UsageReport, UsageRow, UsageView

_LEAST, _MOST = math.log(1e-3), math.log(86_400e3)
"""Logarithms of milliseconds: no request takes less than a microsecond, or more than a day."""


class UsageService:
    """Takes devices' reports.

    Args:
        store: where they are kept.
        clock: tells the time.
        last_seen: is told of who reports.
    """

    def __init__(self, store: Store, clock: Clock, last_seen: LastSeen) -> None:
        self._store = store
        self._clock = clock
        self._last_seen = last_seen

    def report(self, caller: Caller, device_id: str, report: UsageReport) -> UsageView:
        """Count what a device did, once, where a rollout under way asks for it.

        That is so for the rollout's version, and for the one that the device attested last. Other
        rows say nothing, and are passed over.

        Raises:
            ForbiddenError: the caller is not that device.
            NotFoundError: there is no such device.
            UnauthorizedError: the caller is a device that is not there.
            BadRequestError: sums contradict each other.
        """
        for row in report.usage:
            _refuse_contradictions(row)
        with self._store.transaction(caller.organisation) as tx:
            require_itself(tx, caller, device_id, "report what it did")
            is_new = tx.usage.open_window(device_id, report.window, self._clock())
            if is_new:
                for model_id in {row.model_id for row in report.usage}:
                    _count(tx, device_id, model_id, report)
            last = tx.usage.last_window(device_id)
            tx.after_commit(partial(self._last_seen.note, device_id))
        return UsageView(device_id=device_id, window=last, counted=is_new)


def _refuse_contradictions(row: UsageRow) -> None:
    ended_well = row.requests - row.errors
    if ended_well < 0:
        raise BadRequestError(f"{row.errors} of {row.requests} requests cannot have failed")
    if not ended_well * _LEAST <= row.log_latency_ms_sum <= ended_well * _MOST:
        raise BadRequestError(
            f"log_latency_ms_sum {row.log_latency_ms_sum} of {ended_well} requests means latencies "
            "below a microsecond or above a day; send the sum of ln(milliseconds)"
        )


def _count(tx: Transaction, device_id: str, model_id: str, report: UsageReport) -> None:
    rollout = _under_way(tx, model_id)
    if rollout is None:
        return
    said = tx.attestations.get(device_id, model_id)
    wanted = {rollout.digest} | ({said.digest} if said is not None and said.is_active else set())
    for row in report.usage:
        if row.model_id == model_id and hex_of(row.digest) in wanted:
            tx.usage.add(rollout, _usage_of(device_id, row))


def _under_way(tx: Transaction, model_id: str) -> Rollout | None:
    """Return the rollout of a model whose gates are asked; there is one at most."""
    layers = tx.rollouts.layers(model_id)
    return next((each for each in layers if each.state.is_under_way), None)


def _usage_of(device_id: str, row: UsageRow) -> DeviceUsage:
    return DeviceUsage(
        device_id=device_id,
        digest=hex_of(row.digest),
        tier=row.tier,
        requests=row.requests,
        errors=row.errors,
        log_latency_ms_sum=row.log_latency_ms_sum,
    )
