"""GET /api and /api/openapi.json: what the API answers, made from the same catalogue that it answers from."""

import inspect
from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get

from relaytrap import __version__
from relaytrap.store.queries import CATALOGUE, FIELDS, Filter, conditions_of, fields_of, options_of
from relaytrap.web.api import feeds
from relaytrap.web.site import Ask, TheSite

__all__ = ["HANDLERS"]

TYPES: Final[dict[str, dict[str, Any]]] = {"Bool": {"type": "boolean"}}
LINES: Final = {
    "name": "format",
    "in": "query",
    "required": False,
    "description": "`lines`: one JSON object a line, streamed",
    "schema": {"type": "string", "enum": ["json", "lines"]},
}


@get("/api", sync_to_thread=True, include_in_schema=False)
def index(request: Ask, site: TheSite) -> Response[bytes]:
    return site.page(request, "pages/api.html", queries=describe(), fields=FIELDS, json_twin="/api/openapi.json")


@get("/api/openapi.json", sync_to_thread=False, include_in_schema=False)
def openapi() -> Response[dict[str, Any]]:
    return Response(_document(), headers={"cache-control": "public, max-age=300"})


def describe() -> list[dict[str, Any]]:
    """Each question: name, what its rows are, its options, and the fields of its conditions; filters: it takes those of
    messages."""
    found = []
    for name, function in CATALOGUE.items():
        options = [
            {
                "name": key,
                "type": _type(option),
                "required": option.default is option.empty,
                "default": _default(option),
            }
            for key, option in options_of(name).items()
        ]
        conditions = conditions_of(name)
        found.append(
            {
                "name": name,
                "doc": inspect.cleandoc(function.__doc__ or ""),
                "options": options,
                "conditions": fields_of(conditions),
                "filters": conditions is Filter,
            }
        )
    return found


def _type(option: inspect.Parameter) -> str:
    return {bool: "boolean", int: "integer"}.get(option.annotation, "string")


def _default(option: inspect.Parameter) -> Any:
    return None if option.default is option.empty else option.default


def _document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths = {f"/api/{each['name']}": {"get": _operation(each)} for each in describe()}
    paths["/api/live"] = {"get": _live()}
    paths["/feeds/{file}"] = {"get": feeds.describe()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Relaytrap",
            "version": __version__,
            "description": "The rows that pages show. Times are RFC 3339, addresses canonical text, identifiers 16 hex "
            "digits. Text from messages is as hostile here as it was on the wire: escape it where you show it.",
        },
        "paths": paths,
    }


def _operation(query: dict[str, Any]) -> dict[str, Any]:
    options = [
        {
            "name": option["name"],
            "in": "query",
            "required": option["required"],
            "schema": {"type": option["type"]} | ({"default": option["default"]} if not option["required"] else {}),
        }
        for option in query["options"]
    ]
    rows = {
        "type": "object",
        "properties": {"query": {"type": "string"}, "rows": {"type": "array", "items": {"type": "object"}}},
    }
    return {
        "operationId": query["name"],
        "summary": query["doc"].splitlines()[0] if query["doc"] else query["name"],
        "description": query["doc"],
        "parameters": [*options, *_parameters(query["conditions"]), LINES],
        "responses": {
            "200": {"description": "Rows", "content": {"application/json": {"schema": rows}}},
            "400": {"description": "A condition or option is wrong: `error` says which"},
        },
    }


def _live() -> dict[str, Any]:
    return {
        "operationId": "live",
        "summary": "Messages as they are taken in, as server-sent events: event `message`, data one JSON object.",
        "parameters": _parameters(FIELDS),
        "responses": {"200": {"description": "A stream that does not end", "content": {"text/event-stream": {}}}},
    }


def _parameters(conditions: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": spec["doc"],
            "schema": TYPES.get(spec["type"], {"type": "integer" if "UInt" in spec["type"] else "string"}),
        }
        for name, spec in conditions.items()
    ]


HANDLERS = (index, openapi)
