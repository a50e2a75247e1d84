"""Configurations survive every way in and out, and sources take precedence one by one."""

from collections.abc import Mapping
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from epochly.inference.config import InferenceConfig, load
from epochly.inference.config.environment import variable_of
from epochly.inference.config.inference import all_rules, flatten
from epochly.inference.config.rules import Rule

RULES = {path: rule for path, rule in all_rules().items() if path != "cache.privacy_mode"}
"""Every setting once: the privacy mode has a second name."""


def values(rule: Rule) -> st.SearchStrategy[Any]:
    """The values a setting may have, but for texts that the environment cannot hold."""
    text = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1)
    match rule.kind:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(int(rule.minimum or 0), int(rule.maximum or 2**40))
        case "number":
            return st.floats(rule.minimum, rule.maximum, allow_nan=False, allow_infinity=False)
        case "list":
            return st.lists(st.sampled_from(rule.choices) if rule.choices else text)
        case "text":
            return st.sampled_from(rule.choices) if rule.choices else text


def is_consistent(settings: Mapping[str, Any]) -> bool:
    """Whether no two settings contradict each other."""
    encrypted = settings.get("privacy.encrypt_at_rest", True)
    return encrypted or settings.get("privacy.mode") != "persisted_encrypted"


ANY_SETTINGS = st.fixed_dictionaries(
    {}, optional={path: values(rule) for path, rule in RULES.items()}
).filter(is_consistent)


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in settings.items():
        table, _, name = path.rpartition(".")
        (tree.setdefault(table, {}) if table else tree)[name] = value
    return tree


def as_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    return {variable_of(path): RULES[path].format(value) for path, value in settings.items()}


@given(ANY_SETTINGS)
def test_a_dictionary_goes_in_and_out(settings):
    config = InferenceConfig.from_dict(nested(settings))

    assert InferenceConfig.from_dict(config.to_dict()) == config
    found = dict(flatten(config.to_dict()))
    assert {path: found[path] for path in settings} == settings


@given(ANY_SETTINGS)
def test_the_environment_says_the_same_as_a_dictionary(settings):
    assert InferenceConfig.from_env(as_environment(settings)) == InferenceConfig.from_dict(
        nested(settings)
    )


@given(below=ANY_SETTINGS, above=ANY_SETTINGS)
def test_arguments_win_over_the_environment_one_by_one(below, above, tmp_path_factory):
    merged = below | above
    assume(is_consistent(merged))
    folder = tmp_path_factory.getbasetemp()

    loaded = load(nested(above), environ=as_environment(below), folder=folder)

    assert loaded.config == InferenceConfig.from_dict(nested(merged))
    for path in RULES:
        source = "argument" if path in above else variable_of(path) if path in below else "default"
        assert loaded.sources[path] == source
