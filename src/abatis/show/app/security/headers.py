"""Headers of every answer: what a browser may load, and that nothing outside is asked."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def write_policy(tiles: str = "") -> str:
    """Write the Content-Security-Policy.

    In words: scripts only from this server and never inline; the map's workers may be made from memory;
    style attributes are allowed since map and charts set them; nothing else, and nobody may frame the page.

    Parameters
    ----------
    tiles : address of map tiles outside this server, or an empty string.
    """
    parts = urlsplit(tiles)
    outside = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    rules = (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self' blob:",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",
        f"img-src 'self' data: blob:{outside}",
        f"connect-src 'self' blob: data:{outside}",
        "font-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    )
    return "; ".join(rules)


class SendHeaders:
    """Adds the security headers to every answer.

    Parameters
    ----------
    app : the application.
    tiles : address of map tiles outside this server, or an empty string.
    https : answers over TLS also ask browsers to stay with TLS.
    """

    def __init__(self, app: ASGIApp, tiles: str = "", https: bool = False) -> None:
        self.app = app
        self.fixed = {
            "Content-Security-Policy": write_policy(tiles),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        }
        if https:
            self.fixed["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and mark the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.fixed.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_marked)
