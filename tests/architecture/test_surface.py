"""`tests/surface.toml` has every documented name, and what it says of each is true."""

import inspect
import re
from collections import Counter
from importlib import import_module

import pytest

from support.documents import ROOT
from support.needs import skip_or_fail
from support.seed_document import FOLDER
from support.surface import ABSENT, Row, Section, has_test, is_anywhere, read_table, shortfalls

SECTIONS = read_table()
ROWS = [row for section in SECTIONS for row in section.rows]
SEEDS = sorted({section.seed for section in SECTIONS})

FOREIGN = {
    "000": {"content", "end", "flush", "loss", "role"},
    "001": set(),
    "002": {"attention_mask", "input_ids"},
    "003": {"Authorization", "api_key", "base_url", "headers", "json", "tier"},
}
"""Words of the examples that are no names of ours: what they pass to other people's libraries."""

sections = pytest.mark.parametrize("section", SECTIONS, ids=str)
seeds = pytest.mark.parametrize("seed", SEEDS)


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """The documents by their numbers."""
    found = {path.name[:3]: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")}
    if not found:
        skip_or_fail(f"the published documents are not at {FOLDER}")
    return found


def listed(seed: str, *kinds: str) -> set[str]:
    """The words of all rows of a document, or of those of some kinds."""
    rows = [row for row in ROWS if row.seed == seed and (row.kind in kinds or not kinds)]
    return {word for row in rows for word in row.words}


@sections
def test_what_is_said_to_work_does(section: Section):
    there = [row for row in section.rows if row.state != ABSENT]

    assert {str(row): found for row in there if (found := shortfalls(row))} == {}


@sections
def test_what_is_said_to_be_absent_is(section: Section):
    there = [str(row) for row in section.rows if row.state == ABSENT and is_anywhere(row)]

    assert there == [], "these work now: name the test that verifies them"


@sections
def test_what_is_said_to_be_verified_names_a_test_that_is_there(section: Section):
    verified = [row for row in section.rows if row.is_verified]

    assert [str(row) for row in verified if not has_test(row.state)] == []
    assert [str(row) for row in verified if not is_named_beside(row)] == []


def is_named_beside(row: Row) -> bool:
    """Whether the file of a row's test names it; the snippets' own tests name nothing."""
    path = ROOT / row.state.partition("::")[0]
    if row.kind != "python" or path.parent.name == "docs":
        return True
    name = re.match(r"(?:\w+ )?(?:\w+\.)*(\w+)", row.text)[1]
    return name in path.read_text(encoding="utf-8")


@sections
def test_constructors_need_nothing_that_is_not_documented(section: Section):
    for row in section.rows:
        if row.kind != "python" or row.state == ABSENT or not row.text.isidentifier():
            continue
        documented = parameters_of(section, row)
        value = getattr(import_module(row.homes[0]), row.text)
        if documented and inspect.isclass(value):
            needed = {
                name
                for name, parameter in inspect.signature(value).parameters.items()
                if parameter.default is parameter.empty
                and parameter.kind is not parameter.VAR_KEYWORD
            }
            assert needed <= documented, row.text


def parameters_of(section: Section, owner: Row) -> set[str]:
    """The documented parameters and fields of a class."""
    pattern = re.compile(rf"{owner.text}(?:\((\w+)(?:=.*)?\)|\.(\w+)(?: = .*)?)")
    found = (pattern.fullmatch(row.text) for row in section.rows if row.kind == "python")
    return {match[1] or match[2] for match in found if match}


@sections
def test_headings_and_names_are_those_of_the_document(section: Section, texts):
    text = texts[section.seed]

    assert section.title in text.splitlines()
    assert {str(row) for row in section.rows if not all(w in text for w in row.words)} == set()


def test_no_name_is_listed_twice():
    counts = Counter((row.seed, row.kind, row.text, row.homes) for row in ROWS)

    assert [name for name, count in counts.items() if count > 1] == []


@seeds
def test_no_word_of_the_document_s_code_is_left_out(seed: str, texts):
    text = texts[seed]
    keywords = set(re.findall(r"\b([a-z]\w*)=(?!=)", text)) if seed != "002" else set()
    keys = set(re.findall(r'"(\w+)": ', text))

    assert (keywords | keys) - listed(seed) - FOREIGN[seed] == set()


@seeds
def test_no_flag_header_path_or_variable_is_left_out(seed: str, texts):
    text = texts[seed]
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    headers = set(re.findall(r"\bX-[A-Z][\w-]+", text))
    paths = set(re.findall(r"(?<![\w.])(/(?:api/)?v1/[a-z/{}_]*[a-z}])", text))
    variables = set(re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)+", text))

    # The documents lost the space behind some of their words.
    for kind, found in (("cli", flags), ("headers", headers), ("environment", variables)):
        known = tuple(listed(seed, kind))
        assert {name for name in found if not name.startswith(known)} == set()
    assert {path for path in paths if not any(path in row.text for row in ROWS)} == set()


def test_no_bullet_of_the_reference_is_left_out(texts):
    """Every parameter, method, property and field of the reference stands in its own section."""
    titles = {section.title: section for section in SECTIONS if section.seed == "002"}
    section, bullets = None, 0
    for line in texts["002"].splitlines():
        section = titles.get(line, section)
        if line.startswith("  • "):
            found = re.match(r"  • (?:async )?(\w+)(?:\((.*?)\))?", line)
            words = {word for row in section.rows for word in row.words}
            parameters = re.findall(r"\*{0,2}(\w+)(?::[^,]*)?(?:=[^,]*)?(?:, |$)", found[2] or "")
            assert {found[1], *parameters} <= words, line
            bullets += 1

    assert bullets == 191


def test_no_metric_of_the_reference_is_left_out(texts):
    metrics = [row.text.replace(" ", "") for row in ROWS if row.kind == "metrics"]
    lines = [line for line in texts["002"].splitlines() if line.startswith("epochly_inference_")]

    assert len(lines) == len(metrics)
    assert all(line.startswith(metric) for line, metric in zip(lines, metrics, strict=True))


def test_the_states_are_counted(capsys):
    counts = Counter(
        ABSENT if row.state == ABSENT else "verified" if row.is_verified else "works"
        for row in ROWS
    )
    with capsys.disabled():
        print(f"\ndocumented names: {dict(counts)}, {len(ROWS)} in all")

    assert set(counts) <= {"absent", "works", "verified"}


ROUTER = "octomil.routing.router"


@pytest.mark.parametrize(
    ("kind", "text", "works"),
    [
        ("python", "QueryRouter", True),
        ("python", "NoSuchRouter", False),
        ("python", "QueryRouter(strategy='complexity')", True),
        ("python", "QueryRouter(strategy='other')", False),
        ("python", "QueryRouter(no_such_parameter)", False),
        ("python", "QueryRouter.route(_)", True),
        ("python", "QueryRouter.no_such_method()", False),
        ("python", "async QueryRouter.route(_)", False),
        ("python", "classmethod QueryRouter.route(_)", False),
        ("python", "QueryRouter.get_fallback()", False),
        ("python", "QueryRouter.get_fallback(model_name, more)", False),
        ("python", "RoutingDecision.reason = ''", True),
        ("python", "RoutingDecision.reason = 'x'", False),
        ("python", "RoutingDecision.model_name", True),
        ("python", "RoutingDecision.tier_number", True),
        ("keys", "QueryRouter.route: tier", True),
        ("keys", "QueryRouter.no_such_method: tier", False),
        ("metrics", "epochly_inference_requests_total counter", True),
        ("metrics", "epochly_inference_requests_total gauge", False),
        ("http", "GET /v1/routing/stats", True),
        ("http", "POST /v1/routing/stats", False),
        ("fields", "GET /v1/routing/stats > total_requests", True),
        ("fields", "GET /v1/nowhere > total_requests", False),
        ("headers", "X-Octomil-Routed-Model", True),
        ("headers", "X-No-Such" + "-Header", False),
        ("cli", "octomil serve --models", True),
        ("cli", "octomil serve --no-such-flag", False),
        ("cli", "octomil no-such-command", False),
        ("environment", "LLM_BACKEND_TIMEOUT = 30", True),
        ("environment", "LLM_BACKEND_TIMEOUT = 31", False),
        ("environment", "NO_SUCH" + "_VARIABLE", False),
    ],
)
def test_the_table_is_compared_with_what_is_there(kind: str, text: str, works: bool):
    assert (shortfalls(Row("000", kind, text, "works", (ROUTER,))) == []) is works


@pytest.mark.parametrize(
    ("node_id", "exists"),
    [
        ("tests/architecture/test_surface.py::test_no_name_is_listed_twice", True),
        ("tests/architecture/test_surface.py::test_no_such_test", False),
        ("tests/architecture/test_surface.py::listed", False),
        ("tests/architecture/test_surface.py", False),
        ("tests/architecture/test_nowhere.py::test_x", False),
    ],
)
def test_a_test_is_looked_for_by_its_name(node_id: str, exists: bool):
    assert has_test(node_id) is exists
