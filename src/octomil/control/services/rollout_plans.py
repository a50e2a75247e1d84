"""What a rollout is to do, as a request says it."""

from dataclasses import replace
from typing import Any

from octomil.errors import BadRequestError
from octomil.rollouts.limits import Excess, Limits, LimitsError
from octomil.rollouts.pacing import refuse_too_many_waves
from octomil.rollouts.plan import Pacing, Plan, PlanError
from octomil.wire.rollout_plans import GateRequest, GatesRequest, PacingRequest
from octomil.wire.rollouts import RolloutRequest

_GATES = ("devices", "errors", "latency")


def plan_of(request: RolloutRequest) -> Plan:
    """Return the plan that a request asks for.

    Raises:
        BadRequestError: it makes no sense; the message names the field at fault.
    """
    try:
        plan = Plan(
            rollout_percentage=request.rollout_percentage,
            target_percentage=request.target_percentage,
            increment_step=request.increment_step,
            is_automatic=request.automatic,
            pacing=_pacing(request.pacing),
            limits=_limits(request.gates),
            **_given(request, "health_window_s", "dwell_s", "patience_s"),
        )
        refuse_too_many_waves(plan)
    except (PlanError, LimitsError) as error:
        raise BadRequestError(str(error)) from error
    return plan


def _pacing(request: PacingRequest | None) -> Pacing:
    if request is None:
        return Pacing()
    return Pacing(**_given(request, "first_percentage", "growth", "interval_s"))


def _limits(request: GatesRequest | None) -> Limits:
    usual = Limits()
    if request is None:
        return usual
    changes = _given(request, "minimum_sample", "sufficient_sample", "expected_failures")
    for name in _GATES:
        changes[name] = _excess(getattr(usual, name), getattr(request, name))
    return replace(usual, **changes)


def _excess(usual: Excess, request: GateRequest | None) -> Excess:
    if request is None:
        return usual
    changes = _given(request, "tolerated", "unacceptable")
    if request.required is not None:
        changes["is_required"] = request.required
    return replace(usual, **changes)


def _given(request: object, *names: str) -> dict[str, Any]:
    """Return those fields that a request has."""
    found = {name: getattr(request, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}
