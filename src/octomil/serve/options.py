"""What `octomil serve` can be told; the command line is made from it."""

from dataclasses import dataclass
from pathlib import Path

from octomil.errors import ConfigurationError
from octomil.serve.keys import ClientKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How the node serves.

    Attributes:
        models: references of the models, smallest first.
        auto_route: answer `model: "auto"` with the cheapest able model.
        route_strategy: how the router decides.
        fallback: try the next model when one is not sure of its answer.
        decompose: route each task of a message that asks for several by itself.
        prices: `MODEL=PROMPT/COMPLETION`, US dollars for a million tokens each.
        spend_cap_usd: US dollars that priced models may cost a day; None for no limit.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        api_keys: bearer tokens clients may send, each `KEY` or `TENANT=KEY`; none accepts any or
            none.
        max_queue: requests that may wait for each model.
        queue_timeout_s: seconds a request may wait for its turn.
        body_timeout_s: seconds a request's body may take to arrive.
        breaker_failures: failures of an engine in a row after which it is not asked for a while; 0
            asks it whatever happens.
        audit_log: folder of the audit log; None keeps none.
        audit_content: keep redacted prompts in the audit log, too.
        cache_mib: memory each local model may use for prompts kept after their request.
        threads: CPU threads for each local model; None divides the cores among them.
        slots: requests each local model works on at once.
        context_tokens: tokens of prompt and answer per request; None takes 4096 or the model's.
        cors_origins: origins whose web pages may call the node.
        allowed_hosts: names the node goes by besides its address.
        allow_overcommit: load the models even if memory looks too small.
        drain_s: seconds running requests get to finish after SIGTERM.
        embedder: the model that answers embeddings requests; loaded by the first of them.
        on_demand: fetch and load what a request names, if the catalog, an alias or this machine's
            cache has it.
        memory_mib: memory that all models together may take then; None for what is free at start.
        idle_s: seconds without a request after which such a model is unloaded; 0 for never.

    Raises:
        ConfigurationError: the host or a key is empty, which would open the node unasked, or two
            tenants have the same key, content is to be kept without a log, an unsure answer is to
            be tried again without routing, or memory is bounded for models that cannot come.
    """

    models: tuple[str, ...]
    auto_route: bool = False
    route_strategy: str = "complexity"
    fallback: bool = False
    decompose: bool = True
    prices: tuple[str, ...] = ()
    spend_cap_usd: float | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    api_keys: tuple[str, ...] = ()
    max_queue: int = 32
    queue_timeout_s: float = 60.0
    body_timeout_s: float = 30.0
    breaker_failures: int = 5
    audit_log: Path | None = None
    audit_content: bool = False
    cache_mib: int = 256
    threads: int | None = None
    slots: int = 2
    context_tokens: int | None = None
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allow_overcommit: bool = False
    drain_s: float = 30.0
    embedder: str | None = "all-minilm-l6-v2"
    on_demand: bool = False
    memory_mib: int | None = None
    idle_s: float = 900.0

    def __post_init__(self) -> None:
        ClientKeys.parse(self.api_keys)
        if self.audit_content and self.audit_log is None:
            raise ConfigurationError("--audit-content needs an audit log: give --audit-log DIR")
        if self.memory_mib is not None and not self.on_demand:
            raise ConfigurationError("--memory needs --on-demand: it bounds what that loads")
        if self.fallback and not self.auto_route:
            raise ConfigurationError("--fallback needs --auto-route: only routed requests go on")
        if not self.host.strip():
            raise ConfigurationError(
                "the host is empty; leave --host out, or write 0.0.0.0 if every address is meant"
            )
