"""Models that may be asked for by name alone: the catalog's, those with an alias, those here."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from octomil.config import Settings
from octomil.errors import ModelError
from octomil.models.catalog import CATALOG, SHORT_NAMES, ModelKind
from octomil.models.pull import ModelStore
from octomil.models.references import ModelRef, parse_reference


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be had.

    Attributes:
        ref: what it is.
        is_here: whether its files are on this machine, or it has none.
    """

    ref: ModelRef
    is_here: bool

    @property
    def kind(self) -> ModelKind | None:
        """What it can be asked for; None where only its file tells."""
        return CATALOG[self.ref.target].kind if self.ref.kind == "catalog" else None


class Offers:
    """What strangers may name, and nothing else: no path, no address, no reference of theirs.

    Every method looks at the disk, and blocks meanwhile.

    Args:
        settings: whose aliases and cache folder count.
        elsewhere: whether models that other servers run are offered, by their aliases.

    Raises:
        ConfigurationError: an alias is malformed.
        UnknownModelError: an alias leads nowhere.
    """

    def __init__(self, settings: Settings, *, elsewhere: bool = True) -> None:
        aliases = settings.model_aliases
        refs = {name: parse_reference(name, aliases) for name in (*CATALOG, *SHORT_NAMES, *aliases)}
        # A registry's models come with their releases, by `--control-plane`.
        left_out = {"registry"} if elsewhere else {"registry", "ollama", "openai"}
        self._refs = {name: ref for name, ref in refs.items() if ref.kind not in left_out}
        self._store = ModelStore(settings)

    def find(self, name: str) -> Offer | None:
        """Return what is offered under a name; None if nothing is."""
        ref = self._refs.get(name) or self._pulled().get(name)
        return None if ref is None else self._offer(ref)

    def by_name(self) -> Mapping[str, Offer]:
        """Return all there is, by name."""
        refs = {name: ref for name, ref in self._refs.items() if name not in SHORT_NAMES}
        return {name: self._offer(ref) for name, ref in (self._pulled() | refs).items()}

    def nearest(self, name: str) -> list[str]:
        """Return the names that `name` may have been meant as, at most three."""
        return get_close_matches(name.lower(), self._pulled() | self._refs, n=3, cutoff=0.5)

    def _pulled(self) -> dict[str, ModelRef]:
        """Return what was pulled by a reference of its own, and is here."""
        found = (parse_reference(model.reference) for model in self._store.list())
        return {ref.name: ref for ref in found if ref.kind == "hf"}

    def _offer(self, ref: ModelRef) -> Offer:
        try:
            is_here = not ref.has_files or self._store.find(ref) is not None
        except ModelError:  # an alias for a file that is not there, or is no model
            is_here = False
        return Offer(ref, is_here)
