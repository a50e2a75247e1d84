"""The audit log keeps no request waiting, and ends whole."""

import json
import threading

from epochly.inference.privacy.audit import AuditLogger, verify_audit_log
from octomil.serve.audit import NodeAudit
from octomil.serve.observation import Observation
from support.manual_clock import ManualClock

PATIENCE_S = 120.0


def entries_of(folder):
    lines = "".join(path.read_text() for path in sorted(folder.glob("*.jsonl"))).splitlines()
    return [json.loads(line)["entry"] for line in lines]


def details_of(folder):
    return [entry["details"] for entry in entries_of(folder)]


def test_slow_disk_keeps_nobody_waiting(tmp_path, monkeypatch):
    told: list[str] = []
    may_write = threading.Event()
    write = AuditLogger.log_event

    def slowly(log, *entry):
        may_write.wait(PATIENCE_S)
        told.append("written")
        write(log, *entry)

    monkeypatch.setattr(AuditLogger, "log_event", slowly)
    audit = NodeAudit(tmp_path)
    audit.request(Observation(model="small", outcome="stop"))
    told.append("returned")
    may_write.set()
    audit.close()

    assert told == ["returned", "written", "written"]
    assert verify_audit_log(tmp_path).records == 2


def test_long_texts_that_pile_up_are_left_out_and_told_so(tmp_path, monkeypatch):
    may_write = threading.Event()
    write = AuditLogger.log_event

    def slowly(log, *entry):
        may_write.wait(PATIENCE_S)
        write(log, *entry)

    monkeypatch.setattr(AuditLogger, "log_event", slowly)
    audit = NodeAudit(tmp_path, content=True, max_waiting_texts=3)
    for _ in range(5):
        audit.request(Observation(model="small", outcome="stop", asked={"prompt": "the sea"}))
    may_write.set()
    audit.close()

    *requests, _ = details_of(tmp_path)
    assert [details.get("content") for details in requests] == ['{"prompt":"the sea"}'] * 3 + [
        None
    ] * 2
    assert [details.get("content_left_out") for details in requests] == [None] * 3 + [True] * 2


def test_record_that_cannot_be_made_is_reported(tmp_path, caplog):
    audit = NodeAudit(tmp_path, content=True)
    audit.request(Observation(model="small", outcome="stop", asked={"prompt": object()}))
    audit.close()

    assert "a record of the audit log is lost" in caplog.text
    assert verify_audit_log(tmp_path).records == 1


def test_refused_keys_that_were_not_listed_are_told_with_what_comes_next(tmp_path):
    clock = ManualClock()
    audit = NodeAudit(tmp_path, clock=clock)
    for _ in range(25):
        audit.refused_key("/v1/models", "10.0.0.1", "r-1")
    clock.advance(60)
    audit.request(Observation(model="small", outcome="stop", asked={"prompt": "the sea"}))
    audit.close()

    *listed, told, request, stop = entries_of(tmp_path)
    assert len(listed) == 20
    assert (told["operation"], told["details"]) == ("key.refused", {"count": 5})
    assert (request["operation"], stop["operation"]) == ("request", "node.stop")
    assert "content" not in request["details"]


def test_closing_twice_notes_one_stop(tmp_path):
    audit = NodeAudit(tmp_path)
    audit.close()
    audit.close()

    assert verify_audit_log(tmp_path).records == 1
