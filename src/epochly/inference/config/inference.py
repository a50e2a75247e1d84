"""The whole configuration, and its two documented ways in: a dictionary and the environment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, Self

from epochly.errors import ConfigurationError
from epochly.inference.config.environment import ENVIRONMENT, read_environment
from epochly.inference.config.rules import Rule, check_settings, rules_of, setting
from epochly.inference.config.tables import (
    BatchingConfig,
    CacheSettings,
    CompilationConfig,
    PrivacyConfig,
)

FRAMEWORKS = ("pytorch", "transformers", "onnxruntime")

_LEVEL_DOC = (
    "Highest level of enhancement: 0 observes, 1 adds cache and batching, 2 compilation, "
    "3 replicas, 4 lower precision."
)
_NOT_GIVEN: Any = None


@dataclass(frozen=True)
class InferenceConfig:
    """What the inference side of Epochly may do; constructing one reads nothing from outside.

    `privacy.mode` and `cache.privacy_mode` are one setting under two names. Whichever of the two
    tables is left out takes it from the other.

    Raises:
        ConfigurationError: a setting is of the wrong type or outside its limits, or the two
            names of the privacy mode disagree.

    Example:
        >>> InferenceConfig(max_level=1).batching.max_wait_ms
        50.0
    """

    enabled: bool = setting(True, "boolean", "Optimise at all.")
    max_level: int = setting(2, "integer", _LEVEL_DOC, minimum=0, maximum=4)
    frameworks: list[str] = setting(
        list(FRAMEWORKS), "list", "Frameworks whose models are accepted.", choices=FRAMEWORKS
    )
    batching: BatchingConfig = field(default_factory=BatchingConfig)
    compilation: CompilationConfig = field(default_factory=CompilationConfig)
    # None only until __post_init__ has seen which of the two were given.
    cache: CacheSettings = _NOT_GIVEN
    privacy: PrivacyConfig = _NOT_GIVEN

    def __post_init__(self) -> None:
        check_settings(self)
        stated = (self._mode_of(table) for table in _MODE_NAMES)
        mode = next(filter(None, stated), None)
        for table, name in _MODE_NAMES.items():
            if getattr(self, table) is _NOT_GIVEN:
                object.__setattr__(self, table, _with_mode(TABLES[table](), name, mode))
        for name, kind in TABLES.items():
            if not isinstance(getattr(self, name), kind):
                given = type(getattr(self, name)).__name__
                raise ConfigurationError(
                    f"InferenceConfig.{name} must be a {kind.__name__}; got a {given}"
                )
        if self.cache.privacy_mode != self.privacy.mode:
            raise ConfigurationError(
                f"cache.privacy_mode is {self.cache.privacy_mode!r} and privacy.mode is "
                f"{self.privacy.mode!r}; they are one setting, give one or give both the same"
            )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a configuration from nested dictionaries; what they leave out is default.

        Raises:
            ConfigurationError: a key is unknown (the nearest known one is named), or a value
                is of the wrong type or outside its limits.

        Example:
            >>> InferenceConfig.from_dict({"batching": {"max_wait_ms": 5}}).batching.max_wait_ms
            5.0
        """
        return cls.from_settings(dict(flatten(data)))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = ENVIRONMENT) -> Self:
        """Build a configuration from `EPOCHLY_INFERENCE_*` variables; the rest is default.

        Raises:
            ConfigurationError: a variable of that prefix is unknown (the nearest known one is
                named), or its value cannot be read.
        """
        return cls.from_settings(
            {path: value for path, (value, _) in read_environment(environ, all_rules()).items()}
        )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a configuration from settings by their dotted names.

        Raises:
            ConfigurationError: as `from_dict`.
        """
        tables: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
        top: dict[str, Any] = {}
        for path, value in settings.items():
            table, _, name = path.rpartition(".")
            (tables[table] if table else top)[name] = check_setting(path, value)
        given = {name: TABLES[name](**values) for name, values in tables.items() if values}
        if tables["cache"] and tables["privacy"]:
            _share_mode(tables, given)
        return cls(**top, **given)

    def to_dict(self) -> dict[str, Any]:
        """Return nested dictionaries, from which `from_dict` makes an equal configuration."""
        return _to_dict(self)

    def _mode_of(self, table: str) -> str | None:
        """The privacy mode that a given table states; None if the table was left out."""
        given = getattr(self, table)
        return None if given is None else getattr(given, _MODE_NAMES[table], None)


TABLES: Mapping[str, type] = {
    "batching": BatchingConfig,
    "compilation": CompilationConfig,
    "cache": CacheSettings,
    "privacy": PrivacyConfig,
}

_MODE_NAMES = {"cache": "privacy_mode", "privacy": "mode"}

MODE_PATHS = tuple(f"{table}.{name}" for table, name in _MODE_NAMES.items())
"""The two names of the privacy mode."""


def _with_mode(table: Any, name: str, mode: str | None) -> Any:
    return table if mode is None else replace(table, **{name: mode})


def _share_mode(tables: Mapping[str, Mapping[str, Any]], given: dict[str, Any]) -> None:
    """Let the table that does not state the privacy mode take it from the one that does."""
    stating = [table for table, name in _MODE_NAMES.items() if name in tables[table]]
    if len(stating) == 1:
        mode = tables[stating[0]][_MODE_NAMES[stating[0]]]
        for table, name in _MODE_NAMES.items():
            given[table] = _with_mode(given[table], name, mode)


def _to_dict(table: Any) -> dict[str, Any]:
    values = {spec.name: getattr(table, spec.name) for spec in fields(table)}
    return {
        name: _to_dict(value) if is_dataclass(value) else _copied(value)
        for name, value in values.items()
    }


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def all_rules() -> dict[str, Rule]:
    """Return the rule of every setting by its dotted name, in the order of the documentation."""
    nested = {
        f"{table}.{name}": rule
        for table, kind in TABLES.items()
        for name, rule in rules_of(kind).items()
    }
    return rules_of(InferenceConfig) | nested


def check_setting(path: str, value: object) -> Any:
    """Return a setting's value in its own type.

    Raises:
        ConfigurationError: there is no such setting, or the value is not allowed.
    """
    known = all_rules()
    if path not in known:
        table = path.rpartition(".")[0]
        raise ConfigurationError(unknown("setting", path, [*known, *TABLES], within=table))
    try:
        return known[path].check(value)
    except ConfigurationError as err:
        raise ConfigurationError(f"{path} {err}") from None


def unknown(noun: str, name: str, known: list[str], *, within: str = "") -> str:
    """Return the complaint about an unknown name, with the nearest known one."""
    siblings = [other for other in known if within and other.startswith(f"{within}.")]
    near = get_close_matches(name, siblings, n=1, cutoff=0.5) or get_close_matches(name, known, n=1)
    return f"unknown {noun} {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def flatten(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings of nested dictionaries by their dotted names.

    Raises:
        ConfigurationError: `data`, or what stands in the place of a table, is no dictionary.
    """
    if not isinstance(data, Mapping):
        raise ConfigurationError(f"the configuration must be a dictionary; got {data!r}")
    for name, value in data.items():
        if name not in TABLES:
            yield str(name), value
            continue
        if not isinstance(value, Mapping):
            raise ConfigurationError(f"{name} must be a dictionary; got {value!r}")
        for inner, inner_value in value.items():
            yield f"{name}.{inner}", inner_value
