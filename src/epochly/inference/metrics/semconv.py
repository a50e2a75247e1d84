"""How our metrics are called in OpenTelemetry.

The conventions for generative AI are in development
(https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md),
so their names are used only on demand: with `gen_ai_latest_experimental` among the
comma-separated values of `OTEL_SEMCONV_STABILITY_OPT_IN`
(https://opentelemetry.io/docs/specs/semconv/gen-ai/), and then instead of ours, not beside them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from epochly.inference.metrics.families import PREFIX
from epochly.inference.metrics.generation import OK
from epochly.inference.metrics.instruments import Kind, Metric, Value

OPT_IN = "gen_ai_latest_experimental"

Attributes = dict[str, str]

_OURS = "epochly.inference."

# Prometheus name without its prefix: OpenTelemetry name without its, and the unit by UCUM.
_OWN = {
    "requests_total": ("requests", "{request}"),
    "request_duration_seconds": ("request.duration", "s"),
    "requests_in_flight": ("requests.active", "{request}"),
    "inferences_per_model": ("inferences", "{inference}"),
    "model_latency_seconds": ("inference.duration", "s"),
    "samples_total": ("samples", "{sample}"),
    "errors_total": ("errors", "{error}"),
    "gpu_seconds_total": ("gpu.time", "s"),
    "gpu_utilization": ("gpu.utilization", "1"),
    "gpu_memory_utilization": ("gpu.memory.utilization", "1"),
    "generation_duration_seconds": ("generation.duration", "s"),
    "time_to_first_token_seconds": ("time_to_first_token", "s"),
    "inter_token_latency_seconds": ("inter_token_latency", "s"),
    "queue_time_seconds": ("queue.duration", "s"),
    "tokens_per_generation": ("generation.tokens", "{token}"),
    "prompt_tokens_total": ("tokens.prompt", "{token}"),
    "prompt_tokens_cached_total": ("tokens.prompt.cached", "{token}"),
    "completion_tokens_total": ("tokens.completion", "{token}"),
    "cost_usd_total": ("cost", "USD"),
    "cache_hits_total": ("cache.hits", "{hit}"),
    "cache_misses_total": ("cache.misses", "{miss}"),
    "cache_hit_rate": ("cache.hit_ratio", "1"),
    "labels_dropped_total": ("labels.dropped", "{record}"),
    "cost_per_1k_requests_usd": ("cost.per_1k_requests", "USD"),
    "cost_savings_per_hour_usd": ("cost.savings_per_hour", "USD"),
    "cost_savings_per_month_usd": ("cost.savings_per_month", "USD"),
    "safety_breaker_state": ("safety.breaker.state", "1"),
    "safety_drift_ewma": ("safety.drift.ewma", "1"),
    "safety_goldens": ("safety.goldens", "{golden}"),
}
_GEN_AI = {
    "generation_duration_seconds": ("gen_ai.server.request.duration", "s"),
    "time_to_first_token_seconds": ("gen_ai.server.time_to_first_token", "s"),
    "inter_token_latency_seconds": ("gen_ai.server.time_per_output_token", "s"),
    "tokens_per_generation": ("gen_ai.client.token.usage", "{token}"),
}
_GEN_AI_LABELS = {
    "model": "gen_ai.request.model",
    "operation": "gen_ai.operation.name",
    "type": "gen_ai.token.type",
    "outcome": "error.type",
}


@dataclass(frozen=True, slots=True)
class Instrument:
    """A metric as OpenTelemetry sees it."""

    name: str
    unit: str
    kind: Kind
    metric: Metric
    provider_name: str | None

    def points(self) -> Iterable[tuple[Attributes, Value]]:
        """Return the present values with their attributes."""
        for labels, value in self.metric.collect():
            attributes = dict(zip(self.metric.labels, map(str, labels), strict=True))
            yield self._named(attributes), value

    def _named(self, labels: Attributes) -> Attributes:
        if self.provider_name is None:
            return {f"epochly.{label}": value for label, value in labels.items()}
        if labels.get("outcome") == OK:
            del labels["outcome"]  # error.type is absent where there was no error
        named = {_GEN_AI_LABELS[label]: value for label, value in labels.items()}
        return named | {"gen_ai.provider.name": self.provider_name}


def opted_in(value: str) -> bool:
    """Read the variable's value: whether the conventions for generative AI are asked for."""
    return OPT_IN in (word.strip() for word in value.split(","))


def instrument(metric: Metric, *, gen_ai: bool, provider_name: str) -> Instrument:
    """Name a metric.

    Args:
        metric: one that this package makes.
        gen_ai: by the conventions where they have a name for it.
        provider_name: their `gen_ai.provider.name`.
    """
    key = metric.name.removeprefix(PREFIX)
    if gen_ai and key in _GEN_AI:
        name, unit = _GEN_AI[key]
        return Instrument(name, unit, metric.kind, metric, provider_name)
    name, unit = _OWN[key]
    return Instrument(f"{_OURS}{name}", unit, metric.kind, metric, None)
