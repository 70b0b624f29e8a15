"""``/docs``: the description of the API as a page, made here; nothing is loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from oatie_ops.api.dashboard.layout import PAGE_HEADERS, layout
from oatie_ops.api.dashboard.words import marked
from oatie_ops.api.described import refused
from oatie_ops.api.description import text
from oatie_ops.api.routing import APIRouter

MAX_EXAMPLE_CHARACTERS = 4000

router = APIRouter(tags=["description"])

# Media type and description of a request's body.
Body = tuple[str, Mapping[str, Any]]


@router.get(
    "/docs",
    summary="This page: every path of the API, with examples.",
    response_class=HTMLResponse,
    responses=refused(403, 421),
)
async def docs(request: Request) -> Response:
    description = json.loads(await text())
    base = str(request.base_url).rstrip("/")
    return HTMLResponse(
        layout("docs", f"{description['info']['title']} API", page(description, base)), headers=PAGE_HEADERS
    )


def page(description: Mapping[str, Any], base: str) -> dict[str, Any]:
    """What the template shows of an OpenAPI description. Pure."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(path, method, operation, base))
    about = {tag["name"]: tag.get("description", "") for tag in description.get("tags", ())}
    return {
        "title": description["info"]["title"],
        "version": description["info"]["version"],
        "about": marked(description["info"].get("description", "")),
        "groups": [
            {"name": name, "about": about.get(name, ""), "operations": operations}
            for name, operations in groups.items()
        ],
    }


def _operation(path: str, method: str, operation: Mapping[str, Any], base: str) -> dict[str, Any]:
    security = operation.get("security")
    request_body = next(iter(operation.get("requestBody", {}).get("content", {}).items()), None)
    return {
        "method": method.upper(),
        "method_class": method,
        "path": path,
        "summary": marked(operation.get("summary", "")),
        "description": marked(operation.get("description", "")),
        "access": _access(security),
        "parameters": [_parameter(parameter) for parameter in operation.get("parameters", ())],
        "body": [_body(*request_body)] if request_body else [],
        "answers": list(_answers(operation)),
        "curl": _curl(path, method, operation, base, request_body),
    }


def _access(security: list[Any] | None) -> str:
    if not security:
        return "open to everybody who can reach it"
    if {} in security:
        return "read: open on loopback, else a token or a session"
    return "operate: a token or a session, or the owner's Unix socket"


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    schema = parameter.get("schema", {})
    kinds = [part.get("type") for part in schema.get("anyOf", [schema])]
    values = schema.get("enum") or ()
    return {
        "name": parameter["name"],
        "where": parameter["in"],
        "kind": ", ".join(kind for kind in kinds if kind and kind != "null") or "text",
        "values": " | ".join(map(str, values)),
        "required": "required" if parameter.get("required") else "",
        "description": marked(parameter.get("description", "")),
    }


def _body(media_type: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"media_type": media_type, "example": _shown(_example(content))}


def _answers(operation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for code, answer in operation["responses"].items():
        contents = answer.get("content", {})
        media_type, content = next(iter(contents.items()), ("", {}))
        yield {
            "code": code,
            "kind": code[0],
            "description": answer.get("description", ""),
            "media_type": media_type,
            "example": _shown(_example(content)),
        }


def _example(content: Mapping[str, Any]) -> Any:
    if "example" in content:
        return content["example"]
    examples = content.get("examples") or content.get("schema", {}).get("examples") or ()
    if isinstance(examples, Mapping):
        return next((each.get("value") for each in examples.values()), None)
    return examples[0] if examples else None


def _shown(example: Any) -> str:
    if example is None:
        return ""
    text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    if len(text) <= MAX_EXAMPLE_CHARACTERS:
        return text
    return text[:MAX_EXAMPLE_CHARACTERS].rpartition("\n")[0] + "\n… (shortened here)"


def _curl(path: str, method: str, operation: Mapping[str, Any], base: str, body: Body | None) -> str:
    where = path
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            where = where.replace(f"{{{parameter['name']}}}", str(_sample(parameter)))
    parts = ["curl"] if method == "get" else ["curl", "-X", method.upper()]
    if operation.get("security") and {} not in operation["security"]:
        parts += ["-H", '"Authorization: Bearer $TOKEN"']
    if body is not None:
        example = _example(body[1])
        data = json.dumps(example, ensure_ascii=False) if body[0] == "application/json" else ""
        if data:
            parts += ["-H", "'Content-Type: application/json'", "-d", f"'{data}'"]
    return " ".join([*parts, f"{base}{where}"])


def _sample(parameter: Mapping[str, Any]) -> Any:
    examples = parameter.get("schema", {}).get("examples") or parameter.get("examples") or ()
    if isinstance(examples, Mapping):
        return next((each.get("value") for each in examples.values()), parameter["name"])
    return examples[0] if examples else parameter.get("example", parameter["name"])
