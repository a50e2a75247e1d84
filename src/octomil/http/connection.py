"""Where the control plane is and who asks: from arguments, else from the environment."""

from collections.abc import Callable
from typing import Any

from octomil.config import Settings
from octomil.errors import ConfigurationError
from octomil.http.api import ApiClient


def connect(api_key: str | None, api_base: str | None, org_id: str | None) -> tuple[ApiClient, str]:
    """Return a client of the control plane, and the organisation to ask for.

    Args:
        api_key: else `OCTOMIL_API_KEY`.
        api_base: else `OCTOMIL_API_BASE`, else this machine's.
        org_id: else `OCTOMIL_ORG_ID`, else `default`.

    Raises:
        ConfigurationError: there is no key, or what is none, or the address is none. Nobody is
            asked yet.
    """
    given: dict[str, Any] = {"api_key": api_key, "api_base": api_base, "org_id": org_id}
    settings = Settings.from_env(**{name: value for name, value in given.items() if value})
    key = settings.api_key
    if key is None:
        raise ConfigurationError(
            "there is no API key: pass api_key=, or set OCTOMIL_API_KEY; the first start of "
            "`octomil up` prints one, and `octomil keys create NAME --admin --data-dir DIR` makes "
            "another on its machine"
        )
    return ApiClient(settings.api_base, bearer_of(key)), settings.org_id


def bearer_of(api_key: str) -> Callable[[], str]:
    """Return what shows a key.

    Raises:
        ConfigurationError: there is none, or it has a character that no key has.
    """
    if not api_key:
        raise ConfigurationError("api_key is empty; `octomil keys create NAME` makes one")
    for place, character in enumerate(api_key, 1):
        if not "!" <= character <= "~":
            raise ConfigurationError(
                f"api_key has {character!r} as its character {place}, which no key has; was it "
                "copied whole, and nothing else with it?"
            )
    return lambda: api_key
