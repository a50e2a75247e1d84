"""Names that say nothing, and words that belong to one machine."""

import re
import subprocess

import pytest

from support.documents import ROOT

EMPTY_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "stuff"}

# In pieces, so that this file does not hold what it looks for.
FOREIGN = re.compile(
    "|".join(
        (
            r"(?<![\w.~-])/" + r"(?:root|work|home/\w+|Users/\w+)/",
            r"/opt/" + r"(?:pypi|wheels)",
            r"pypi\." + r"org",
            r"files\." + r"pythonhosted",
            r"registry\." + r"npmjs",
        )
    )
)


def tracked() -> list[str]:
    """Every file of the repository that is, or would be, committed."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip("this is no git repository")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_module_has_an_empty_name():
    parts = {
        part.removesuffix(".py").strip("_")
        for path in (ROOT / "src").rglob("*")
        for part in path.relative_to(ROOT / "src").parts
    }

    assert parts & EMPTY_NAMES == set()


def test_no_module_hides_a_documented_function():
    assert not (ROOT / "src/octomil/embed.py").exists()
    assert not (ROOT / "src/epochly/wrap.py").exists()


def test_no_file_knows_the_machine_it_was_written_on():
    found = []
    for name in tracked():
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {match[0]}" for match in FOREIGN.finditer(text)]

    assert found == []


@pytest.mark.parametrize(
    ("text", "is_foreign"),
    [
        ("cd /wo" + "rk/main", True),
        ("/ro" + "ot/.cache", True),
        ("https://pypi." + "org/simple", True),
        ("~/work/models", False),
        ("docs/work/", False),
        ("a network/root/thing", False),
    ],
)
def test_the_pattern_finds_what_it_should(text: str, is_foreign: bool):
    assert bool(FOREIGN.search(text)) is is_foreign
