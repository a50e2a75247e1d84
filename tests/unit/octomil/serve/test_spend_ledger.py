import signal
import subprocess
import sys
from contextlib import closing

import pytest

from octomil.errors import ConfigurationError, EngineUnavailableError
from octomil.serve.spend_ledger import SpendLedger

DAY = "2026-03-01"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "spending.sqlite3"


def test_what_is_set_aside_is_not_spent_until_it_is_settled(path):
    with closing(SpendLedger(path)) as ledger:
        reservation = ledger.reserve(DAY, 0.5, cap_usd=1)
        assert reservation is not None
        assert (ledger.spent_usd(DAY), ledger.committed_usd(DAY)) == (0, 0.5)

        ledger.settle(reservation, 0.2)

        assert (ledger.spent_usd(DAY), ledger.committed_usd(DAY)) == (0.2, 0.2)
        assert ledger.committed_usd("2026-03-02") == 0


RESERVE = """
import sys
from pathlib import Path
from octomil.serve.spend_ledger import SpendLedger

ledger = SpendLedger(Path(sys.argv[1]))
sys.stdin.read(1)
while ledger.reserve(sys.argv[2], 0.01, cap_usd=1.0):
    print("granted", flush=True)
"""


def test_nodes_that_reserve_at_once_stay_below_the_cap_together(path):
    nodes = [
        subprocess.Popen(
            [sys.executable, "-c", RESERVE, path, DAY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for node in nodes:
        node.stdin.write("!")
        node.stdin.flush()

    granted = [len(node.communicate(timeout=120)[0].splitlines()) for node in nodes]

    assert [node.returncode for node in nodes] == [0, 0, 0]
    assert 99 <= sum(granted) <= 100  # a hundred hundredths are not always one
    with closing(SpendLedger(path)) as ledger:
        assert ledger.committed_usd(DAY) == pytest.approx(sum(granted) / 100)


SPEND_AND_DIE = """
import os, signal, sys
from pathlib import Path
from octomil.serve.spend_ledger import SpendLedger

ledger = SpendLedger(Path(sys.argv[1]))
ledger.settle(ledger.reserve(sys.argv[2], 0.5, cap_usd=1.0), 0.25)
ledger.reserve(sys.argv[2], 0.5, cap_usd=1.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_node_set_aside_counts_for_the_rest_of_its_day(path):
    dead = subprocess.run([sys.executable, "-c", SPEND_AND_DIE, path, DAY], check=False)

    with closing(SpendLedger(path)) as ledger:
        assert dead.returncode == -signal.SIGKILL
        assert (ledger.spent_usd(DAY), ledger.committed_usd(DAY)) == (0.25, 0.75)
        assert ledger.reserve(DAY, 0.3, cap_usd=1.0) is None
        assert ledger.reserve("2026-03-02", 1.0, cap_usd=1.0) is not None


def test_ledger_that_stays_busy_is_said_so(path):
    with closing(SpendLedger(path)) as busy, closing(SpendLedger(path, busy_timeout_s=0)) as other:
        busy._database.execute("BEGIN IMMEDIATE")

        with pytest.raises(EngineUnavailableError, match="cannot be used: database is locked"):
            other.reserve(DAY, 0.1, cap_usd=1)

        busy._database.execute("ROLLBACK")
        assert other.reserve(DAY, 0.1, cap_usd=1) is not None


def test_a_transaction_that_fails_leaves_nothing_behind(path):
    with closing(SpendLedger(path)) as ledger:
        reservation = ledger.reserve(DAY, 0.5, cap_usd=1)
        ledger._database.execute("ALTER TABLE spent RENAME TO lost")
        with pytest.raises(EngineUnavailableError, match="no such table"):
            ledger.settle(reservation, 0.2)
        ledger._database.execute("ALTER TABLE lost RENAME TO spent")

        assert ledger.committed_usd(DAY) == 0.5


def test_a_ledger_that_cannot_be_kept_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot keep the spend ledger"):
        SpendLedger(tmp_path / "file" / "ledger.sqlite3")


def test_a_file_that_is_none_is_said_so(tmp_path):
    broken = tmp_path / "ledger.sqlite3"
    broken.write_bytes(b"not a database, and long enough to be read as one" * 100)
    with pytest.raises(ConfigurationError, match="cannot keep the spend ledger"):
        SpendLedger(broken)
