"""What devices are to run: plans in memory, one for each organisation, read by every poll."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from octomil.control.plan_numbers import is_news
from octomil.wire.devices import Assignment, AssignmentsAnswer

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Plan:
    """What an organisation's devices are to run.

    Attributes:
        version: grows with every change (`plan_numbers`); 0 while nothing was ever planned.
        assignments: what every device runs.
        key_id: of the key that signed them; None where there are none.
    """

    version: int = 0
    assignments: tuple[Assignment, ...] = ()
    key_id: str | None = None


_NOTHING = Plan()


class Plans:
    """The present plan of each organisation; replaced as a whole, never changed."""

    def __init__(self) -> None:
        self._plans: Mapping[str, Plan] = {}
        self._epoch = 0

    def replace(self, plans: Mapping[str, Plan], epoch: int = 0) -> None:
        """Put other plans in place of all, whose numbers count within an epoch."""
        self._plans, self._epoch = dict(plans), epoch

    def of(self, organisation: str) -> Plan:
        """Return what an organisation's devices are to run."""
        return self._plans.get(organisation, _NOTHING)

    def answer(self, organisation: str, known_version: int | None) -> AssignmentsAnswer:
        """Return what a device of an organisation is told.

        Args:
            organisation: the device's.
            known_version: the plan that the device says it has; None if it does not say.
        """
        plan = self.of(organisation)
        changed = is_news(plan.version, known_version or 0, self._epoch)
        return AssignmentsAnswer(
            updated=changed,
            config_version=plan.version,
            assignments_changed=changed,
            rollouts_changed=changed,
            assignments=list(plan.assignments),
        )

    def encoded_answer(self, organisation: str, known_version: int | None) -> bytes:
        """Return the same as JSON."""
        return _encode(self.answer(organisation, known_version))
