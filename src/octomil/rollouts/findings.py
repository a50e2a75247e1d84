"""What gates say: kept in a rollout's history, and read without what it takes to weigh evidence."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "pass"  # noqa: S105 - no password
    BREACH = "breach"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one gate says, and by what.

    Attributes:
        gate: `devices`, `errors` or `latency`.
        devices: how many the new version's arm has.
        candidate: the new version's share; of latencies, their geometric mean.
        baseline: the old version's; None if there is none to compare with.
        reason: the same in words.
        is_waived: whether the step goes on without this gate, as it has too little to judge by.
    """

    gate: str
    verdict: Verdict
    devices: int
    candidate: float | None
    baseline: float | None
    reason: str
    is_waived: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all gates say together: stop if one does, pass if all do that are not waived."""

    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def reason(self) -> str:
        """Why, in words: what the gates say that decided."""
        asked = (each for each in self.findings if not each.is_waived)
        return "; ".join(each.reason for each in asked if each.verdict is self.verdict)
