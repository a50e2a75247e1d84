import subprocess
import sys
from pathlib import Path

OPEN = """
import sys
from octomil.control.stores.catalog import open_store

open_store(sys.argv[1]).close()
print("alembic" in sys.modules)
"""


def needs_alembic(url: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", OPEN, url], capture_output=True, text=True, check=True
    )
    return {"True\n": True, "False\n": False}[done.stdout]


def test_alembic_is_imported_only_to_change_something(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/x.sqlite3"

    assert needs_alembic(url)
    assert not needs_alembic(url)


def test_revisions_follow_one_another_without_a_gap():
    from alembic.script import ScriptDirectory

    from octomil.control.stores.revisions import _MIGRATIONS, known_revisions

    script = ScriptDirectory(str(_MIGRATIONS))

    assert [each.revision for each in script.walk_revisions()][::-1] == known_revisions()
    assert script.get_heads() == known_revisions()[-1:]
