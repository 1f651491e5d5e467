"""The page's own files, from show/app/static; a plain page says how to build them when they are missing."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from abatis.show.app.refusals import Refusal
from abatis.show.app.sending import PackedCache, pack, send_packed

STATIC = Path(__file__).parent / "static"
NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>abatis</title></head>
<body><h1>abatis</h1>
<p>The server runs, but its page was not built. Build it once, in the folder <code>web</code>:</p>
<pre>npm ci
npm run build</pre>
<p>An installed package holds the page already. The data are at <a href="/api/openapi.json">/api</a>.</p>
</body></html>
"""
TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".pbf": "application/x-protobuf",
}

router = APIRouter(include_in_schema=False)
_cache = PackedCache(64 * 1024 * 1024)


@router.get("/")
def send_page(request: Request) -> Response:
    """Send the page."""
    page = STATIC / "index.html"
    if not page.is_file():
        return send_packed(request, pack(NOT_BUILT.encode(), TYPES[".html"]))
    return _send_file(request, page, "private, no-cache")


@router.get("/assets/{path:path}")
def send_asset(request: Request, path: str) -> Response:
    """Send a script, style or font; its name holds its hash, so a browser may keep it."""
    return _send_file(request, _find_file(f"assets/{path}"), "private, max-age=31536000, immutable")


@router.get("/{file}")
def send_file(request: Request, file: str) -> Response:
    """Send a file that stands beside the page."""
    return _send_file(request, _find_file(file), "private, no-cache")


def _find_file(name: str) -> Path:
    refusal = Refusal(404, "There is no such page.")
    # NUL and the like make the system itself refuse the name.
    if "\\" in name or any(ord(letter) < 32 for letter in name) or len(name) > 300:
        raise refusal
    try:
        path = (STATIC / name).resolve()
        found = path.is_relative_to(STATIC.resolve()) and path.is_file()
    except OSError:
        raise refusal from None
    if not found:
        raise refusal
    return path


def _send_file(request: Request, path: Path, cache: str) -> Response:
    state = path.stat()
    guess = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = _cache.get((str(path), state.st_mtime_ns, state.st_size), path.read_bytes, guess)
    return send_packed(request, packed, cache)
