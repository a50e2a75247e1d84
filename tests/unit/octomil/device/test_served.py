"""A device that serves some of its models and keeps others for programs."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from octomil.device.activation import LinkActivator
from octomil.device.releases import Release
from octomil.device.served import AllBut, NodeAndLinks, TrialOfOthers, link_begun
from octomil.device.state import StateFolder
from octomil.errors import EngineError


def release(model_id: str) -> Release:
    return Release(
        model_id=model_id, version="1.0.0", digest=f"sha256:{model_id}", folder=Path(), files={}
    )


@dataclass
class Runs:
    """What runs models, by name."""

    name: str
    releases: dict[str, str] = field(default_factory=dict)
    fails: bool = False

    def activate(self, release: Release) -> None:
        if self.fails:
            raise EngineError("it does not load")
        self.releases[release.model_id] = release.digest

    def running(self, model_id: str) -> str | None:
        return self.releases.get(model_id)

    def problem(self, model_id: str) -> str | None:
        return f"{self.name} on {model_id}"

    def in_use(self) -> set[str]:
        return set(self.releases.values())


def test_what_is_served_is_linked_too_and_the_rest_is_linked_alone():
    node, links = Runs("node"), Runs("links")
    both = NodeAndLinks(node, {"served"}, links)
    both.activate(release("served"))
    both.activate(release("linked"))

    assert node.releases == {"served": "sha256:served"}
    assert links.releases == {"served": "sha256:served", "linked": "sha256:linked"}
    assert both.in_use() == {"sha256:served", "sha256:linked"}


def test_each_is_asked_for_what_it_runs():
    node, links = Runs("node"), Runs("links", {"served": "sha256:old", "linked": "sha256:linked"})
    both = NodeAndLinks(node, {"served"}, links)

    assert (both.running("served"), both.running("linked")) == (None, "sha256:linked")
    assert both.problem("served") == "node on served"
    assert both.problem("linked") == "links on linked"


def test_what_the_node_refuses_is_not_linked():
    links = Runs("links")
    with pytest.raises(EngineError):
        NodeAndLinks(Runs("node", fails=True), {"served"}, links).activate(release("served"))

    assert links.releases == {}


def test_what_a_node_begins_with_is_linked_where_that_works(state: StateFolder):
    links, said = LinkActivator(state), []
    begun = [
        Release(model_id=name, version="1.0.0", digest=f"sha256:{digits}",
                folder=state.releases / digits, files={})
        for name, digits in (("first", "a" * 64), ("second", "b" * 64))
    ]  # fmt: skip
    for each in begun:
        each.folder.mkdir()
    in_the_way = state.link("first").with_name(".first.new")
    in_the_way.mkdir()

    link_begun(links, begun, said.append)
    assert links.in_use() == {begun[1].digest}
    (line,) = said
    assert line.startswith("first 1.0.0 is served and could not be linked: ")

    in_the_way.rmdir()
    link_begun(links, begun, said.append)
    assert links.in_use() == {each.digest for each in begun}


def test_what_is_linked_already_is_left_alone():
    links = Runs("links", {"served": "sha256:served"}, fails=True)

    link_begun(links, [release("served")], pytest.fail)


def test_only_what_is_not_served_is_tried():
    trial = TrialOfOthers(lambda each: [f"tried {each.model_id}"], {"served"})

    assert (trial(release("served")), trial(release("linked"))) == ([], ["tried linked"])


def test_all_but_what_is_pinned_is_followed():
    assert ("pinned" in AllBut({"pinned"}), "other" in AllBut({"pinned"})) == (False, True)
