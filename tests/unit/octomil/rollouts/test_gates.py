"""What the gates say."""

import numpy as np
import pytest

from epochly.inference.statistics import Moments
from octomil.rollouts.evidence import Arm, Observation
from octomil.rollouts.findings import Judgement, Verdict
from octomil.rollouts.gates import judge
from octomil.rollouts.limits import Excess, Limits

OLD = Arm(devices=20_000, failed=400)
RNG = np.random.default_rng(5)
FEW, MANY = 800, 20_000


def told(candidate: Arm, baseline: Arm = OLD, *, settled: bool = False, **limits) -> Judgement:
    observation = Observation(fleet=100_000, candidate=candidate, baseline=baseline)
    return judge(Limits(**limits), observation, step=1, is_settled=settled)


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [(16, Verdict.PASS), (34, Verdict.INCONCLUSIVE), (56, Verdict.BREACH)],
)
def test_devices_that_fail_are_weighed_against_the_version_before(failed: int, verdict: Verdict):
    found = told(Arm(devices=FEW, failed=failed))

    assert found.verdict is verdict
    assert f"{failed} of 800 devices failed, 400 of 20000 on the version before" in found.reason


def test_early_bad_news_is_no_breach_while_the_others_are_under_way():
    """Failures are heard at once, health after the window: of 1,000 devices, 2 % have failed."""
    early = Arm(devices=20, failed=20, under_way=980)

    assert told(early).verdict is Verdict.INCONCLUSIVE
    assert told(Arm(devices=20, failed=20)).verdict is Verdict.BREACH


def test_who_is_under_way_lets_nothing_pass():
    assert told(Arm(devices=100, failed=2, under_way=900)).verdict is Verdict.INCONCLUSIVE


def test_early_bad_news_of_the_version_before_lets_nothing_pass():
    early = Arm(devices=600, failed=60, under_way=5_000)

    assert told(Arm(devices=FEW, failed=34), early).verdict is Verdict.INCONCLUSIVE
    ended = Arm(devices=5_600, failed=560)
    assert told(Arm(devices=FEW, failed=34), ended).verdict is Verdict.PASS


def test_the_same_bad_news_of_both_versions_is_none():
    """A network that breaks fails devices on either version."""
    assert told(Arm(devices=FEW, failed=160), Arm(devices=MANY, failed=4_000)).verdict in {
        Verdict.PASS,
        Verdict.INCONCLUSIVE,
    }


@pytest.mark.parametrize(
    ("devices", "failed", "verdict"),
    [
        (0, 0, Verdict.INCONCLUSIVE),
        (1, 0, Verdict.PASS),
        (1, 1, Verdict.BREACH),
        (5, 1, Verdict.INCONCLUSIVE),
        (4, 2, Verdict.BREACH),
        (199, 0, Verdict.PASS),
        (199, 4, Verdict.INCONCLUSIVE),
    ],
)
def test_below_the_minimum_sample_all_must_be_well(devices: int, failed: int, verdict: Verdict):
    few = Arm(devices=devices, failed=failed)

    assert told(few, settled=True).verdict is verdict
    assert told(few, settled=False).verdict is Verdict.INCONCLUSIVE


def test_without_a_version_before_the_expected_rate_takes_its_place():
    nobody = Arm()

    assert told(Arm(devices=FEW, failed=56), nobody).verdict is Verdict.BREACH
    assert told(Arm(devices=FEW, failed=16), nobody).verdict is Verdict.PASS
    assert told(Arm(devices=FEW, failed=56), nobody, expected_failures=0.08).verdict is Verdict.PASS
    assert "2.0% are expected" in told(Arm(devices=FEW, failed=16), nobody).reason


def arm_with(errors: float, log_latency: float, devices: int) -> Arm:
    shares = RNG.binomial(20, errors, devices) / 20
    return Arm(
        devices=devices,
        failed=devices // 50,
        error_shares=Moments.of(shares),
        log_latencies=Moments.of(RNG.normal(log_latency, 0.5, devices)),
    )


@pytest.mark.parametrize(
    ("errors", "slower", "gate", "verdict"),
    [
        (0.01, 0.0, None, Verdict.PASS),
        (0.06, 0.0, "errors", Verdict.BREACH),
        (0.01, 0.26, "latency", Verdict.BREACH),
    ],
)
def test_requests_that_fail_or_are_slow_stop_a_version(errors, slower, gate, verdict):
    found = told(arm_with(errors, 4.4 + slower, FEW), arm_with(0.01, 4.4, MANY))

    assert found.verdict is verdict
    stopping = [each.gate for each in found.findings if each.verdict is Verdict.BREACH]
    assert stopping == ([gate] if gate else [])
    assert gate is None or found.reason.startswith(gate)


def test_a_gate_without_data_is_waived_unless_it_is_required():
    candidate = Arm(devices=FEW, failed=16)
    demanding = Limits().errors

    assert told(candidate).verdict is Verdict.PASS
    required = Excess(demanding.tolerated, demanding.unacceptable, is_required=True)
    held = told(candidate, errors=required)

    assert held.verdict is Verdict.INCONCLUSIVE
    assert "too few" in held.reason


def test_a_gate_needs_enough_devices_of_either_version():
    few, many = arm_with(0.06, 4.4, 150), arm_with(0.01, 4.4, FEW)
    for candidate, baseline in ((few, many), (many, few)):
        errors = told(candidate, baseline).findings[1]
        assert (errors.is_waived, errors.verdict) == (True, Verdict.INCONCLUSIVE)


def test_latencies_are_shown_as_geometric_means():
    latency = told(arm_with(0.01, 4.4, FEW), arm_with(0.01, 4.4, MANY)).findings[2]

    assert latency.gate == "latency"
    assert latency.candidate == pytest.approx(np.exp(4.4), rel=0.1)
    assert latency.baseline == pytest.approx(np.exp(4.4), rel=0.1)
