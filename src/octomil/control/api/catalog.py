"""Every router of the API. A new resource is one file beside this one, and one line here."""

from collections.abc import Callable

from fastapi import APIRouter

from octomil.control.api.aliases import aliases_router
from octomil.control.api.attestations import attestations_router
from octomil.control.api.audit import audit_router
from octomil.control.api.blobs import blobs_router
from octomil.control.api.blocks import blocks_router
from octomil.control.api.bootstrap_tokens import bootstrap_tokens_router
from octomil.control.api.device_auth import device_auth_router
from octomil.control.api.devices import devices_router
from octomil.control.api.downloads import downloads_router
from octomil.control.api.federations import federations_router
from octomil.control.api.fleet import fleet_router
from octomil.control.api.keys import keys_router
from octomil.control.api.models import models_router
from octomil.control.api.not_served import not_served_router
from octomil.control.api.operations import session_router
from octomil.control.api.organisations import organisations_router
from octomil.control.api.placement import placement_router
from octomil.control.api.profiles import profiles_router
from octomil.control.api.provenance import provenance_router
from octomil.control.api.rollouts import rollouts_router
from octomil.control.api.routing_policy import routing_policy_router
from octomil.control.api.signing_keys import signing_keys_router
from octomil.control.api.uploads import uploads_router
from octomil.control.api.usage import usage_router
from octomil.control.api.version_uploads import version_uploads_router
from octomil.control.api.versions import versions_router
from octomil.control.api.webhooks import webhooks_router
from octomil.control.plane import ControlPlane

PREFIX = "/api/v1"

ROUTERS: tuple[Callable[[ControlPlane], APIRouter], ...] = (
    session_router,
    organisations_router,
    keys_router,
    audit_router,
    device_auth_router,
    bootstrap_tokens_router,
    devices_router,
    fleet_router,
    profiles_router,
    placement_router,
    routing_policy_router,
    models_router,
    version_uploads_router,
    versions_router,
    downloads_router,
    uploads_router,
    blobs_router,
    provenance_router,
    signing_keys_router,
    aliases_router,
    webhooks_router,
    rollouts_router,
    blocks_router,
    attestations_router,
    usage_router,
    federations_router,
    not_served_router,
)
