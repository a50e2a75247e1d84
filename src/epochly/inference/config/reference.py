"""The settings and the other variables as rows, from which the documentation is generated."""

from epochly.inference.config.environment import variable_of
from epochly.inference.config.inference import InferenceConfig, all_rules, flatten
from epochly.inference.config.variables import VARIABLES


def setting_table() -> list[tuple[str, str, str, str, str]]:
    """Rows of (setting, variable, default, what is allowed, meaning)."""
    defaults = dict(flatten(InferenceConfig().to_dict()))
    return [
        (path, variable_of(path), rule.format(defaults[path]), rule.allowed, rule.doc)
        for path, rule in all_rules().items()
    ]


def variable_table() -> list[tuple[str, str, str]]:
    """Rows of (variable, default, meaning) for the variables that are no settings."""
    return [(variable.name, variable.default, variable.doc) for variable in VARIABLES]
