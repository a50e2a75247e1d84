"""The composition root: settings and options in, a wired node out. Nothing else picks parts."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from octomil._version import __version__
from octomil.config import Settings
from octomil.engines.base import Engine
from octomil.engines.catalog import (
    EngineOptions,
    EngineRequest,
    create_engine,
    engine_name,
)
from octomil.engines.cores import look_at_cores
from octomil.engines.estimates import least_memory_bytes, memory_need
from octomil.engines.memory import (
    free_memory_bytes,
    require_memory,
    require_memory_beside,
)
from octomil.engines.pool import EnginePool, thread_shares
from octomil.engines.pooled import HeldRelease
from octomil.errors import ConfigurationError
from octomil.models.catalog import SHORT_NAMES
from octomil.models.local import LocalModel
from octomil.models.offers import Offers
from octomil.models.pull import ModelStore
from octomil.models.references import ModelRef, parse_reference
from octomil.models.sources.base import ProgressSink
from octomil.routing.prices import FREE, Price, parse_prices
from octomil.routing.router import TIER0_MODEL, QueryRouter
from octomil.routing.tiers import assign_tiers
from octomil.serve.activation import Replacement
from octomil.serve.audit import NodeAudit
from octomil.serve.breakers import Breakers, policy
from octomil.serve.node import AUTO, Node
from octomil.serve.on_demand import Fetched, OnDemand
from octomil.serve.options import ServeOptions
from octomil.serve.recorder import Recorder
from octomil.serve.request_log import RequestLog
from octomil.serve.served import ServedModel
from octomil.serve.spend_ledger import SpendLedger
from octomil.serve.spending import SpendCap
from octomil.serve.stats import RoutingStats
from octomil.serve.till import Till

_WARM_UP = ({"role": "user", "content": "Explain gravity, then tell me about tides."},)

_report = logging.getLogger("octomil.engines").warning


def fetch_models(
    settings: Settings,
    options: ServeOptions,
    progress: ProgressSink | None = None,
    *,
    from_registry: Callable[[ModelRef], LocalModel] | None = None,
) -> list[tuple[ModelRef, LocalModel | None]]:
    """Read the references and fetch the files that are not here yet.

    Args:
        settings: from the environment.
        options: from the command line.
        progress: hears how it gets on.
        from_registry: brings models of a control plane's registry; None where there is none.

    Raises:
        OctomilError: a reference makes no sense, or its files cannot be had.
    """
    if not (options.models or options.on_demand):
        raise ConfigurationError("name a model to serve, for example: octomil serve smollm2-135m")
    store = ModelStore(settings)
    refs = [parse_reference(name, settings.model_aliases) for name in options.models]

    def fetch(ref: ModelRef) -> LocalModel | None:
        if ref.kind == "registry" and from_registry is not None:
            return from_registry(ref)
        return store.pull(ref, progress) if ref.has_files else None

    return [(ref, fetch(ref)) for ref in refs]


def build_node(
    settings: Settings,
    options: ServeOptions,
    models: Sequence[tuple[ModelRef, LocalModel | None]],
    *,
    log: RequestLog | None = None,
    releases: Mapping[str, HeldRelease] = MappingProxyType({}),
) -> Node:
    """Wire a serving node.

    Args:
        settings: from the environment.
        options: from the command line.
        models: what to serve, with their files (see `fetch_models`).
        log: gets a line per request; None writes none. It outlives the node.
        releases: what models were released as, by the names they are served under.

    Raises:
        InsufficientSpaceError: the models will not fit into memory.
        ConfigurationError: the options contradict one another.
    """
    in_process = [files for _, files in models if files is not None]
    engine_options = _engine_options(options, len(in_process) + options.on_demand)
    if not options.allow_overcommit:
        require_memory([memory_need(f, engine_options) for f in in_process], free_memory_bytes())
    names = [ref.name for ref, _ in models]
    _check_names(names)
    writers = {
        ref.name: (files.parameters or 0) / 1e9 if files else 0.0
        for ref, files in models
        if not _is_embedder(files)
    }
    recorder = Recorder(RoutingStats(list(writers)), log)
    embedder = next((ref for ref, files in models if _is_embedder(files)), None)
    parts = list(models)
    typed = dict(zip(options.models, (ref for ref, _ in models), strict=True))
    if embedder is None and options.embedder is not None:
        embedder = parse_reference(options.embedder, settings.model_aliases)
        if embedder.name not in names:
            parts.append((embedder, None))
            typed[options.embedder] = embedder
    other_names = _other_names(typed)
    requests = [EngineRequest(ref, files, engine_options, settings) for ref, files in parts]
    served = {ref.name: _served(ref, files) for ref, files in parts}
    node = Node(
        models=served,
        pool=_pool(requests, options, releases, loaded=len(models)),
        recorder=recorder,
        router=_router(settings, options, writers) if options.auto_route else None,
        embedder=embedder.name if embedder else None,
        short_names=other_names,
        max_queue=options.max_queue,
        queue_timeout_s=options.queue_timeout_s,
        fallback=options.fallback,
        decompose=options.decompose,
        till=_till(settings, options, served, other_names),
        breakers=Breakers(policy(options.breaker_failures)),
    )
    if options.on_demand:
        node.on_demand = _on_demand(node, settings, options, requests, other_names)
    if options.audit_log is not None:
        _audit(node, options.audit_log, content=options.audit_content)
    return node


def _pool(
    requests: Sequence[EngineRequest],
    options: ServeOptions,
    releases: Mapping[str, HeldRelease],
    *,
    loaded: int,
) -> EnginePool:
    """Return the engines, of which all but the first `loaded` wait for a request to load them."""
    pool = EnginePool(
        _report,
        budget_bytes=_memory_budget(options),
        idle_s=(options.idle_s or None) if options.on_demand else None,
    )
    for place, request in enumerate(requests):
        name, is_lazy = request.ref.name, place >= loaded
        pool.add(
            name,
            create_engine(request),
            lazy=is_lazy,
            release=releases.get(name),
            memory_bytes=least_memory_bytes(request) if options.on_demand else 0,
        )
    return pool


def _memory_budget(options: ServeOptions) -> int | None:
    """Return the bytes that all models may take; None where only what is named is loaded."""
    if not options.on_demand or options.allow_overcommit:
        return None
    return free_memory_bytes() if options.memory_mib is None else options.memory_mib * 2**20


@dataclass(frozen=True, slots=True)
class _Supply:
    """Models that are fetched and run when a request names them."""

    settings: Settings
    options: EngineOptions
    pool: EnginePool

    def fetch(self, ref: ModelRef, progress: ProgressSink) -> Fetched:
        asked = EngineRequest(ref, None, self.options, self.settings)
        self.pool.require_room(ref.name, least_memory_bytes(asked))
        if ref.has_files:
            asked = replace(asked, files=ModelStore(self.settings).pull(ref, progress))
            self.pool.require_room(ref.name, least_memory_bytes(asked))
        return Fetched(asked.files, least_memory_bytes(asked))

    def engine(self, ref: ModelRef, files: LocalModel | None) -> Engine:
        return create_engine(EngineRequest(ref, files, self.options, self.settings))

    def model(self, name: str, ref: ModelRef, files: LocalModel | None) -> ServedModel:
        return replace(_served(ref, files), name=name)


def _on_demand(
    node: Node,
    settings: Settings,
    options: ServeOptions,
    requests: Sequence[EngineRequest],
    other_names: dict[str, str],
) -> OnDemand:
    """Return what brings models to a node that it does not serve yet."""
    engine_options = requests[0].options if requests else _engine_options(options, 1)
    return OnDemand(
        # A cap needs the price of whatever it is not known to cost nothing.
        offers=Offers(settings, elsewhere=options.spend_cap_usd is None),
        supply=_Supply(settings, engine_options, node.pool),
        pool=node.pool,
        models=node.models,
        other_names=other_names,
        references={str(request.ref): request.ref.name for request in requests},
        till=node.till,
        most_waiting=options.max_queue + options.slots,
        report=_report,
    )


def build_replacement(
    settings: Settings,
    options: ServeOptions,
    ref: ModelRef,
    files: LocalModel,
    release: HeldRelease,
    *,
    local_models: int,
) -> Replacement:
    """Return what is to take the place of a model that a node serves.

    Args:
        settings: from the environment, as for the node.
        options: from the command line, as for the node.
        ref: what the model was asked for by.
        files: the new one's.
        release: what it was released as.
        local_models: how many models share this machine's cores.

    Raises:
        InsufficientSpaceError: it will not fit into memory beside what is served.
    """
    engine_options = _engine_options(options, local_models)
    if not options.allow_overcommit:
        require_memory_beside(memory_need(files, engine_options), free_memory_bytes())
    engine = create_engine(EngineRequest(ref, files, engine_options, settings))
    return Replacement(model=_served(ref, files), engine=engine, release=release)


def _audit(node: Node, folder: Path, *, content: bool) -> None:
    """Keep an audit log of the node from now on."""
    audit = NodeAudit(folder, content=content)
    node.recorder.audit = audit
    cap = node.till.cap
    if cap is not None:
        cap.when_reached = lambda: audit.act("spend_cap.reached", cap_usd=cap.cap_usd)
    audit.act("node.start", version=__version__, models=list(node.models))


def _router(
    settings: Settings, options: ServeOptions, params_b: Mapping[str, float]
) -> QueryRouter:
    if not params_b:
        raise ConfigurationError(
            f"--auto-route has nothing to choose from: {', '.join(options.models)} only makes"
            " embeddings; name a model that writes text, or leave --auto-route out"
        )
    tiers = assign_tiers(list(params_b), params_b=params_b)
    router = QueryRouter(tiers, options.route_strategy, model_path=settings.routing_model)
    router.route_decomposed(_WARM_UP)  # what is read on first use shall not wait for a request
    return router


def _check_names(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise ConfigurationError(f"two models would be served under one name: {', '.join(names)}")
    for name in names:
        if name in (AUTO, TIER0_MODEL):
            raise ConfigurationError(
                f"{name!r} is a name of the router's own; serve the model under another, "
                f"such as OCTOMIL_MODEL_ALIASES=my-{name}=REFERENCE"
            )


def _other_names(typed: Mapping[str, ModelRef]) -> dict[str, str]:
    """Return what served models are called besides the names they are served under.

    Args:
        typed: the models by what was typed to name them.
    """
    others = {text: ref.name for text, ref in typed.items()}
    served = {ref.target: ref.name for ref in typed.values() if ref.kind == "catalog"}
    short = {name: served[target] for name, target in SHORT_NAMES.items() if target in served}
    names = {ref.name for ref in typed.values()}
    return {other: name for other, name in (served | short | others).items() if other not in names}


def _till(
    settings: Settings,
    options: ServeOptions,
    served: Mapping[str, ServedModel],
    other_names: Mapping[str, str],
) -> Till:
    prices = _prices(options.prices, {name: name for name in served} | dict(other_names))
    prices = {name: FREE for name, model in served.items() if model.local} | prices
    if options.spend_cap_usd is None:
        return Till(prices)
    if unpriced := sorted(served.keys() - prices.keys()):
        raise ConfigurationError(
            f"a spend cap needs the price of {unpriced[0]!r}: --price {unpriced[0]}=IN/OUT in US"
            " dollars for a million tokens each, 0/0 if it is free"
        )
    ledger = SpendLedger(settings.state_dir / "spending.sqlite3")
    return Till(prices, SpendCap(options.spend_cap_usd, ledger))


def _prices(texts: tuple[str, ...], names: Mapping[str, str]) -> dict[str, Price]:
    """Read prices, and return them by the names that models are served under.

    Args:
        texts: as typed.
        names: the name a model is served under, by each of its names.
    """
    prices: dict[str, Price] = {}
    for typed, price in parse_prices(texts).items():
        if typed not in names:
            known = ", ".join(dict.fromkeys(names.values()))
            raise ConfigurationError(f"--price for {typed!r}, which is not served; served: {known}")
        if names[typed] in prices:
            raise ConfigurationError(f"{names[typed]!r} has two prices")
        prices[names[typed]] = price
    return prices


def _engine_options(options: ServeOptions, local_models: int) -> EngineOptions:
    return EngineOptions(
        threads=thread_shares(local_models, look_at_cores().granted, options.threads),
        slots=options.slots,
        context_tokens=options.context_tokens,
        cache_mib=options.cache_mib,
    )


def _is_embedder(files: LocalModel | None) -> bool:
    return files is not None and files.kind == "embedding"


def _served(ref: ModelRef, files: LocalModel | None) -> ServedModel:
    return ServedModel(
        name=ref.name,
        parameters=files.parameters if files else None,
        owned_by=engine_name(ref, files),
        local=ref.has_files or ref.kind == "echo",
    )
