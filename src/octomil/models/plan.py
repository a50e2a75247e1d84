"""What a reference to a downloadable model comes to: a folder, files, and sources to try."""

import hashlib
import re
from dataclasses import dataclass

from octomil.models.catalog import CATALOG, CatalogEntry, HubFiles, ModelFile, SourceSpec
from octomil.models.references import ModelRef


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One model to fetch.

    Attributes:
        ref: what was asked for.
        folder: its folder's name in the store.
        files: the weights first; a size of 0 is not known yet.
        sources: where to fetch from, best first.
        entry: what the catalog knows; None for a file of the hub.
    """

    ref: ModelRef
    folder: str
    files: tuple[ModelFile, ...]
    sources: tuple[SourceSpec, ...]
    entry: CatalogEntry | None = None

    @property
    def label(self) -> str:
        """The reference as a person would type it."""
        return str(self.ref)


def plan_for(ref: ModelRef) -> Plan | None:
    """What to fetch for a reference; None where nothing can be fetched."""
    if ref.kind == "catalog":
        entry = CATALOG[ref.target]
        return Plan(
            ref=ref, folder=entry.name, files=entry.files, sources=entry.sources, entry=entry
        )
    if ref.kind != "hf":
        return None
    wanted = {f"model.{ref.file.rpartition('.')[2]}": ref.file}
    if ref.file.endswith(".onnx"):
        wanted["tokenizer.json"] = "tokenizer.json"
    return Plan(
        ref=ref,
        folder=_safe_name(str(ref)),
        files=tuple(ModelFile(name=name, size_bytes=0) for name in wanted),
        sources=(HubFiles(ref.target, wanted, ref.revision),),
    )


def _safe_name(text: str) -> str:
    """A folder name that a person can read and that no other reference shares."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "--", text)[:100]
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
