"""The node's audit log: who asked which model for what, and what was done to the node.

Texts are left out, unless the operator asks for them; then they are redacted first. Everything is
written by threads of its own, so that neither a disk nor a long text keeps a request waiting.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from epochly.errors import EpochlyError
from epochly.inference.privacy.audit import AuditJournal, AuditLogger
from epochly.inference.privacy.redaction import InputRedactor
from octomil.errors import ConfigurationError
from octomil.serve.observation import Observation

MAX_TEXT_CHARS = 65_536
"""Of a prompt, so much is kept."""

_CONTENT = ("messages", "prompt", "input")

_encode = msgspec.json.Encoder().encode


class NodeAudit:
    """Notes each request when it has left, and each act that concerns the node itself.

    Args:
        folder: where the log is kept; made if need be, for one process at a time.
        content: whether redacted prompts are kept, too.

    Raises:
        ConfigurationError: the log cannot be opened.
    """

    def __init__(self, folder: Path, *, content: bool = False) -> None:
        try:
            self._redactor = InputRedactor(["builtin:all"]) if content else None
            self._log = AuditLogger(1, journal=AuditJournal(folder))
        except EpochlyError as error:
            raise ConfigurationError(f"no audit log can be kept in {folder}: {error}") from error
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="octomil-audit")
        self._is_closed = False

    def request(self, seen: Observation) -> None:
        """Note a request that has left."""
        details: dict[str, Any] = {
            "tenant": seen.tenant,
            "request_id": seen.request_id,
            "tier": seen.tier,
            "prompt_tokens": seen.usage.prompt_tokens,
            "completion_tokens": seen.usage.completion_tokens,
            "cost_usd": seen.total_cost_usd,
        }
        if seen.all_in_vain:
            details["in_vain"] = [spent.model for spent in seen.all_in_vain]
        if seen.subtasks:
            details["subtasks"] = [part.model for part in seen.subtasks]
        self._submit("request", seen.model, seen.outcome, details, seen.asked)

    def act(self, operation: str, result: str = "", **details: Any) -> None:
        """Note something other than a request.

        Args:
            operation: what happened, such as `node.start`.
            result: how it ended, where that is not plain.
            details: more about it.
        """
        self._submit(operation, None, result, details, None)

    def close(self) -> None:
        """Note that the node stops, and write what waits; closing twice is harmless."""
        if self._is_closed:
            return
        self._is_closed = True
        self.act("node.stop")
        self._writer.shutdown()
        self._log.close()

    def _submit(
        self,
        operation: str,
        model: str | None,
        result: str,
        details: dict[str, Any],
        asked: Mapping[str, Any] | None,
    ) -> None:
        self._writer.submit(self._write, operation, model, result, details, asked)

    def _write(
        self,
        operation: str,
        model: str | None,
        result: str,
        details: dict[str, Any],
        asked: Mapping[str, Any] | None,
    ) -> None:
        if self._redactor is not None and asked is not None:
            details["content"] = self._redactor.redact(_text_of(asked))
        self._log.log_event(operation, model, None, result, details)


def _text_of(asked: Mapping[str, Any]) -> str:
    """Return what the client wrote, cut between two words lest half a secret pass for none."""
    found = {field: asked[field] for field in _CONTENT if asked.get(field)}
    text = _encode(found).decode()
    if len(text) <= MAX_TEXT_CHARS:
        return text
    return text[:MAX_TEXT_CHARS].rpartition(" ")[0]
