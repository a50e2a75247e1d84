"""The composition root of the control plane: settings in, a wired plane out.

Apart from `octomil.compose`, so that a serving node imports none of this.
"""

import resource
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import random
from typing import TypedDict

from octomil.config import Settings
from octomil.control.backend_metrics import BackendMetrics
from octomil.control.backends.catalog import open_backends
from octomil.control.blobs.catalog import open_blobs, open_spool
from octomil.control.data_folder import DataFolder, cannot_be_used
from octomil.control.metrics import ControlMetrics
from octomil.control.options import require_public_url
from octomil.control.plane import ControlPlane
from octomil.control.ports import BlobStore, Clock, InferenceBackend, SharedLimits, Store
from octomil.control.records import Organisation
from octomil.control.scopes import ALL_SCOPES, INSTALLATION
from octomil.control.services.access_tokens import AccessTokens
from octomil.control.services.aliases import AliasService
from octomil.control.services.api_keys import ApiKeyService
from octomil.control.services.assignments import Plans
from octomil.control.services.attestations import AttestationService
from octomil.control.services.audit import AuditService
from octomil.control.services.backend_chain import BackendChain
from octomil.control.services.blocks import BlockService
from octomil.control.services.bootstrap_tokens import BootstrapTokenService
from octomil.control.services.deliveries import DeliveryService
from octomil.control.services.device_auth import DeviceAuth
from octomil.control.services.devices import DeviceService
from octomil.control.services.download_links import DownloadLinks
from octomil.control.services.downloads import Downloads
from octomil.control.services.ended_rollouts import EndedRollouts
from octomil.control.services.failures import FailedCredentials
from octomil.control.services.fleet import FleetService
from octomil.control.services.garbage import Garbage
from octomil.control.services.generation_slots import GenerationSlots
from octomil.control.services.idempotency import IdempotencyService
from octomil.control.services.inference import InferenceService
from octomil.control.services.inference_events import InferenceEventService
from octomil.control.services.intake import Intake
from octomil.control.services.kept_files import FileLooks
from octomil.control.services.last_seen import LastSeen
from octomil.control.services.leftovers import LeftoverService
from octomil.control.services.lineage import LineageService
from octomil.control.services.long_polls import MOST_HELD, LongPolls
from octomil.control.services.models import ModelService
from octomil.control.services.offers import Offers
from octomil.control.services.orchestration import Orchestrator
from octomil.control.services.organisations import OrganisationService
from octomil.control.services.placement import PlacementService
from octomil.control.services.profiles import ProfileService
from octomil.control.services.publication import PublicationService
from octomil.control.services.quality import QualityService
from octomil.control.services.rate_limits import NO_LIMITS, Limits, RateLimits
from octomil.control.services.rollouts import RolloutService
from octomil.control.services.route_counts import RouteCounts
from octomil.control.services.routing_reports import RoutingReportService
from octomil.control.services.routing_series import RoutingSeriesService
from octomil.control.services.signing_keys import SigningKeyService
from octomil.control.services.speeds import Speeds
from octomil.control.services.stages import Stages
from octomil.control.services.uploads import UploadService
from octomil.control.services.usage import UsageService
from octomil.control.services.version_files import VersionFiles
from octomil.control.services.versions import VersionService
from octomil.control.services.wave_files import WaveFiles
from octomil.control.services.webhooks import WebhookService
from octomil.control.serving_node import ServingNode
from octomil.control.stores.catalog import open_store
from octomil.control.threads import ServiceThreads
from octomil.control.webhook_sender import HttpWebhookSender

DEFAULT_ORGANISATION = "default"


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def build_plane(
    settings: Settings,
    folder: DataFolder,
    clock: Clock = utc_now,
    *,
    limits: Limits = NO_LIMITS,
    node: ServingNode | None = None,
) -> ControlPlane:
    """Wire a control plane.

    Args:
        settings: from the environment; they say what is kept outside of the folder.
        folder: where the rest is kept.
        clock: tells the time.
        limits: how often each caller may ask, and how much may be under way.
        node: the serving node of this machine; None where models are asked elsewhere, or not.

    Raises:
        ConfigurationError: a setting makes no sense, or what it names cannot be reached.
        DataFolderError: a newer version of Octomil wrote the database, or the folder cannot be
            written.
    """
    try:
        return assemble(
            database_url=settings.database_url or folder.database_url,
            blob_url=settings.blob_url or folder.blob_url,
            uploads=folder.uploads,
            clock=clock,
            limits=limits,
            redis_url=settings.redis_url,
            webhooks_private=settings.webhooks_private,
            public_url=settings.public_url,
            backends=open_backends(settings, node),
        )
    except OSError as error:
        raise cannot_be_used(folder.path, error) from error


def assemble(  # noqa: PLR0913 - keywords, most with a default
    *,
    database_url: str,
    blob_url: str,
    uploads: Path,
    clock: Clock = utc_now,
    limits: Limits = NO_LIMITS,
    redis_url: str | None = None,
    webhooks_private: bool = False,
    public_url: str | None = None,
    backends: Sequence[InferenceBackend] = (),
) -> ControlPlane:
    """Wire a control plane over the places that its things are kept in."""
    blobs, spool = open_blobs(blob_url), open_spool(blob_url, uploads)
    store = open_store(database_url)
    last_seen = LastSeen(store, clock, lambda tx, seen: tx.note_last_seen(seen))
    devices = DeviceService(store, clock, last_seen)
    access_tokens, api_keys = AccessTokens(store, clock), ApiKeyService(store, clock)
    intake, versions = Intake(store, blobs, spool, clock), VersionService(store, clock)
    return ControlPlane(
        clock=clock,
        store=store,
        blobs=blobs,
        spool=spool,
        threads=ServiceThreads(store.group),
        idempotency=IdempotencyService(store, clock),
        access_tokens=access_tokens,
        api_keys=api_keys,
        bootstrap_tokens=BootstrapTokenService(store, clock),
        organisations=OrganisationService(store, clock, api_keys),
        audit=AuditService(store),
        fleet=FleetService(store, clock, access_tokens),
        devices=devices,
        device_auth=DeviceAuth(store, clock, devices, access_tokens),
        last_seen=last_seen,
        key_uses=LastSeen(store, clock, lambda tx, used: tx.note_key_uses(used)),
        versions=versions,
        intake=intake,
        uploads=UploadService(store, spool, intake, clock, limits.uploads),
        version_files=VersionFiles(store, versions, clock),
        downloads=Downloads(store, versions),
        download_links=DownloadLinks(store, clock),
        public_url=None if public_url is None else require_public_url(public_url),
        **_limited(limits, redis_url),
        **_registry(store, clock),
        **_placement(store, clock, _inference(backends, limits)),
        **_rollouts(store, blobs, clock, last_seen),
        **_told(store, clock, last_seen),
        **_webhooks(store, clock, allow_private=webhooks_private),
        **_timed(store, clock, Garbage(store, blobs, spool, clock)),
    )


def _inference(backends: Sequence[InferenceBackend], limits: Limits) -> InferenceService:
    metrics = BackendMetrics()
    chain, slots = BackendChain(backends, metrics), GenerationSlots(limits.generations)
    return InferenceService(chain, slots, metrics)


class _Registry(TypedDict):
    """What is done with models besides their files."""

    models: ModelService
    publication: PublicationService
    signing_keys: SigningKeyService
    lineage: LineageService
    aliases: AliasService


def _registry(store: Store, clock: Clock) -> _Registry:
    return _Registry(
        models=ModelService(store, clock),
        publication=PublicationService(store, clock),
        signing_keys=SigningKeyService(store, clock),
        lineage=LineageService(store, clock),
        aliases=AliasService(store, clock),
    )


class _Rollouts(TypedDict):
    """What brings versions to devices."""

    plans: Plans
    offers: Offers
    long_polls: LongPolls
    rollouts: RolloutService
    orchestrator: Orchestrator
    wave_files: WaveFiles
    file_looks: FileLooks
    ended_rollouts: EndedRollouts
    attestations: AttestationService
    stages: Stages
    usage: UsageService
    blocks: BlockService


def _rollouts(store: Store, blobs: BlobStore, clock: Clock, last_seen: LastSeen) -> _Rollouts:
    plans = Plans()
    return _Rollouts(
        plans=plans,
        offers=Offers(store, clock, plans),
        long_polls=LongPolls(plans, _most_held()),
        rollouts=RolloutService(store, clock),
        orchestrator=Orchestrator(store, clock),
        wave_files=WaveFiles(store, blobs, clock),
        file_looks=FileLooks(store, blobs),
        ended_rollouts=EndedRollouts(store, clock),
        attestations=AttestationService(store, clock, last_seen),
        stages=Stages(store, clock, plans, last_seen),
        usage=UsageService(store, clock, last_seen),
        blocks=BlockService(store, clock),
    )


def _most_held() -> int:
    """Return how many polls may wait: each has a connection, and others need some, too."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_unbounded = open_files == resource.RLIM_INFINITY
    return MOST_HELD if is_unbounded else min(MOST_HELD, open_files // 2)


class _Placement(TypedDict):
    """What decides where models run, and what has them run here."""

    speeds: Speeds
    profiles: ProfileService
    route_counts: RouteCounts
    placement: PlacementService
    inference: InferenceService


def _placement(store: Store, clock: Clock, inference: InferenceService) -> _Placement:
    speeds, counts = Speeds(store), RouteCounts(store)
    return _Placement(
        speeds=speeds,
        profiles=ProfileService(store, clock, speeds),
        route_counts=counts,
        placement=PlacementService(store, clock, counts),
        inference=inference,
    )


class _Told(TypedDict):
    """What clients tell of generations and nodes of their routing, and what is told of both."""

    metrics: ControlMetrics
    inference_events: InferenceEventService
    quality: QualityService
    routing_reports: RoutingReportService
    routing_series: RoutingSeriesService


def _told(store: Store, clock: Clock, last_seen: LastSeen) -> _Told:
    metrics = ControlMetrics()
    return _Told(
        metrics=metrics,
        inference_events=InferenceEventService(store, clock, metrics.generations),
        quality=QualityService(store, clock),
        routing_reports=RoutingReportService(store, clock, last_seen),
        routing_series=RoutingSeriesService(store, clock),
    )


class _Limited(TypedDict):
    """What bounds how often callers may ask."""

    rate_limits: RateLimits
    failures: FailedCredentials


def _limited(limits: Limits, redis_url: str | None) -> _Limited:
    return _Limited(
        rate_limits=RateLimits(limits, _shared_limits(redis_url)),
        failures=FailedCredentials(limits.failures),
    )


class _Timed(TypedDict):
    """What only timers drive."""

    garbage: Garbage
    leftovers: LeftoverService


def _timed(store: Store, clock: Clock, garbage: Garbage) -> _Timed:
    return _Timed(
        garbage=garbage,
        leftovers=LeftoverService(store, clock),
    )


class _Webhooks(TypedDict):
    """What tells others of what happens here."""

    webhooks: WebhookService
    deliveries: DeliveryService
    webhook_sender: HttpWebhookSender


def _webhooks(store: Store, clock: Clock, *, allow_private: bool) -> _Webhooks:
    return _Webhooks(
        webhooks=WebhookService(store, clock, allow_private=allow_private),
        deliveries=DeliveryService(store, clock, random),
        webhook_sender=HttpWebhookSender(allow_private=allow_private),
    )


def _shared_limits(url: str | None) -> SharedLimits | None:
    if url is None:
        return None
    from octomil.control.limits.redis import RedisLimits  # takes 0.1 s to import

    return RedisLimits(url)


def first_admin_key(plane: ControlPlane) -> str | None:
    """Make the first organisation and its first key; return the key, or None if there is one."""
    name = DEFAULT_ORGANISATION
    with plane.store.system() as tx:
        tx.add_organisation(Organisation(id=name, name=name, created_at=plane.clock()))
    with plane.store.snapshot(name) as keys:
        if keys.api_keys.list():
            return None
    _, text = plane.api_keys.create(name, "admin", [ALL_SCOPES, INSTALLATION], actor="system")
    return text
