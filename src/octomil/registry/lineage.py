"""Which versions come from which: a directed acyclic graph, as edges from node to nodes."""

from collections import deque
from collections.abc import Mapping, Sequence

Edges = Mapping[str, Sequence[str]]
"""From a node to those it has an edge to; a node without any may be left out."""


def reachable(start: str, edges: Edges) -> list[str]:
    """Return the nodes that can be reached from one, nearest first, each once, without itself.

    Example:
        >>> reachable("a", {"a": ["b", "c"], "b": ["d"], "c": ["d"]})
        ['b', 'c', 'd']
    """
    found = dict.fromkeys([start])
    waiting = deque([start])
    while waiting:
        for following in edges.get(waiting.popleft(), ()):
            if following not in found:
                found[following] = None
                waiting.append(following)
    del found[start]
    return list(found)


def path_between(start: str, end: str, edges: Edges) -> list[str] | None:
    """Return a shortest way from one node to another, both included; None if there is none.

    Example:
        >>> path_between("a", "d", {"a": ["b", "c"], "b": ["d"], "c": ["d"]})
        ['a', 'b', 'd']
    """
    before: dict[str, str | None] = {start: None}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        if node == end:
            return _way_to(node, before)
        for following in edges.get(node, ()):
            if following not in before:
                before[following] = node
                waiting.append(following)
    return None


def cycle_closed_by(node: str, parents: Sequence[str], ancestry: Edges) -> list[str] | None:
    """Return the cycle that a node with these parents would close, from the node to itself.

    Args:
        node: whose parents are to be set.
        parents: what they are to be.
        ancestry: from each node to its present parents; a graph without cycles.

    Example:
        >>> cycle_closed_by("a", ["c"], {"c": ["b"], "b": ["a"]})
        ['a', 'c', 'b', 'a']
    """
    for parent in parents:
        way = path_between(parent, node, ancestry)
        if way is not None:
            return [node, *way]
    return None


def _way_to(node: str, before: Mapping[str, str | None]) -> list[str]:
    way = [node]
    while (previous := before[way[-1]]) is not None:
        way.append(previous)
    return way[::-1]
