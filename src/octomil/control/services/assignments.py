"""What devices are to run: plans in memory, one for each organisation, read by every poll.

A poll asks no database: who is in a rollout is told by its share and the device's place in it.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import msgspec

from octomil.control.plan_numbers import is_news
from octomil.registry.assignments import PAYLOAD_TYPE, statement
from octomil.registry.signatures import Signer
from octomil.rollouts.buckets import PLACES, place_behind
from octomil.wire.devices import Assignment, AssignmentsAnswer
from octomil.wire.versions import SignatureView

Gist = Sequence[tuple[str, ...]]
"""What a device is told, without the number and the signatures: equal ones say the same."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one rollout offers to its share of the devices.

    Attributes:
        salt: what is hashed before each device's id (`buckets.salt_prefix`).
        limit: devices whose place is below it are in.
        version: what they are to run; `digest` is its manifest's, with `sha256:`.
        is_held: whether nobody new is to take it: who is in is told nothing about the model, so
            that whoever has begun goes on, and whoever has not stays with what it runs.
    """

    salt: bytes
    limit: int
    version: str
    digest: str
    is_held: bool = False

    def includes(self, raw_id: bytes) -> bool:
        """Tell whether a device, by its id in UTF-8, is in."""
        return self.limit == PLACES or place_behind(self.salt, raw_id) < self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLayers:
    """What the devices are to run of a model: each, what the first layer that it is in says."""

    model_id: str
    name: str
    layers: Sequence[Layer]

    def first_of(self, raw_id: bytes) -> Layer | None:
        """Return the first layer that a device, by its id in UTF-8, is in, held or not."""
        return next((each for each in self.layers if each.includes(raw_id)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanKey:
    """What an organisation's assignments are signed with; told from others by its id."""

    id: str
    signer: Signer = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """What an organisation's devices are to run.

    Attributes:
        number: grows with every change (`plan_numbers`); 0 while nothing was ever planned.
        key: None while nothing was ever published, so that there is nothing to run.
    """

    number: int = 0
    models: Sequence[ModelLayers] = ()
    key: PlanKey | None = None

    def told(self, device_id: str) -> tuple[list[Assignment], list[str]]:
        """Return what a device is to run, signed for it alone, and the digests that are held."""
        assignments, held = [], []
        for key, model, layer in self._firsts(device_id):
            if layer.is_held:
                held.append(layer.digest)
            else:
                assignments.append(self._signed(key, device_id, model, layer))
        return assignments, held

    def gist(self, device_id: str) -> Gist:
        """Return what a device is to run, and whose signature that bears."""
        return tuple(
            (key.id, model.model_id, model.name, layer.version, layer.digest)
            for key, model, layer in self._firsts(device_id)
            if not layer.is_held
        )

    def offers(self, device_id: str, model_id: str, digest: str) -> bool:
        """Tell whether a device is in the share that a version is offered to, held or not.

        Args:
            device_id: the device.
            model_id: the version's model.
            digest: of the version's manifest, with `sha256:`.
        """
        raw_id = device_id.encode()
        firsts = (each.first_of(raw_id) for each in self.models if each.model_id == model_id)
        first = next(firsts, None)
        return first is not None and first.digest == digest

    def _firsts(self, device_id: str) -> Iterator[tuple[PlanKey, ModelLayers, Layer]]:
        """Yield the first layer of each model that a device is in, held or not."""
        if self.key is None:
            return
        raw_id = device_id.encode()
        for model in self.models:
            if (layer := model.first_of(raw_id)) is not None:
                yield self.key, model, layer

    def _signed(self, key: PlanKey, device_id: str, model: ModelLayers, layer: Layer) -> Assignment:
        said = {
            "model_id": model.model_id,
            "name": model.name,
            "version": layer.version,
            "digest": layer.digest,
        }
        payload = statement(device_id=device_id, **said, sequence=self.number)
        signature = base64.b64encode(key.signer.sign(PAYLOAD_TYPE, payload)).decode()
        shown = SignatureView(keyid=key.id, sig=signature)
        return Assignment(**said, sequence=self.number, signature=shown)


_NOTHING = FleetPlan()


class Plans:
    """The present plan of each organisation; replaced as a whole, never changed."""

    def __init__(self) -> None:
        self._plans: Mapping[str, FleetPlan] = {}
        self._epoch = 0
        self._tell: Callable[[AbstractSet[str]], None] = lambda _: None

    def on_change(self, tell: Callable[[AbstractSet[str]], None]) -> None:
        """Have somebody told, in whichever thread, whose plans were replaced by others."""
        self._tell = tell

    def replace(self, plans: Mapping[str, FleetPlan], epoch: int = 0) -> None:
        """Put other plans in place of all, whose numbers count within an epoch."""
        before, self._plans, self._epoch = self._plans, dict(plans), epoch
        changed = {
            who for who in plans.keys() | before.keys() if self.of(who) is not before.get(who)
        }
        if changed:
            self._tell(changed)

    def of(self, organisation: str) -> FleetPlan:
        """Return what an organisation's devices are to run."""
        return self._plans.get(organisation, _NOTHING)

    def is_news(self, organisation: str, known_number: int) -> bool:
        """Tell whether a plan is news to a device that has another one, or none (0)."""
        return is_news(self.of(organisation).number, known_number, self._epoch)

    def answer(
        self, organisation: str, device_id: str, known_number: int | None
    ) -> AssignmentsAnswer:
        """Return what a device is told.

        Args:
            organisation: the device's.
            device_id: the device.
            known_number: of the plan that the device says it has; None if it does not say.
        """
        plan = self.of(organisation)
        changed = self.is_news(organisation, known_number or 0)
        assignments, held = plan.told(device_id) if changed else ([], [])
        return AssignmentsAnswer(
            updated=changed,
            config_version=plan.number,
            assignments_changed=changed,
            rollouts_changed=changed,
            assignments=assignments,
            held=held,
        )

    def encoded_answer(self, organisation: str, device_id: str, known_number: int | None) -> bytes:
        """Return the same as JSON."""
        return _encode(self.answer(organisation, device_id, known_number))
