"""What answers used: tokens and cost, by model and by who asked."""

from collections.abc import Sequence

from epochly.inference.metrics.instruments import Counter
from octomil.engines.base import Usage

_MODEL = ("model_name",)


class UsageCounters:
    """Counts what every answer used, those included that reached nobody.

    Attributes:
        metrics: the counters, for exposition.
    """

    def __init__(self) -> None:
        self.metrics: list[Counter] = []
        count = self._counter
        self._prompt = count("prompt_tokens_total", "Prompt tokens read.", _MODEL)
        self._cached = count(
            "prompt_tokens_cached_total", "Prompt tokens taken from a cache.", _MODEL
        )
        self._generated = count("generation_tokens_total", "Tokens generated.", _MODEL)
        self._cost = count("cost_usd_total", "What answers cost, in US dollars.", _MODEL)
        self._tenant_tokens = count(
            "tenant_tokens_total",
            "Tokens by who asked, `prompt` or `completion`.",
            ("tenant", "model_name", "direction"),
        )
        self._tenant_cost = count(
            "tenant_cost_usd_total",
            "What answers cost, in US dollars, by who asked.",
            ("tenant", "model_name"),
        )

    def _counter(self, name: str, doc: str, labels: Sequence[str]) -> Counter:
        counter = Counter(f"octomil:{name}", doc, labels)
        self.metrics.append(counter)
        return counter

    def add(self, tenant: str, model: str, usage: Usage, cost_usd: float | None) -> None:
        """Count one answer; a cost of None is not known."""
        self._prompt.add(usage.prompt_tokens, model)
        self._cached.add(usage.cached_tokens, model)
        self._generated.add(usage.completion_tokens, model)
        self._tenant_tokens.add(usage.prompt_tokens, tenant, model, "prompt")
        self._tenant_tokens.add(usage.completion_tokens, tenant, model, "completion")
        if cost_usd:
            self._cost.add(cost_usd, model)
            self._tenant_cost.add(cost_usd, tenant, model)
