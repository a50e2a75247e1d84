"""Models of the registry."""

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import MaxLen

from octomil.wire.texts import Identifier, Label, Matches

MAX_LISTED = 1000
"""So many things one call lists at most."""


Prose = Annotated[str, MaxLen(10_000), Matches(r"^[^\u0000]*$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCreation:
    """`POST /models`.

    Attributes:
        name: unique in the organisation; the model that has it already is the answer then.
        org_id: the organisation it belongs to; that of the key where it is left out.
        framework: what it was made with, such as `pytorch`.
        use_case: what it is for, such as `image_classification`.
        model_contract: what goes in and comes out.
        data_contract: what data it is trained on.
        architecture: how to build it anew.
        metadata: anything else to be kept with it.
    """

    name: Identifier
    org_id: Identifier | None = None
    description: Prose | None = None
    framework: Label | None = None
    use_case: Label | None = None
    model_contract: Any = None
    data_contract: Any = None
    architecture: Any = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUpdate:
    """`PATCH /models/{id}`: what is left out stays; fields of other names go into `metadata`."""

    name: Identifier | None = None
    description: Prose | None = None
    framework: Label | None = None
    use_case: Label | None = None
    model_contract: Any = None
    data_contract: Any = None
    architecture: Any = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model.

    Attributes:
        created_at: RFC 3339 in UTC.
    """

    id: str
    name: str
    org_id: str
    description: str | None
    framework: str | None
    use_case: str | None
    model_contract: Any
    data_contract: Any
    architecture: Any
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    """`GET /models`, in the order of their names."""

    models: list[ModelView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What the removal of anything is answered with."""

    id: str
    deleted: bool = True
