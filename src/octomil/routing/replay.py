"""What routing would have saved on requests of the past, and at what quality.

Nothing is sent anywhere: each logged request is routed again, and its tokens are counted for the
model that it would have gone to.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from octomil.routing.complexity import text_of
from octomil.routing.router import TIER0_MODEL, QueryRouter

_CHARS_PER_TOKEN = 4
_ENVELOPES = ("body", "request", "response")

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request of a log.

    Attributes:
        messages: as they were sent.
        prompt_tokens: as the log counts them; else estimated, four characters each.
        completion_tokens: as the log counts them; None where it does not.
        scores: how well models answered it, from 0 to 1, by name.
    """

    messages: Sequence[Message]
    prompt_tokens: int
    completion_tokens: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_record(cls, record: Any) -> "LoggedRequest":
        """Read a request as gateways log it.

        The messages are `messages` or `prompt`, at the top or in `body` or `request`; the tokens
        are `usage`, at the top or in `response`; the scores are `scores` by model, or `weak` and
        `strong` as calibration has them.

        Raises:
            ValueError: there are no messages, or a field makes no sense.
        """
        if not isinstance(record, Mapping):
            raise ValueError('expected an object such as {"messages": [...]}')  # noqa: TRY004 - the value is at fault, in a file
        messages = _messages(_find(record, "messages", "prompt"))
        usage = _find(record, "usage") or {}
        if not isinstance(usage, Mapping):
            raise ValueError('"usage" must be an object')  # noqa: TRY004 - as above
        chars = sum(len(text_of(message.get("content"))) for message in messages)
        prompt_tokens = _count(usage, "prompt_tokens")
        if prompt_tokens is None:
            prompt_tokens = -(-chars // _CHARS_PER_TOKEN)
        return cls(messages, prompt_tokens, _count(usage, "completion_tokens"), _scores(record))


@dataclass(slots=True)
class Share:
    """What one model would have got.

    Attributes:
        requests: how many.
        prompt_tokens: tokens read.
        completion_tokens: tokens written, as far as the log tells.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, request: LoggedRequest) -> None:
        """Count a request."""
        self.requests += 1
        self.prompt_tokens += request.prompt_tokens
        self.completion_tokens += request.completion_tokens or 0


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean scores of the requests that the log has scores for.

    Attributes:
        requests: how many those are.
        routed: what they would have scored where routing sends them.
        smallest: what they score on the smallest model.
        largest: what they score on the largest model.
    """

    requests: int
    routed: float
    smallest: float
    largest: float

    @property
    def gap_recovered(self) -> float | None:
        """Share of what the largest model adds that routing keeps; None where it adds nothing."""
        gap = self.largest - self.smallest
        return (self.routed - self.smallest) / gap if gap > 0 else None


@dataclass(frozen=True, slots=True)
class Replay:
    """Where a log's requests would have gone.

    Attributes:
        shares: by model, `tier0` first.
        total: all requests together, which is what the largest model would have got.
        largest: its name.
        quality: None where the log has no scores of the smallest and the largest model, or lacks
            one of a model that such a request would have gone to.
        without_usage: requests whose completion tokens the log does not tell.
    """

    shares: Mapping[str, Share]
    total: Share
    largest: str
    quality: Quality | None
    without_usage: int

    def saved(self, cost: Callable[[str, int, int], float]) -> float | None:
        """Return the share of the cost that routing would have saved; None where all was free.

        Args:
            cost: what so many prompt and completion tokens cost on a model.
        """
        instead = cost(self.largest, self.total.prompt_tokens, self.total.completion_tokens)
        spent = sum(
            cost(name, share.prompt_tokens, share.completion_tokens)
            for name, share in self.shares.items()
            if name != TIER0_MODEL
        )
        return 1 - spent / instead if instead else None


def replay(requests: Iterable[LoggedRequest], router: QueryRouter) -> Replay:
    """Route every request again."""
    names = list(router.models)
    smallest, largest = names[0], names[-1]
    shares = {name: Share() for name in (TIER0_MODEL, *names)}
    total, without_usage = Share(), 0
    scored: list[tuple[float | None, float, float]] = []
    for request in requests:
        went_to = router.route(request.messages).model_name
        shares[went_to].add(request)
        total.add(request)
        without_usage += request.completion_tokens is None
        scores = _by_model(request.scores, smallest, largest)
        if {smallest, largest} <= scores.keys():
            # An exact answer is at least as good as the largest model's.
            routed = scores[largest] if went_to == TIER0_MODEL else scores.get(went_to)
            scored.append((routed, scores[smallest], scores[largest]))
    return Replay(shares, total, largest, _quality(scored), without_usage)


def _quality(scored: Sequence[tuple[float | None, float, float]]) -> Quality | None:
    """Average (routed, smallest, largest); leaving some requests out would favour one model."""
    known = [(routed, *ends) for routed, *ends in scored if routed is not None]
    if not known or len(known) < len(scored):
        return None
    routed, small, large = (sum(column) / len(known) for column in zip(*known, strict=True))
    return Quality(len(known), routed, small, large)


def _by_model(scores: Mapping[str, float], smallest: str, largest: str) -> dict[str, float]:
    """Give the scores of the weak and the strong model to the smallest and the largest."""
    names = {"weak": smallest, "strong": largest}
    return {names.get(name, name): score for name, score in scores.items()}


def _find(record: Mapping[str, Any], *names: str) -> Any:
    """Return the first of the fields, at the top or in an envelope inside an envelope."""
    for name in names:
        if record.get(name) is not None:
            return record[name]
    for envelope in _ENVELOPES:
        inner = record.get(envelope)
        if isinstance(inner, Mapping):
            found = _find(inner, *names)
            if found is not None:
                return found
    return None


def _messages(found: Any) -> list[Message]:
    if isinstance(found, str) and found.strip():
        return [{"role": "user", "content": found}]
    if not isinstance(found, list) or not found:
        raise ValueError('no "messages" and no "prompt", at the top, in "body" or in "request"')
    if not all(isinstance(message, Mapping) for message in found):
        raise ValueError('"messages" must be a list of objects')
    return found


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f'"{name}" must be a count, got {value!r}')
    return value


def _scores(record: Mapping[str, Any]) -> dict[str, float]:
    given = record.get("scores")
    if given is None:
        given = {name: record[name] for name in ("weak", "strong") if name in record}
    if not isinstance(given, Mapping):
        raise ValueError('"scores" must be an object: a score by model')  # noqa: TRY004 - the value is at fault, in a file
    for name, score in given.items():
        if not isinstance(score, int | float) or isinstance(score, bool) or not 0 <= score <= 1:
            raise ValueError(f"the score of {name!r} must be between 0 and 1, got {score!r}")
    return {str(name): float(score) for name, score in given.items()}
