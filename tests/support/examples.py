"""The smallest JSON value that a schema of an OpenAPI document takes."""

from typing import Any

import jsonschema

_MEANT = {"version": "1.0.0", "storage_path": "sha256:" + "a" * 64, "url": "https://example.com"}
"""Where a field's name says more than its schema."""

_TEXTS = ("x", "a" * 32, "a" * 64, "sha256:" + "a" * 64, "a=b", "2026-01-01T00:00:00Z")


def smallest(schema: Any, document: dict[str, Any]) -> Any:
    """A value for `schema`, whose references lead into `document`; required fields alone.

    Raises:
        AssertionError: none of the texts known here fits; add one.
    """
    if "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return smallest(found, document)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return smallest(schema[key][0], document)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    return _of_type(schema, document)


def _of_type(schema: Any, document: dict[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            wanted = schema.get("required", ())
            return {name: _MEANT.get(name) or smallest(fields[name], document) for name in wanted}
        case "array":
            return [smallest(schema["items"], document)] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "string":
            fitting = [text for text in _TEXTS if _fits(text, schema)]
            assert fitting, f"no text here fits {schema}"
            return fitting[0]
        case kind:
            return False if kind == "boolean" else {}


def request_of(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """What to give an HTTP client, so that an operation gets headers and a body it can read."""
    headers = {
        each["name"]: str(smallest(each["schema"], document))
        for each in operation.get("parameters", ())
        if each["in"] == "header" and each.get("required")
    }
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        schema = content["application/json"]["schema"]
        return {"json": smallest(schema, document), "headers": headers}
    if content:
        return {"content": b"x", "headers": {**headers, "content-type": next(iter(content))}}
    return {"headers": headers}


def _fits(text: str, schema: dict[str, Any]) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(text)
