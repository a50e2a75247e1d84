import json
from typing import Any

import pytest

from epochly.errors import ConfigurationError
from epochly.inference.config import InferenceConfig, load, setting_table
from epochly.inference.config.environment import variable_of
from epochly.inference.config.inference import all_rules, flatten
from epochly.inference.config.rules import Rule


@pytest.fixture
def project(tmp_path):
    """A folder three levels below a `pyproject.toml`; write its inference tables with it."""
    folder = tmp_path / "package" / "module"
    folder.mkdir(parents=True)

    def write(text: str, at=tmp_path):
        (at / "pyproject.toml").write_text(text, encoding="utf-8")
        return folder

    return write


def test_without_any_source_everything_is_default(tmp_path):
    loaded = load(environ={}, folder=tmp_path)

    assert loaded.config == InferenceConfig()
    assert set(loaded.sources.values()) == {"default"}


def test_each_value_comes_from_the_highest_source_that_names_it(project, tmp_path):
    folder = project(
        "[tool.epochly.inference]\nmax_level = 1\n[tool.epochly.inference.batching]\n"
        "max_wait_ms = 1\nmax_queue_depth = 11\nmax_batch_size = 21\n"
    )
    environ = {
        "EPOCHLY_INFERENCE_BATCHING_MAX_WAIT_MS": "2",
        "EPOCHLY_INFERENCE_BATCHING_MAX_QUEUE_DEPTH": "12",
    }

    loaded = load({"batching": {"max_wait_ms": 3}}, environ=environ, folder=folder)

    batching, sources = loaded.config.batching, loaded.sources
    assert (batching.max_wait_ms, sources["batching.max_wait_ms"]) == (3.0, "argument")
    assert batching.max_queue_depth == 12
    assert sources["batching.max_queue_depth"] == "EPOCHLY_INFERENCE_BATCHING_MAX_QUEUE_DEPTH"
    assert batching.max_batch_size == 21
    assert sources["batching.max_batch_size"] == str(tmp_path / "pyproject.toml")
    assert (loaded.config.max_level, batching.gpu_headroom_pct) == (1, 20)
    assert sources["batching.gpu_headroom_pct"] == "default"


def two_values(rule: Rule, default: Any) -> tuple[Any, Any]:
    """A value that differs from the default, and one that differs from that."""
    if rule.kind == "boolean":
        return not default, default
    if rule.kind in ("integer", "number"):
        return type(default)(default + 1), default
    if rule.kind == "list":
        return [rule.choices[-1] if rule.choices else "one"], ["pytorch" if rule.choices else "two"]
    return (rule.choices[1], default) if rule.choices else ("one", "two")


@pytest.mark.parametrize("path", all_rules())
def test_every_setting_has_its_four_sources_in_their_order(project, tmp_path, path):
    rule, (table, _, name) = all_rules()[path], path.rpartition(".")
    default = dict(flatten(InferenceConfig().to_dict()))[path]
    one, two = two_values(rule, default)
    header = ".".join(filter(None, ("tool.epochly.inference", table)))
    folder = project(f"[{header}]\n{name} = {json.dumps(one)}\n")
    variable, file = variable_of(path), str(tmp_path / "pyproject.toml")
    environ = {variable: rule.format(two)}
    arguments = {table: {name: one}} if table else {name: one}

    def found(*arguments: Any, **sources: Any) -> tuple[Any, str]:
        loaded = load(*arguments, **sources)
        return dict(flatten(loaded.config.to_dict()))[path], loaded.sources[path]

    assert found(environ={}, folder=tmp_path.parent) == (default, "default")
    assert found(environ={}, folder=folder) == (one, file)
    assert found(environ=environ, folder=folder) == (two, variable)
    assert found(arguments, environ=environ, folder=folder) == (one, "argument")


def test_the_nearest_file_with_our_table_counts(project, tmp_path):
    project("[tool.epochly.inference]\nmax_level = 1\n")
    project("[tool.epochly.inference]\nmax_level = 3\n", at=tmp_path / "package")
    folder = project("[tool.other]\nmax_level = 4\n", at=tmp_path / "package" / "module")

    assert load(environ={}, folder=folder).config.max_level == 3
    assert load(environ={}, folder=tmp_path).config.max_level == 1


def test_the_search_starts_in_the_working_directory(project, monkeypatch):
    monkeypatch.chdir(project("[tool.epochly.inference]\nmax_level = 0\n"))

    assert load(environ={}).config.max_level == 0


def test_the_process_s_environment_is_read_when_none_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("EPOCHLY_INFERENCE_CACHE_L1_SIZE", "3")

    assert load(folder=tmp_path).config.cache.l1_size == 3


def test_the_privacy_mode_s_two_names_take_precedence_as_one(project):
    folder = project('[tool.epochly.inference.cache]\nprivacy_mode = "persisted_encrypted"\n')
    environ = {"EPOCHLY_INFERENCE_PRIVACY_MODE": "hashes_only"}

    below = load(environ={}, folder=folder)
    above = load(environ=environ, folder=folder)

    assert below.config.privacy.mode == "persisted_encrypted"
    assert (above.config.privacy.mode, above.config.cache.privacy_mode) == ("hashes_only",) * 2
    assert above.sources["cache.privacy_mode"] == "EPOCHLY_INFERENCE_PRIVACY_MODE"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[tool.epochly.inference]\nmax_levl = 1\n", "unknown setting 'max_levl'; did you mean"),
        ("[tool.epochly.inference]\nmax_level = 9\n", "max_level must be an integer from 0 to 4"),
        ("[tool.epochly.inference]\nbatching = 9\n", "batching must be a dictionary; got 9"),
        ("[tool.epochly]\ninference = 3\n", "the configuration must be a dictionary; got 3"),
        ("[tool.epochly.inference\n", "cannot be read: "),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_name(project, tmp_path, text, complaint):
    folder = project(text)

    with pytest.raises(ConfigurationError) as refused:
        load(environ={}, folder=folder)

    assert str(refused.value).startswith(str(tmp_path / "pyproject.toml"))
    assert complaint in str(refused.value)


def test_arguments_are_refused_by_their_dotted_name(tmp_path):
    with pytest.raises(ConfigurationError, match=r"^batching\.max_wait_ms must be a number"):
        load({"batching": {"max_wait_ms": "5"}}, environ={}, folder=tmp_path)


def test_printed_it_says_where_each_value_came_from(tmp_path):
    loaded = load({"max_level": 1}, environ={}, folder=tmp_path)

    lines = str(loaded).splitlines()

    assert len(lines) == len(loaded.sources)
    assert "max_level = 1  # argument" in lines
    assert "privacy.redact_patterns = []  # default" in lines


def test_table_for_the_documentation_has_a_row_for_every_setting():
    rows = {path: row for path, *row in setting_table()}

    assert rows.keys() == load(environ={}).sources.keys()
    assert rows["batching.max_wait_ms"][:3] == [
        "EPOCHLY_INFERENCE_BATCHING_MAX_WAIT_MS",
        "50.0",
        "a number of at least 0",
    ]
    assert rows["enabled"][1] == "true"
    assert all(meaning.endswith(".") for *_, meaning in rows.values())
