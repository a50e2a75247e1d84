"""What `octomil serve` can be told; the command line is made from it."""

from dataclasses import dataclass

from octomil.errors import ConfigurationError


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
        api_key: bearer token clients must send; None accepts any or none.
        max_queue: requests that may wait for each model.
        queue_timeout_s: seconds a request may wait for its turn.
        body_timeout_s: seconds a request's body may take to arrive.
        cache_mib: memory each local model may use for prompts kept after their request.
        threads: CPU threads for each local model; None divides the cores among them.
        slots: requests each local model works on at once.
        context_tokens: tokens of prompt and answer per request; None takes 4096 or the model's.
        cors_origins: origins whose web pages may call the node.
        allowed_hosts: names the node goes by besides its address.
        allow_overcommit: load the models even if memory looks too small.
        drain_s: seconds running requests get to finish after SIGTERM.
        embedder: the model that answers embeddings requests; loaded by the first of them.

    Raises:
        ConfigurationError: the host or the key is empty, which would open the node unasked.
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
    api_key: str | None = None
    max_queue: int = 32
    queue_timeout_s: float = 60.0
    body_timeout_s: float = 30.0
    cache_mib: int = 256
    threads: int | None = None
    slots: int = 2
    context_tokens: int | None = None
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allow_overcommit: bool = False
    drain_s: float = 30.0
    embedder: str | None = "all-minilm-l6-v2"

    def __post_init__(self) -> None:
        key = self.api_key
        if key is not None and (not key or key != key.strip()):
            raise ConfigurationError(
                "the API key is empty or has space around it; give --api-key or "
                "OCTOMIL_SERVE_KEY a plain value, or neither to accept any key"
            )
        if not self.host.strip():
            raise ConfigurationError(
                "the host is empty; leave --host out, or write 0.0.0.0 if every address is meant"
            )
