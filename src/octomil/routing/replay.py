"""What routing would have saved on requests of the past, and at what quality.

Nothing is sent anywhere: each logged request is routed again as the serving node routes it, in the
order of the log, and its tokens are counted for the models that it would have gone to. What the
node knows of its engines is left out: every model is taken to be able to answer every request.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from octomil.routing.conversations import Conversations
from octomil.routing.logged import LoggedRequest
from octomil.routing.router import TIER0_MODEL, DecomposedDecision, QueryRouter, RoutingDecision


@dataclass(slots=True)
class Share:
    """What one model would have got.

    Attributes:
        requests: how many; one of several tasks counts once, for the highest model at work.
        prompt_tokens: tokens read.
        completion_tokens: tokens written, as far as the log tells.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add_tokens(self, prompt: int, completion: int) -> None:
        """Count what was read and written for a request, or for one task of it."""
        self.prompt_tokens += prompt
        self.completion_tokens += completion


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
    """Route every request again.

    The log tells the tokens of a request, not of its tasks. So where a message asks for several
    things, the tokens of its answer are shared out evenly among the tasks that need a model, and
    each of these reads the whole prompt, as a long conversation must be read by each. It scores as
    the worst of the models at work, and a follow-up of its answer goes to no model weaker than the
    highest. Savings and quality are therefore rather understated.

    Args:
        requests: the log, oldest first.
        router: decides where each goes.
    """
    names = list(router.models)
    smallest, largest = names[0], names[-1]
    shares = {name: Share() for name in (TIER0_MODEL, *names)}
    total, without_usage = Share(), 0
    scored: list[tuple[float | None, float, float]] = []
    conversations = Conversations()
    for request in requests:
        decision = _decide(request, router, conversations)
        workers = _workers(decision)
        written = _split(request.completion_tokens or 0, len(workers))
        for name, tokens in zip(workers, written, strict=True):
            shares[name].add_tokens(request.prompt_tokens, tokens)
        shares[decision.model_name].requests += 1
        total.add_tokens(request.prompt_tokens, request.completion_tokens or 0)
        total.requests += 1
        without_usage += request.completion_tokens is None
        scores = _by_model(request.scores, smallest, largest)
        if {smallest, largest} <= scores.keys():
            scores[TIER0_MODEL] = scores[largest]  # an exact answer is at least as good
            known = [scores[name] for name in workers if name in scores]
            routed = min(known) if len(known) == len(workers) else None
            scored.append((routed, scores[smallest], scores[largest]))
    return Replay(shares, total, largest, _quality(scored), without_usage)


def _decide(
    request: LoggedRequest, router: QueryRouter, conversations: Conversations
) -> RoutingDecision:
    """Decide as the serving node does, and remember who leads the conversation."""
    route = router.route
    if request.may_split:
        route = partial(router.route_decomposed, max_answers=request.max_answers)
    leader = conversations.leader(request.messages)
    decision = route(request.messages, plain_text=request.plain_text, leader=leader)
    if decision.deterministic is None:
        conversations.remember(request.messages, decision.model_name)
    return decision


def _workers(decision: RoutingDecision) -> list[str]:
    """Name the model of each task that needs one; `tier0` where none does."""
    parts = decision.sub_decisions if isinstance(decision, DecomposedDecision) else (decision,)
    return [part.model_name for part in parts if part.deterministic is None] or [TIER0_MODEL]


def _split(tokens: int, parts: int) -> list[int]:
    """Share tokens out evenly; what is left over goes to the first.

    >>> _split(11, 3)
    [4, 4, 3]
    """
    each, left = divmod(tokens, parts)
    return [each + (at < left) for at in range(parts)]


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
