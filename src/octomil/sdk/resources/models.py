"""Models: the names that versions belong to."""

from collections.abc import Iterator, Mapping
from typing import Any

from octomil.http.api import path_to
from octomil.http.records import Record
from octomil.sdk.resources.base import Resource

_PAGE = 100


class ModelCalls(Resource):
    """What can be done with models."""

    def ensure_model(
        self,
        name: str,
        framework: str,
        use_case: str,
        description: str | None = None,
        *,
        model_contract: Mapping[str, Any] | None = None,
        data_contract: Mapping[str, Any] | None = None,
    ) -> Record:
        """Return the model of that name, made if need be; safe to call again, from anywhere.

        Args:
            name: unique in the organisation.
            framework: what it is made with, such as `pytorch`.
            use_case: what it is for, such as `image_classification`.
            description: for people.
            model_contract: shapes and types of its inputs and outputs.
            data_contract: the features it expects.

        Returns:
            The model; one that is there already stays as it is.

        Raises:
            OctomilClientError: the control plane refuses, or does not answer.
        """
        body: dict[str, Any] = {
            "name": name,
            "description": description,
            "framework": framework,
            "use_case": use_case,
            "org_id": self.org_id,
        }
        contracts = {"model_contract": model_contract, "data_contract": data_contract}
        body |= {key: value for key, value in contracts.items() if value is not None}
        model: Record = self._api.post("/models", body)
        return model

    def list_models(
        self,
        framework: str | None = None,
        use_case: str | None = None,
        limit: int = _PAGE,
        offset: int = 0,
    ) -> Record:
        """Return some models, under `models`. Raises as :meth:`ensure_model` does."""
        found: Record = self._api.get(
            "/models",
            org_id=self.org_id,
            framework=framework,
            use_case=use_case,
            limit=limit,
            offset=offset,
        )
        return found

    def iter_models(self) -> Iterator[Record]:
        """Yield every model, page by page. Raises as :meth:`ensure_model` does."""
        offset = 0
        while True:
            page = self.list_models(offset=offset).models
            yield from page
            if len(page) < _PAGE:
                return
            offset += len(page)

    def get_model(self, model_id: str) -> Record:
        """Return a model.

        Raises:
            NotFoundError: there is none with that id.
            OctomilClientError: as in :meth:`ensure_model`.
        """
        model: Record = self._api.get(path_to("models", model_id))
        return model

    def update_model(self, model_id: str, **changes: Any) -> Record:
        """Change a model's description, use case and the like. Raises as :meth:`get_model`."""
        model: Record = self._api.patch(path_to("models", model_id), changes)
        return model

    def delete_model(self, model_id: str) -> Record:
        """Delete a model.

        Raises:
            ConflictError: something still needs it.
            OctomilClientError: as in :meth:`get_model`.
        """
        done: Record = self._api.delete(path_to("models", model_id))
        return done

    def resolve_model_id(self, model: str) -> str:
        """Return the id of the model of that name; what names none is passed on, as an id.

        Raises:
            OctomilClientError: as in :meth:`ensure_model`.
        """
        found = self._find_model(model)
        return model if found is None else str(found.id)

    def _find_model(self, name: str) -> Record | None:
        found = self._api.get("/models", org_id=self.org_id, name=name).models
        return next(iter(found), None)
