"""A device that serves some of its models and keeps others for programs that open them."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from octomil.device.activation import Activator
from octomil.device.probation import Trial
from octomil.device.releases import Release
from octomil.errors import OctomilError


class NodeAndLinks:
    """Puts a release to use in the node that serves its model; any other, by its link alone.

    Links point at what is served, too: there a restarted node finds it.

    Args:
        node: serves models.
        served: which.
        links: what programs open models through.
    """

    def __init__(self, node: Activator, served: Container[str], links: Activator) -> None:
        self._node, self._served, self._links = node, served, links

    def activate(self, release: Release) -> None:
        """Put a release to use. Raises as the node does."""
        if release.model_id in self._served:
            self._node.activate(release)
        self._links.activate(release)

    def running(self, model_id: str) -> str | None:
        """Return the digest that the node's engine holds open, or that the link leads to."""
        by = self._node if model_id in self._served else self._links
        return by.running(model_id)

    def problem(self, model_id: str) -> str | None:
        """Return why the node's engine cannot be asked now; None if it can, or is none."""
        by = self._node if model_id in self._served else self._links
        return by.problem(model_id)

    def in_use(self) -> set[str]:
        """Return the digests of what engines hold open, and of what links lead to."""
        return self._node.in_use() | self._links.in_use()


def link_begun(links: Activator, begun: Iterable[Release], say: Callable[[str], None]) -> None:
    """Point links at what a node begins with, where they do not lead there yet.

    What cannot be linked is served all the same, and the next release of its model is linked anew.

    Args:
        links: what programs open models through.
        begun: what the node begins with.
        say: called with one line for people where a link cannot be made.
    """
    for release in begun:
        try:
            if release.digest not in links.in_use():
                links.activate(release)
        except (OctomilError, OSError) as error:
            say(f"{release.model_id} {release.version} is served and could not be linked: {error}")


class TrialOfOthers:
    """Tries releases of models that the node does not serve; it tries its own as it loads them.

    Args:
        trial: tries them.
        served: the models that the node serves.
    """

    def __init__(self, trial: Trial, served: Container[str]) -> None:
        self._trial, self._served = trial, served

    def __call__(self, release: Release) -> list[str]:
        """Return what people should know of it. Raises as `SmokeTest` does."""
        return [] if release.model_id in self._served else self._trial(release)


@dataclass(frozen=True, slots=True)
class AllBut:
    """All models but some.

    >>> "mod_1" in AllBut({"mod_2"}), "mod_2" in AllBut({"mod_2"})
    (True, False)
    """

    left_out: Container[str]

    def __contains__(self, model_id: object) -> bool:
        """Tell whether a model is none of them."""
        return model_id not in self.left_out
