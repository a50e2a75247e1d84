import pytest

from octomil.errors import ConfigurationError
from octomil.routing.tiers import TIER_NUMBERS, ModelInfo, assign_tiers


@pytest.mark.parametrize(
    ("count", "tiers"),
    [
        (1, ["fast"]),
        (2, ["fast", "quality"]),
        (3, ["fast", "balanced", "quality"]),
        (5, ["fast", "balanced", "balanced", "balanced", "quality"]),
    ],
)
def test_tiers_follow_the_position(count, tiers):
    names = [f"model-{i}" for i in range(count)]

    assigned = assign_tiers(names)

    assert list(assigned) == names
    assert [info.tier for info in assigned.values()] == tiers


def test_size_is_noted_but_decides_nothing():
    assigned = assign_tiers(["big", "small"], params_b={"big": 70.0, "small": 0.1})

    assert [(info.tier, info.param_b) for info in assigned.values()] == [
        ("fast", 70.0),
        ("quality", 0.1),
    ]


def test_headers_count_tiers_from_zero():
    assert TIER_NUMBERS == {"deterministic": 0, "fast": 1, "balanced": 2, "quality": 3}


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([], "no models to assign tiers to; name at least one"),
        (["a", "b", "a"], "model 'a' is named twice"),
    ],
)
def test_lists_that_make_no_order_are_refused(names, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        assign_tiers(names)


def test_unknown_tier_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError) as refused:
        ModelInfo(name="m", tier="deterministic")

    assert str(refused.value) == (
        "tier of 'm' must be 'fast', 'balanced' or 'quality', got 'deterministic'"
    )


def test_documented_way_to_describe_a_model_works():
    info = ModelInfo(name="smollm-360m", tier="fast", param_b=0.36)

    assert (info.name, info.tier, info.param_b) == ("smollm-360m", "fast", 0.36)
