"""The audit log keeps no request waiting, and ends whole."""

import threading

from epochly.inference.privacy.audit import AuditLogger, verify_audit_log
from octomil.serve.audit import NodeAudit
from octomil.serve.observation import Observation

PATIENCE_S = 30.0


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


def test_closing_twice_notes_one_stop(tmp_path):
    audit = NodeAudit(tmp_path)
    audit.close()
    audit.close()

    assert verify_audit_log(tmp_path).records == 1
