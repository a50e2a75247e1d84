"""Which model leads which conversation, so that a follow-up does not go to a weaker one.

A follow-up is scored by its own few words (`and in Rust?`), which say nothing of how hard the
conversation is; and the model that led it so far still holds its prompt in its cache.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from threading import Lock
from typing import Any

from octomil.errors import ConfigurationError

_Message = Mapping[str, Any]

_MOST_MESSAGES = 128
_MOST_CHARS = 4_000
_MOST_PARTS = 32
_MOST_LEVELS = 4  # the address of a picture is on the third


class Conversations:
    """A bounded memory of conversations, told apart by everything said before the last answer.

    Nothing of a conversation is kept but a digest. Safe to share between threads.

    Args:
        max_entries: how many conversations to remember; those not heard of longest are forgotten.

    Raises:
        ConfigurationError: `max_entries` is negative.

    Example:
        >>> first = [{"role": "user", "content": "Write a parser for TOML."}]
        >>> leaders = Conversations()
        >>> leaders.remember(first, "large")
        >>> answered = [*first, {"role": "assistant", "content": "class Parser: ..."}]
        >>> leaders.leader([*answered, {"role": "user", "content": "Shorter."}])
        'large'
    """

    def __init__(self, max_entries: int = 4096) -> None:
        if max_entries < 0:
            raise ConfigurationError(
                f"max_entries={max_entries} makes no sense: give 0 (no memory) or more."
            )
        self._max_entries = max_entries
        self._leaders: OrderedDict[bytes, str] = OrderedDict()
        self._lock = Lock()

    def leader(self, messages: Sequence[_Message]) -> str | None:
        """Return the model that wrote the last answer in `messages`; None if that is not known."""
        for place in range(len(messages) - 1, 0, -1):
            if messages[place].get("role") == "assistant":
                key = _digest(messages[:place])
                with self._lock:
                    return self._leaders.get(key)
        return None

    def remember(self, messages: Sequence[_Message], model: str) -> None:
        """Note that `model` answered `messages`."""
        if not self._max_entries:
            return
        key = _digest(messages)
        with self._lock:
            self._leaders[key] = model
            self._leaders.move_to_end(key)
            while len(self._leaders) > self._max_entries:
                self._leaders.popitem(last=False)

    def __len__(self) -> int:
        return len(self._leaders)


def _digest(messages: Sequence[_Message]) -> bytes:
    """Digest roles and contents, each with its length, so that no two are the same by accident.

    The work is bounded: of very many messages, and of very long ones, both ends are read.
    """
    digest = blake2b(b"%d " % len(messages), digest_size=16)
    for message in _ends_of(messages, _MOST_MESSAGES):
        content = message.get("content")
        if not isinstance(content, str):
            content = json.dumps(_in_short(content), sort_keys=True)
        elif len(content) > _MOST_CHARS:
            content = _in_short(content)
        role, words = str(message.get("role")).encode(), content.encode(errors="surrogatepass")
        digest.update(b"%d %d " % (len(role), len(words)))
        digest.update(role)
        digest.update(words)
    return digest.digest()


def _ends_of(items: Sequence[Any], most: int) -> Sequence[Any]:
    """Return a sequence, or as much of its beginning and of its end if it is longer than `most`."""
    return items if len(items) <= most else [*items[: most // 2], *items[-(most // 2) :]]


def _in_short(value: Any, depth: int = 0) -> Any:
    """Return a JSON value, or of what is long both ends and the length; nothing of what is deep."""
    if isinstance(value, str):
        if len(value) <= _MOST_CHARS:
            return value
        return f"{len(value)} {value[: _MOST_CHARS // 2]}{value[-(_MOST_CHARS // 2) :]}"
    if not isinstance(value, (list, Mapping)):
        return value
    if depth == _MOST_LEVELS:
        return len(value)
    if isinstance(value, Mapping):
        items = islice(value.items(), _MOST_PARTS)
        return {name: _in_short(each, depth + 1) for name, each in items}
    return [len(value), *(_in_short(each, depth + 1) for each in _ends_of(value, _MOST_PARTS))]
