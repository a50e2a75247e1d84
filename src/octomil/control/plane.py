"""The wired control plane: what the API and the jobs drive."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from octomil.control.metrics import ControlMetrics
from octomil.control.ports import BlobStore, Clock, Spool, Store, WebhookSender
from octomil.control.services.access_tokens import AccessTokens
from octomil.control.services.aliases import AliasService
from octomil.control.services.api_keys import ApiKeyService
from octomil.control.services.assignments import Plans
from octomil.control.services.attestations import AttestationService
from octomil.control.services.audit import AuditService
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
from octomil.control.services.idempotency import IdempotencyService
from octomil.control.services.inference import InferenceService
from octomil.control.services.intake import Intake
from octomil.control.services.kept_files import FileLooks
from octomil.control.services.last_seen import LastSeen
from octomil.control.services.leftovers import LeftoverService
from octomil.control.services.lineage import LineageService
from octomil.control.services.long_polls import LongPolls
from octomil.control.services.models import ModelService
from octomil.control.services.offers import Offers
from octomil.control.services.orchestration import Orchestrator
from octomil.control.services.organisations import OrganisationService
from octomil.control.services.placement import PlacementService
from octomil.control.services.profiles import ProfileService
from octomil.control.services.publication import PublicationService
from octomil.control.services.rate_limits import RateLimits
from octomil.control.services.rollouts import RolloutService
from octomil.control.services.route_counts import RouteCounts
from octomil.control.services.signing_keys import SigningKeyService
from octomil.control.services.speeds import Speeds
from octomil.control.services.stages import Stages
from octomil.control.services.uploads import UploadService
from octomil.control.services.usage import UsageService
from octomil.control.services.version_files import VersionFiles
from octomil.control.services.versions import VersionService
from octomil.control.services.wave_files import WaveFiles
from octomil.control.services.webhooks import WebhookService
from octomil.control.single_flight import SingleFlight
from octomil.control.threads import ServiceThreads
from octomil.control.turns import Turns

NotesT = TypeVar("NotesT")


class Notebook(Protocol[NotesT]):
    """Notes in memory that are written down from time to time."""

    def take(self) -> NotesT:
        """Return what was noted since the last time."""

    def write(self, noted: NotesT) -> None:
        """Write notes down, all at once."""

    def put_back(self, noted: NotesT, error: BaseException) -> None:
        """Keep notes that were not written for the next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """Every part by name; a new resource's service is one more line here.

    Attributes:
        public_url: how clients reach it; as the request at hand did if None.
        repetitions: of requests that others than the database answer; one at a time of each.
        looks: at the database, by those who ask whether it answers.
    """

    clock: Clock
    store: Store
    blobs: BlobStore
    spool: Spool
    threads: ServiceThreads
    idempotency: IdempotencyService
    access_tokens: AccessTokens
    api_keys: ApiKeyService
    bootstrap_tokens: BootstrapTokenService
    organisations: OrganisationService
    audit: AuditService
    devices: DeviceService
    fleet: FleetService
    device_auth: DeviceAuth
    last_seen: LastSeen
    key_uses: LastSeen
    profiles: ProfileService
    speeds: Speeds
    placement: PlacementService
    route_counts: RouteCounts
    rate_limits: RateLimits
    failures: FailedCredentials
    rollouts: RolloutService
    orchestrator: Orchestrator
    wave_files: WaveFiles
    file_looks: FileLooks
    ended_rollouts: EndedRollouts
    plans: Plans
    offers: Offers
    long_polls: LongPolls
    attestations: AttestationService
    stages: Stages
    usage: UsageService
    blocks: BlockService
    models: ModelService
    versions: VersionService
    intake: Intake
    uploads: UploadService
    version_files: VersionFiles
    downloads: Downloads
    download_links: DownloadLinks
    garbage: Garbage
    leftovers: LeftoverService
    publication: PublicationService
    signing_keys: SigningKeyService
    lineage: LineageService
    aliases: AliasService
    inference: InferenceService
    webhooks: WebhookService
    deliveries: DeliveryService
    webhook_sender: WebhookSender
    public_url: str | None = None
    metrics: ControlMetrics = field(default_factory=ControlMetrics)
    looks: SingleFlight = field(default_factory=SingleFlight)
    repetitions: Turns = field(default_factory=Turns)

    async def write_down(self, notebook: Notebook[NotesT]) -> None:
        """Write down what was noted; what cannot be written now waits for the next time.

        Who waits for this has everything written that was noted before, by whomever it is: calls
        that write keep their order.
        """
        # Whoever stops waiting does not stop the writing: only its end tells how it went.
        await asyncio.shield(asyncio.create_task(self._write_down(notebook)))

    async def _write_down(self, notebook: Notebook[NotesT]) -> None:
        noted = notebook.take()
        try:
            await self.threads.write(notebook.write, noted)
        except BaseException as error:
            notebook.put_back(noted, error)
            raise

    def close(self) -> None:
        """Let the calls under way end, but not what may take minutes; then give everything back."""
        self.garbage.close()
        self.spool.close()
        self.intake.close()
        self.threads.close()
        self.store.close()
