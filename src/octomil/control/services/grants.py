"""Giving scopes away: nobody can give more than it has."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from octomil.control.scopes import SCOPES
from octomil.control.services.callers import Caller
from octomil.errors import BadRequestError


def require_grantable(
    caller: Caller, scopes: Sequence[str], among: Collection[str] = tuple(SCOPES)
) -> tuple[str, ...]:
    """Return scopes that a caller may give away, sorted and each once.

    Args:
        caller: who gives.
        scopes: what it gives.
        among: what can be given at all to such a holder.

    Raises:
        BadRequestError: one is not known, or not for such a holder.
        ForbiddenError: the caller lacks one itself.
    """
    for scope in scopes:
        if scope not in among:
            near = get_close_matches(scope, among, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise BadRequestError(
                f"{scope!r} is no scope that can be given here{hint}", {"scopes": sorted(among)}
            )
        caller.require(scope)
    return tuple(sorted(set(scopes)))
