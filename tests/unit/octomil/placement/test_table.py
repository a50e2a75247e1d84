"""The table that placement decides by."""

from octomil.placement.table import CLASSES, PLATFORMS, QUANTIZATIONS


def test_classes_are_the_documented_ones():
    assert {name: (each.memory_mb, each.model_mb) for name, each in CLASSES.items()} == {
        "flagship": (8_192, 2_048),
        "high": (6_144, 1_024),
        "mid": (4_096, 500),
        "low": (0, 200),
    }


def test_whoever_has_less_holds_less_and_is_slower():
    limits = list(CLASSES.values())

    assert limits == sorted(limits, key=lambda each: -each.memory_mb)
    assert limits == sorted(limits, key=lambda each: -each.model_mb)
    assert limits == sorted(limits, key=lambda each: each.slowness)
    assert limits[-1].memory_mb == 0, "every device has a class"


def test_special_hardware_is_faster_than_the_processor():
    for platform in PLATFORMS.values():
        paces = [
            each.ms_per_mb
            for each in (platform.npu, platform.gpu, platform.cpu)
            if each is not None
        ]
        assert paces == sorted(paces)


def test_quantisations_go_from_the_most_exact_to_the_least():
    assert list(QUANTIZATIONS.values()) == sorted(QUANTIZATIONS.values(), reverse=True)
