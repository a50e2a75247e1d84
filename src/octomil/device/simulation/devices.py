"""One simulated device: comes in, asks what to run, says that it does, and says how it goes."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from octomil.device.answers import read_answer
from octomil.device.simulation.calls import Calls
from octomil.device.simulation.world import Nature
from octomil.errors import UnauthorizedError
from octomil.http.api import path_to
from octomil.wire.device_auth import DeviceTokens
from octomil.wire.devices import Assignment, AssignmentsAnswer
from octomil.wire.rollouts import AttestationView
from octomil.wire.usage import UsageView

_SCOPES: Final = ("devices:write", "models:read")
_EARLY_S: Final = 30.0
_REQUESTS: Final = 20  # that a device answers from one turn to the next

Clock = Callable[[], float]
"""Tells seconds since 1970."""


@dataclass
class Deeds:
    """What simulated devices did, all together.

    Attributes:
        attested: by what was said: `active`, `failed`.
        lies: words that were not true.
        repeated: words that were said again.
        reported: reports of usage that were counted.
    """

    attested: Counter[str] = field(default_factory=Counter)
    lies: int = 0
    repeated: int = 0
    reported: int = 0


class SimulatedDevice:
    """A device that fetches no file and checks no signature, and says what its nature lets it say.

    Args:
        identifier: what it calls itself.
        nature: what it is like.
        calls: its way to the control plane.
        bootstrap_token: begins its tokens.
        deeds: where it adds what it did.
        clock: the true time; its own is wrong by its nature.
    """

    def __init__(
        self,
        identifier: str,
        nature: Nature,
        calls: Calls,
        bootstrap_token: str,
        deeds: Deeds,
        clock: Clock,
    ) -> None:
        self.identifier = identifier
        self.running: dict[str, Assignment] = {}
        self._nature = nature
        self._calls = calls
        self._bootstrap_token = bootstrap_token
        self._deeds = deeds
        self._clock = clock
        self._tokens: DeviceTokens | None = None
        self._expires_at_s = 0.0
        self._known_version = 0
        self._refused: set[str] = set()
        self._confirmed_at_s: dict[str, float] = {}
        self._said: tuple[dict[str, Any], str] | None = None
        self._window = 0

    @property
    def is_in(self) -> bool:
        """Whether the control plane has let it in."""
        return self._tokens is not None

    async def turn(self) -> None:
        """Do what the device does when it wakes up, unless it is offline.

        Raises:
            OctomilClientError: the control plane refuses, or does not answer.
        """
        if self._nature.is_offline():
            return
        try:
            await self._follow()
        except UnauthorizedError:
            self._expires_at_s = 0.0  # its clock may be wrong: another token the next time
            raise

    async def _follow(self) -> None:
        path = f"{await self._path('assignments')}?config_version={self._known_version}"
        answer = await self._calls.send("poll", path, bearer=await self._token())
        told = read_answer(answer, AssignmentsAnswer, "what to run")
        for each in told.assignments:
            now = self.running.get(each.model_id)
            if each.digest not in self._refused and (now is None or now.digest != each.digest):
                await self._take(each)
        if told.updated:
            self._known_version = told.config_version
        for model_id, due_s in list(self._confirmed_at_s.items()):
            if self._clock() >= due_s:
                await self._attest(self.running[model_id], "active")
        if self.running:
            await self._report()

    async def _take(self, wanted: Assignment) -> None:
        can_run = self._nature.can_run(wanted)
        if not can_run and not self._nature.lies:
            await self._attest(wanted, "failed")
            self._refused.add(wanted.digest)
            return
        self._deeds.lies += not can_run
        await self._attest(wanted, "active")
        self.running[wanted.model_id] = wanted

    async def _attest(self, version: Assignment, status: str) -> None:
        body: dict[str, Any] = {
            "model_id": version.model_id,
            "version": version.version,
            "digest": version.digest,
            "status": status,
        }
        if status == "failed":
            body |= {"code": "cannot_run", "message": "it does not run on this simulated device"}
        before, self._said = self._said, (body, self._new_key())
        answer = await self._say(*self._said)
        self._deeds.attested[status] += 1
        if self._nature.repeats:
            for each in (self._said, before, self._said):
                if each is not None:
                    await self._say(*each)
                    self._deeds.repeated += 1
        wait_s = answer.confirmed_after_s if status == "active" else None
        if wait_s is None:
            self._confirmed_at_s.pop(version.model_id, None)
        else:
            self._confirmed_at_s[version.model_id] = self._clock() + wait_s

    async def _say(self, body: dict[str, Any], key: str) -> AttestationView:
        path, token = await self._path("attestations"), await self._token()
        answer = await self._calls.send("attest", path, bearer=token, body=body, key=key)
        return read_answer(answer, AttestationView, "an answer to an attestation")

    async def _report(self) -> None:
        """Say how the requests went since the last time; a window is its clock's, and grows."""
        window = max(int(self._own_clock()), self._window + 1)
        body = {"window": window, "usage": [self._usage_of(each) for each in self.running.values()]}
        for _ in range(2 if self._nature.repeats else 1):
            path, token = await self._path("usage"), await self._token()
            answer = await self._calls.send("report", path, bearer=token, body=body)
            view = read_answer(answer, UsageView, "an answer to a report")
            self._deeds.reported += view.counted
            self._window = view.window

    def _usage_of(self, version: Assignment) -> dict[str, Any]:
        errors = self._nature.failures(version, _REQUESTS)
        return {
            "model_id": version.model_id,
            "digest": version.digest,
            "requests": _REQUESTS,
            "errors": errors,
            "log_latency_ms_sum": (_REQUESTS - errors) * math.log(self._nature.usual_ms),
        }

    async def _path(self, what: str) -> str:
        await self._token()
        assert self._tokens is not None
        return path_to("devices", self._tokens.device_id, what)

    async def _token(self) -> str:
        if self._tokens is None:
            body: dict[str, Any] = {"device_identifier": self.identifier, "scopes": _SCOPES}
            token = self._bootstrap_token
            self._keep(await self._calls.send("enter", _ENTER, bearer=token, body=body))
        elif self._own_clock() >= self._expires_at_s - _EARLY_S:
            body = {"refresh_token": self._tokens.refresh_token}
            self._keep(await self._calls.send("renew", _RENEW, body=body))
        assert self._tokens is not None
        return self._tokens.access_token

    def _keep(self, answer: Any) -> None:
        self._tokens = read_answer(answer, DeviceTokens, "a device's tokens")
        self._expires_at_s = self._own_clock() + self._tokens.expires_in

    def _own_clock(self) -> float:
        return self._clock() + self._nature.skew_s

    def _new_key(self) -> str:
        return UUID(int=self._nature.rng.getrandbits(128), version=4).hex


_ENTER, _RENEW = "/device-auth/bootstrap", "/device-auth/refresh"
