"""`/docs`: the API's documentation as a page that asks, made of its OpenAPI; it loads nothing from anywhere else."""

import base64
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from whence.serve.door import Strict
from whence.serve.problems import RESPONSES

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["server"])

_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2rem 0 .5rem; font-size: 1.1rem; }
details { border: 1px solid #8884; border-radius: 6px; margin: .3rem 0; padding: .3rem .7rem; }
summary { cursor: pointer; } summary code { font-weight: 600; } summary span { opacity: .75; margin-left: .6rem; }
label { display: grid; grid-template-columns: 9rem 14rem 1fr; gap: .7rem; align-items: center; margin: .25rem 0; }
label small { opacity: .75; } input { font: inherit; padding: .1rem .4rem; min-width: 0; }
button { font: inherit; margin: .5rem 0; } pre { overflow: auto; max-height: 30rem; background: #8882; padding: .6rem; }
"""
_SCRIPT: Final = """
const token = document.getElementById('token');
for (const form of document.forms) form.addEventListener('submit', async (asked) => {
  asked.preventDefault();
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll('input')) {
    if (field.dataset.in === 'path') path = path.replace('{' + field.name + '}', encodeURIComponent(field.value));
    else if (field.value) for (const one of field.dataset.many ? field.value.split(',') : [field.value])
      query.append(field.name, one);
  }
  const url = path + (query.size ? '?' + query : ''), out = form.querySelector('pre');
  const headers = token.value ? { Authorization: 'Bearer ' + token.value } : {};
  out.textContent = form.dataset.method + ' ' + url;
  try {
    const reply = await fetch(url, { method: form.dataset.method, headers });
    const text = await reply.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { }
    out.textContent = `${form.dataset.method} ${url}\\n${reply.status} ${reply.statusText}\\n\\n${shown}`;
  } catch (fault) { out.textContent += '\\n' + fault; }
});
"""
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
    f"script-src 'sha256-{base64.b64encode(sha256(_SCRIPT.encode()).digest()).decode()}'"
)
_FORMLESS: Final = "text/event-stream"


@router.get(
    "/docs",
    summary="This documentation",
    response_class=Response,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "A page."}},
)
def docs(request: Request) -> Response:
    """Every route with its parameters, and a form to ask it. The same for programs is at /openapi.json."""
    return HTMLResponse(page(request.app.openapi()), headers={"Content-Security-Policy": _POLICY})


def page(described: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document."""
    about = described["info"]
    tags: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            told = "".join(_operation(path, method.upper(), operation))
            tags.setdefault(operation.get("tags", ["other"])[0], []).append(told)
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(told)}" for tag, told in tags.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(about["title"])} API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(about['title'])} {escape(about['version'])}</h1><p>{escape(about.get('description', ''))}</p>"
        '<p>For programs: <a href="/openapi.json">/openapi.json</a>.</p>'
        '<label>Token<input id="token" type="password" autocomplete="off"><small>where the server asks for one</small></label>'
        f"{body}<script>{_SCRIPT}</script></html>"
    )


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<details><summary><code>{method} {escape(path)}</code><span>{escape(operation.get('summary', ''))}</span></summary>"
    for paragraph in operation.get("description", "").split("\n\n"):
        yield f"<p>{escape(paragraph)}</p>"
    answers = operation["responses"].get("200", {}).get("content", {})
    yield f'<form data-method="{method}" data-path="{escape(path)}">'
    yield from map(_parameter, operation.get("parameters", ()))
    if _FORMLESS in answers:
        yield f"<p>An answer without end: <code>curl -N http://localhost:8642{escape(path)}</code></p>"
    elif "requestBody" not in operation:
        yield "<button>Ask</button><pre></pre>"
    yield "</form></details>"


def _parameter(one: Mapping[str, Any]) -> str:
    shape = one["schema"]
    many = any(part.get("type") == "array" for part in (shape, *shape.get("anyOf", ())))
    needed = " required" if one.get("required") else ""
    default = f' placeholder="{escape(str(shape["default"]))}"' if shape.get("default") is not None else ""
    said = one.get("description", "") + (" Several with commas between." if many else "")
    return (
        f'<label><code>{escape(one["name"])}</code><input name="{escape(one["name"])}" data-in="{one["in"]}"'
        f"{' data-many=1' if many else ''}{needed}{default}><small>{escape(said)}</small></label>"
    )
