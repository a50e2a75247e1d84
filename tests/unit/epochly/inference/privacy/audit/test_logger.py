import logging
import math
import threading
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest

from epochly.errors import ConfigurationError
from epochly.inference import AuditLogger, InputRedactor, PrivacyConfig
from epochly.inference.privacy.audit import AuditJournal, open_audit_log, verify_audit_log
from epochly.inference.privacy.keys import derive_key
from support.audit_logs import KEY, lines_of

START = datetime(2026, 5, 1, tzinfo=UTC)


class WallClock:
    """A second passes between two readings."""

    def __init__(self) -> None:
        self.now = START - timedelta(seconds=1)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def test_an_event_becomes_the_documented_entry():
    log = AuditLogger(now=WallClock())

    assert log.log_event("gate", 7, "compile", "denied", {"error": 0.5}) is None

    assert log.get_entries() == [
        {
            "timestamp": START.timestamp(),
            "operation": "gate",
            "model_id": 7,
            "optimization_name": "compile",
            "result": "denied",
            "details": {"error": 0.5},
        }
    ]
    assert log.count == 1


def test_details_are_empty_by_default():
    log = AuditLogger()
    log.log_event("gate", 7, None, "allowed")

    assert log.get_entries()[0]["details"] == {}
    assert abs(log.get_entries()[0]["timestamp"] - datetime.now(UTC).timestamp()) < 60


def test_memory_keeps_the_newest():
    log = AuditLogger(max_entries=3)
    for number in range(5):
        log.log_event("gate", number, "x", "ok")

    assert [entry["model_id"] for entry in log.get_entries()] == [2, 3, 4]
    assert log.count == 3


def test_the_documented_bound():
    log = AuditLogger()
    for number in range(10_001):
        log.log_event("gate", number, "x", "ok")

    assert log.count == 10_000
    with pytest.raises(ConfigurationError, match="max_entries must be 1 or more, got 0"):
        AuditLogger(0)


def test_entries_since_a_moment_include_it():
    log = AuditLogger(now=WallClock())
    for number in range(4):
        log.log_event("gate", number, "x", "ok")

    since = log.get_entries_since(START.timestamp() + 2)

    assert [entry["model_id"] for entry in since] == [2, 3]


def test_what_is_handed_out_and_what_came_in_are_copies():
    log = AuditLogger()
    details = {"list": [1]}
    log.log_event("gate", 1, "x", "ok", details)
    details["list"].append(2)
    log.get_entries()[0]["details"]["list"].append(3)
    log.get_entries_since(0)[0]["details"]["list"].append(4)

    assert log.get_entries()[0]["details"] == {"list": [1]}


def test_result_and_details_are_redacted_before_they_are_kept():
    log = AuditLogger(redactor=InputRedactor(["builtin:email"]))

    log.log_event(
        "gate", "m", "x", "by ann@example.com", {"a": [b"ann@example.com", {1: "b@c.de"}]}
    )

    entry = log.get_entries()[0]
    assert entry["result"] == "by [REDACTED]"
    assert entry["details"] == {"a": ["[REDACTED]", {"1": "[REDACTED]"}]}


class Opaque:
    def __str__(self) -> str:
        return "x" * 5000


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (True, True),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (Fraction(1, 2), 0.5),
        (1 << 2000, hex(1 << 2000)),
        (b"\xffa", "\\xffa"),
        ({3, 1, 2}, [1, 2, 3]),
        ((1, "a"), [1, "a"]),
        (Opaque(), "x" * 1000),
        (None, None),
    ],
)
def test_values_are_kept_as_plain_json(tmp_path, value: object, kept: object):
    with AuditLogger(journal=AuditJournal(tmp_path)) as log:
        log.log_event("gate", 1, "x", value, {"v": value})
        entry = log.get_entries()[0]

    assert entry["result"] == kept
    assert entry["details"] == {"v": kept}
    assert verify_audit_log(tmp_path).records == 1


def test_what_is_nested_without_end_is_cut():
    endless: dict = {}
    endless["self"] = endless
    log = AuditLogger()

    log.log_event("gate", 1, "x", "ok", endless)

    assert "'self': {...}" in str(log.get_entries())


def test_a_flush_reaches_the_disk(tmp_path):
    log = AuditLogger(journal=AuditJournal(tmp_path), now=WallClock())
    log.log_event("gate", 1, "x", "ok")
    log.flush(timeout_s=120)

    assert b'"operation":"gate"' in lines_of(tmp_path)[0]
    assert log.journal.folder == tmp_path
    log.close()
    assert log.count == 1


def test_without_a_journal_there_is_nothing_to_flush_or_close():
    with AuditLogger() as log:
        log.log_event("gate", 1, "x", "ok")
        log.flush(timeout_s=120)

    assert log.journal is None
    assert log.count == 1


def test_a_journal_that_is_closed_never_breaks_the_caller(tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    log = AuditLogger(journal=AuditJournal(tmp_path))
    log.close()

    log.log_event("gate", 1, "x", "ok")

    assert log.count == 1
    assert "in memory only" in caplog.text


def test_memory_and_disk_have_one_order(tmp_path):
    with AuditLogger(journal=AuditJournal(tmp_path)) as log:
        threads = [
            threading.Thread(
                target=lambda n=n: [log.log_event("g", [n, i], "x", "ok") for i in range(50)]
            )
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        in_memory = [entry["model_id"] for entry in log.get_entries()]

    assert [line.split(b'"model_id":')[1].split(b',"op')[0] for line in lines_of(tmp_path)] == [
        f"[{n},{i}]".encode() for n, i in in_memory
    ]


def test_a_configuration_opens_a_keyed_and_redacted_log(tmp_path):
    config = PrivacyConfig(audit_log_path=str(tmp_path / "audit"))

    with open_audit_log(config, key_material=KEY, max_entries=2) as log:
        for _ in range(3):
            log.log_event("gate", 1, "x", "ok", {"from": "10.0.0.1"})
        assert log.count == 2
        assert log.get_entries()[0]["details"] == {"from": "[REDACTED]"}

    assert verify_audit_log(tmp_path / "audit", derive_key(KEY, "audit log")).records == 3


def test_a_configurations_own_patterns_replace_the_shipped_ones(tmp_path):
    config = PrivacyConfig(audit_log_path=str(tmp_path), redact_patterns=["ann"])

    with open_audit_log(config) as log:
        log.log_event("gate", 1, "x", "ok", {"from": "ann 10.0.0.1"})

    assert log.get_entries()[0]["details"] == {"from": "[REDACTED] 10.0.0.1"}
    assert verify_audit_log(tmp_path).records == 1


def test_a_disabled_log_leaves_the_disk_alone(tmp_path):
    config = PrivacyConfig(audit_log_path=str(tmp_path / "a"), audit_log_enabled=False)

    with open_audit_log(config) as log:
        log.log_event("gate", 1, "x", "ok", {"from": "10.0.0.1"})

    assert log.get_entries()[0]["details"] == {"from": "[REDACTED]"}
    assert not (tmp_path / "a").exists()


def test_encrypted_persistence_needs_its_key(tmp_path):
    config = PrivacyConfig(mode="persisted_encrypted", audit_log_path=str(tmp_path))

    with pytest.raises(ConfigurationError, match="needs an encryption key"):
        open_audit_log(config)


def test_memory_is_bounded_as_documented_without_a_disk_too():
    with open_audit_log(PrivacyConfig(audit_log_enabled=False)) as log:
        for _ in range(10_001):
            log.log_event("gate", 1, "x", "ok")

    assert log.count == 10_000
