"""The audit log: what was decided, in memory and in a hash-chained file that can be verified.

Threat model. Every record carries the digest of the one before it, and a *head* beside the files
says how far the log reaches. Without a key, :func:`~.verification.verify_audit_log` finds damage
and every change by someone who does not recompute the chain and the head. With a key, chain and
head are keyed (HMAC-SHA256), and whoever can write the files but does not know the key can neither
edit, insert, reorder nor remove a record, nor cut the log short, unnoticed, with two exceptions
that no file can defend itself against:

- going back to an older state of *all* files, head included, or deleting all of them;
- the records after the head, which a crash can leave and of which none was acknowledged.

Against the first, keep `AuditJournal.head` elsewhere now and then and give it to the verifier as
`expected`. Whoever knows the key, as the running process does, can write any history.
"""

from epochly._catalog import lazy_exports

_HOMES = {
    "AuditJournal": "epochly.inference.privacy.audit.journal",
    "AuditLogger": "epochly.inference.privacy.audit.logger",
    "AuditVerification": "epochly.inference.privacy.audit.verification",
    "chain_digest": "epochly.inference.privacy.audit.chain",
    "open_audit_log": "epochly.inference.privacy.audit.logger",
    "verify_audit_log": "epochly.inference.privacy.audit.verification",
}

__all__ = [
    "AuditJournal",
    "AuditLogger",
    "AuditVerification",
    "chain_digest",
    "open_audit_log",
    "verify_audit_log",
]

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
