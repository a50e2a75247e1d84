"""The node's audit log: who asked which model for what, and what was done to the node.

Texts are left out, unless the operator asks for them; then they are redacted first. Everything is
written by threads of its own, so that neither a disk nor a long text keeps a request waiting.
"""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from epochly.errors import EpochlyError
from epochly.inference.privacy.audit import AuditJournal, AuditLogger
from epochly.inference.privacy.redaction import InputRedactor
from octomil.errors import ConfigurationError
from octomil.serve.audited_content import redacted_content
from octomil.serve.observation import Observation
from octomil.serve.refusals import Refusals

MAX_WAITING_TEXTS = 1_024
_MAX_PATH_CHARS = 256

_log = logging.getLogger("octomil.serve")


class NodeAudit:
    """Notes each request when it has left, and each act that concerns the node itself.

    Args:
        folder: where the log is kept; made if need be, for one process at a time.
        content: whether redacted prompts are kept, too.
        max_waiting_texts: prompts that may wait to be redacted; a request that comes on top of
            them is noted without its own, and its record says so.
        clock: monotonic seconds.

    Raises:
        ConfigurationError: the log cannot be opened.
    """

    def __init__(
        self,
        folder: Path,
        *,
        content: bool = False,
        max_waiting_texts: int = MAX_WAITING_TEXTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            self._redactor = InputRedactor(["builtin:all"]) if content else None
            self._log = AuditLogger(1, journal=AuditJournal(folder))
        except EpochlyError as error:
            raise ConfigurationError(f"no audit log can be kept in {folder}: {error}") from error
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="octomil-audit")
        self._room = BoundedSemaphore(max_waiting_texts)
        self._refusals = Refusals(clock=clock)
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
        if seen.context is not None:
            details |= {"trace_id": seen.context.trace_id, "span_id": seen.context.span_id}
        if seen.all_in_vain:
            details["in_vain"] = [spent.model for spent in seen.all_in_vain]
        if seen.subtasks:
            details["subtasks"] = [part.model for part in seen.subtasks]
        text: Mapping[str, Any] | None = None
        if self._redactor is not None and seen.asked is not None:
            if self._room.acquire(blocking=False):
                text = seen.asked
            else:
                details["content_left_out"] = True
        self._tell_unlisted()
        self._submit("request", seen.model, seen.outcome, details, text)

    def refused_key(self, path: str, client: str | None, request_id: str) -> None:
        """Note a request without a valid key; of a flood of them, the first and how many more.

        Args:
            path: what it asked for.
            client: the address it came from.
            request_id: what it is called.
        """
        self._tell_unlisted()
        if self._refusals.lists():
            path = path[:_MAX_PATH_CHARS]
            self.act("key.refused", "401", path=path, client=client, request_id=request_id)

    def act(self, operation: str, result: str = "", **details: Any) -> None:
        """Note something other than a request.

        Args:
            operation: what happened, such as `node.start`.
            result: how it ended, where that is not plain.
            details: more about it.
        """
        self._submit(operation, None, result, details)

    def close(self) -> None:
        """Note that the node stops, and write what waits; closing twice is harmless."""
        if self._is_closed:
            return
        self._is_closed = True
        self._tell_unlisted(is_end=True)
        self.act("node.stop")
        self._writer.shutdown()
        self._log.close()

    def _tell_unlisted(self, *, is_end: bool = False) -> None:
        count = self._refusals.take_unlisted(is_end=is_end)
        if count:
            self.act("key.refused", "401", count=count)

    def _submit(
        self,
        operation: str,
        model: str | None,
        result: str,
        details: dict[str, Any],
        text: Mapping[str, Any] | None = None,
    ) -> None:
        self._writer.submit(self._write, operation, model, result, details, text)

    def _write(
        self,
        operation: str,
        model: str | None,
        result: str,
        details: dict[str, Any],
        text: Mapping[str, Any] | None,
    ) -> None:
        try:
            if self._redactor is not None and text is not None:
                details["content"] = redacted_content(text, self._redactor)
            self._log.log_event(operation, model, None, result, details)
        except Exception:  # noqa: BLE001 - the edge of a thread: nobody reads what its work raises
            _log.exception("a record of the audit log is lost")
        finally:
            if text is not None:
                self._room.release()
