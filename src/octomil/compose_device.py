"""The composition root of a serving node that is a device: its agent, and what that acts on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from threading import Thread
from typing import Any

from octomil.compose import build_replacement
from octomil.config import Settings
from octomil.convert.sandbox import Children
from octomil.device.activation import LinkActivator
from octomil.device.agent import Agent
from octomil.device.first_release import FirstReleases, is_pinned
from octomil.device.options import DeviceOptions
from octomil.device.pace import Pace
from octomil.device.releases import Release, Releases, damaged_part
from octomil.device.report_spool import ReportSpool
from octomil.device.routing_reports import REPORT_S, RoutingReports
from octomil.device.served import AllBut, NodeAndLinks, TrialOfOthers, link_begun
from octomil.device.session import open_session
from octomil.device.smoke.smoke_test import SmokeTest
from octomil.device.stage_reports import StageReports
from octomil.device.state import StateFolder, open_state_folder
from octomil.device.stopping import Stop
from octomil.device.usage_reports import UsageReports
from octomil.device.way_back import way_out
from octomil.engines.pooled import HeldRelease
from octomil.errors import (
    ConfigurationError,
    DigestMismatchError,
    EngineError,
    InsufficientSpaceError,
    InvalidModelFileError,
    OctomilError,
)
from octomil.models.local import LocalModel, describe_file
from octomil.models.references import ModelRef
from octomil.models.sources.base import ProgressSink, Silent
from octomil.sdk.downloads import Downloader
from octomil.serve.activation import NodeActivator, ReleasedFiles, Replacement, load_instead
from octomil.serve.node import Node
from octomil.serve.options import ServeOptions
from octomil.serve.routing_minutes import RoutingMinutes

_FORMAT = "gguf"
_REPORT_S = 30.0
_LEAVING_S = 5.0  # the agent may wait for a server; what it has on disk is whole at any time

Say = Callable[[str], None]


class NodeDevice:
    """A serving node as a device: what it begins with, and the agent beside it.

    Args:
        state: the device's folder, open.
        settings: from the environment, with the control plane and the bootstrap token.
        options: how it is a device.
        say: called with one line for people.
        follows_all: whether it fetches and activates all that it is assigned, as `octomil device
            run` does, and not only what it serves.
    """

    def __init__(
        self,
        state: StateFolder,
        settings: Settings,
        options: DeviceOptions,
        say: Say,
        *,
        follows_all: bool = False,
    ) -> None:
        self._settings, self._say, self._pace = settings, say, Pace(poll_s=options.poll_s)
        self._session = open_session(state, settings, options)
        self._spool_path = state.routing_spool
        self._progress: ProgressSink = Silent()
        downloader = Downloader(self._session.api, self._advance)
        self._releases = Releases(state, self._session.api, downloader)
        self._links = LinkActivator(state)
        self._follows_all = follows_all
        self._begun: dict[str, tuple[ModelRef, Release]] = {}
        stop = Stop()  # never set: Ctrl-C ends the wait
        self._first = FirstReleases(
            self._session,
            self._releases,
            say=say,
            wait=lambda: stop.wait(self._pace.poll_s),
        )

    def _advance(self, name: str, done_bytes: int, total_bytes: int) -> None:
        self._progress.advance(name, done_bytes, total_bytes)

    @property
    def releases(self) -> dict[str, HeldRelease]:
        """What models begin with, by the names they are served under."""
        return {name: _held(release) for name, (_, release) in self._begun.items()}

    def close(self) -> None:
        """Close every connection."""
        self._session.close()

    def fetch(self, ref: ModelRef, progress: ProgressSink) -> LocalModel:
        """Return what a registry reference begins with; wait as long as there is nothing.

        Args:
            ref: names a model of the registry.
            progress: hears how its transfer gets on.

        Raises:
            OctomilError: the control plane refuses, or the release is nothing that can be served.
        """
        self._progress = progress
        try:
            release = self._first.find(ref.target, ref.revision)
        finally:
            self._progress = Silent()
        if any(release.model_id == begun.model_id for _, begun in self._begun.values()):
            raise ConfigurationError(f"{ref.target} of the registry is to be served twice")
        self._begun[ref.name] = ref, release
        return _describe(ref, release)

    async def go_back(
        self,
        node: Node,
        options: ServeOptions,
        models: Sequence[tuple[ModelRef, LocalModel | None]],
        name: str,
        error: OctomilError,
    ) -> None:
        """Load another release in place of one that cannot be loaded.

        That is what ran before, where the one is on probation, and else what is assigned by now.
        Only once that answers is anything held against the release: where neither can be loaded,
        the cause is more likely to be this machine.

        Args:
            node: what is to serve it.
            options: as for the node.
            models: as for the node.
            name: the model's.
            error: why it cannot be loaded.

        Raises:
            EngineError: there is no way back, or it cannot be loaded either; names both.
            OctomilError: `error` itself, where nothing else is assigned, either.
        """
        ref, begun = self._begun.get(name, (None, None))
        is_its_fault = isinstance(error, EngineError | InvalidModelFileError)
        if ref is None or begun is None or is_pinned(ref.revision) or not is_its_fault:
            raise error
        instead = self._first.assigned_instead
        out = await asyncio.to_thread(way_out, self._releases, begun, error, instead)
        prepare = self._preparing(options, models)
        try:
            await load_instead(node, await asyncio.to_thread(prepare, ref, out.release))
        except OctomilError as second:
            raise EngineError(
                f"{name} {begun.version} {out.fault}: {error}; nor can {out.release.version}, "
                f"{out.origin}: {second}"
            ) from second
        self._begun[name] = ref, out.release
        self._say(
            f"{name} {begun.version} {out.verdict}: {error}; begins with {out.release.version}, "
            f"{out.origin}"
        )
        try:
            await asyncio.to_thread(out.note)
        except InsufficientSpaceError as full:  # then what failed is tried once more, and told then
            self._say(f"{name} {begun.version}: that it failed could not be noted: {full}")

    def _preparing(
        self, options: ServeOptions, models: Sequence[tuple[ModelRef, LocalModel | None]]
    ) -> Callable[[ModelRef, ReleasedFiles], Replacement]:
        """Return what makes the replacement of a served model out of a release of it."""
        local_models = sum(files is not None for _, files in models)

        def prepare(ref: ModelRef, release: ReleasedFiles) -> Replacement:
            files, held = _describe(ref, release), _held(release)
            return build_replacement(
                self._settings, options, ref, files, held, local_models=local_models
            )

        return prepare

    @asynccontextmanager
    async def following(
        self,
        node: Node,
        options: ServeOptions,
        models: Sequence[tuple[ModelRef, LocalModel | None]],
    ) -> AsyncIterator[None]:
        """Let the node follow rollouts until the block ends.

        Args:
            node: what serves, loaded.
            options: as for the node.
            models: as for the node.
        """
        begun = {release.model_id: ref for ref, release in self._begun.values()}
        following = {id_: ref for id_, ref in begun.items() if not is_pinned(ref.revision)}
        refs = {ref.name: ref for ref in following.values()}
        prepare = self._preparing(options, models)
        serving = NodeActivator(
            node,
            {model_id: ref.name for model_id, ref in following.items()},
            lambda name, release: prepare(refs[name], release),
            loop=asyncio.get_running_loop(),
            say=self._say,
        )
        trials = Children()
        smoke_test = SmokeTest(children=trials)
        agent = Agent(
            self._session,
            self._releases,
            NodeAndLinks(serving, following.keys(), self._links),
            say=self._say,
            pace=self._pace,
            only=AllBut(begun.keys() - following) if self._follows_all else following.keys(),
            trial=TrialOfOthers(smoke_test, following.keys()) if self._follows_all else None,
        )
        agent.tell_stages(StageReports(self._session))
        stop, routing = Stop(), self._routing_reports(node)
        told = Thread(target=routing.run, args=(stop,), name="routing reports", daemon=True)
        left = [
            Thread(target=self._run, args=(agent, stop), name="device agent", daemon=True),
            Thread(target=self._report, args=(node, stop), name="usage reports", daemon=True),
        ]
        for thread in (told, *left):
            thread.start()
        try:
            yield
        finally:
            stop.set()
            trials.end()
            serving.close()
            await asyncio.to_thread(told.join)  # leaves a server that does not answer by itself
            for thread in left:
                await asyncio.to_thread(thread.join, _LEAVING_S)

    def _routing_reports(self, node: Node) -> RoutingReports:
        """Count what the node does from now on, and return what tells of it."""
        stats = node.recorder.stats
        minutes = RoutingMinutes(stats.largest, stats.paces, node.till.price, _now_s)
        node.recorder.minutes = minutes

        def take() -> list[tuple[int, list[dict[str, Any]]]]:
            return [(start_s, [asdict(row) for row in rows]) for start_s, rows in minutes.take()]

        spool = ReportSpool(self._spool_path)
        return RoutingReports(
            self._session, spool, take, say=self._say, now=_now_s, every_s=REPORT_S
        )

    def _run(self, agent: Agent, stop: Stop) -> None:
        try:
            link_begun(self._links, [release for _, release in self._begun.values()], self._say)
            agent.run(stop)
        except (OctomilError, OSError) as error:
            self._say(f"follows no rollout any more, and serves what it has: {error}")

    def _report(self, node: Node, stop: Stop) -> None:
        """Tell how releases fare until the end, and once more then."""

        def rows() -> list[dict[str, Any]]:
            return [asdict(each) for each in node.usages.take()]

        began = int(_now_s())
        reports = UsageReports(self._session, rows, say=self._say, began=began)
        is_over = False
        while not is_over:
            is_over = stop.wait(_REPORT_S)
            try:
                reports.send()
            except (OctomilError, OSError) as error:
                self._say(f"how releases fare could not be told yet: {error}")


@contextmanager
def open_node_device(
    settings: Settings, options: DeviceOptions, say: Say, *, follows_all: bool = False
) -> Iterator[NodeDevice]:
    """Open the folder of a node that is a device, and close it when the block ends.

    Args:
        settings: as for `NodeDevice`, like all the others.
        options: how it is a device.
        say: called with one line for people.
        follows_all: whether it follows what it does not serve, too.

    Raises:
        DataFolderError: another agent uses it, or it cannot be used.
        ConfigurationError: it belongs to another device, or to another control plane.
    """
    with open_state_folder(options.folder(settings)) as state:
        device = NodeDevice(state, settings, options, say, follows_all=follows_all)
        try:
            yield device
        finally:
            device.close()


def _now_s() -> float:
    return datetime.now(UTC).timestamp()


def _describe(ref: ModelRef, release: ReleasedFiles) -> LocalModel:
    """Return a release as a model that can be served.

    Raises:
        InvalidModelFileError: it has no file that the node's engines run.
    """
    path = release.files.get(_FORMAT)
    if path is None:
        has = ", ".join(release.files) or "no file"
        raise InvalidModelFileError(
            f"{ref.target} {release.version} has {has}, and a node serves {_FORMAT} from the "
            "registry; push it in that format, too"
        )
    return describe_file(ref, path)


def _held(release: ReleasedFiles) -> HeldRelease:
    """Return a release as an engine holds it."""

    def require_whole() -> None:
        damaged = damaged_part(release.folder)
        if damaged is not None:
            raise DigestMismatchError(
                f"{damaged} of {release.digest} is not what its manifest says any more"
            )

    return HeldRelease(
        model_id=release.model_id,
        version=release.version,
        digest=release.digest,
        require_whole=require_whole,
    )
