"""Answers that are made once, compressed once, and sent many times."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response

SMALL = 1000


@dataclass(frozen=True)
class Packed:
    """The bytes of an answer, plain and compressed, with the tag that a browser may send back."""

    plain: bytes
    squeezed: bytes
    etag: str
    media_type: str

    @property
    def size(self) -> int:
        """Bytes held in memory."""
        return len(self.plain) + len(self.squeezed)


def pack(plain: bytes, media_type: str, level: int = 6) -> Packed:
    """Compress an answer and tag it.

    Examples
    --------
    >>> packed = pack(b"a" * 2000, "text/plain")
    >>> len(packed.squeezed) < 100, gzip.decompress(packed.squeezed) == packed.plain
    (True, True)
    """
    squeezed = gzip.compress(plain, level, mtime=0) if len(plain) >= SMALL else b""
    return Packed(plain, squeezed, hashlib.sha256(plain).hexdigest()[:24], media_type)


def send_packed(request: Request, packed: Packed, cache: str = "private, no-cache") -> Response:
    """Send a packed answer: 304 when the browser has it, compressed when it may be.

    The browser keeps the answer and asks again whether it still holds (`cache` is Cache-Control).
    """
    may_squeeze = bool(packed.squeezed) and accepts_gzip(request.headers.get("accept-encoding", ""))
    etag = f'"{packed.etag}{"-gz" if may_squeeze else ""}"'
    headers = {"ETag": etag, "Cache-Control": cache, "Vary": "Accept-Encoding, Cookie"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if etag in known:
        return Response(status_code=304, headers=headers)
    if may_squeeze:
        headers["Content-Encoding"] = "gzip"
    return Response(packed.squeezed if may_squeeze else packed.plain, 200, headers, packed.media_type)


def accepts_gzip(header: str) -> bool:
    """Say whether an Accept-Encoding header allows gzip.

    Examples
    --------
    >>> accepts_gzip("gzip, deflate"), accepts_gzip("gzip;q=0"), accepts_gzip("br")
    (True, False, False)
    """
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class PackedCache:
    """Keeps packed answers by key, the least used leave first; one thread makes an answer, others wait.

    Parameters
    ----------
    most_bytes : memory for all answers together.
    """

    def __init__(self, most_bytes: int = 256 * 1024 * 1024) -> None:
        self._most = most_bytes
        self._held: OrderedDict[Hashable, Packed] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], bytes], media_type: str = "application/json") -> Packed:
        """Return the answer of a key, made by `make` when it is not held yet.

        Put into the key whatever the answer depends on: the plan's time of change, the role.
        """
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            turn = self._making.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._held:
                    return self._held[key]
            try:
                packed = pack(make(), media_type)
                self._keep(key, packed)
            finally:
                with self._lock:
                    self._making.pop(key, None)
            return packed

    def _keep(self, key: Hashable, packed: Packed) -> None:
        with self._lock:
            if packed.size > self._most:
                return
            self._held[key] = packed
            self._size += packed.size
            while self._size > self._most:
                _, gone = self._held.popitem(last=False)
                self._size -= gone.size

    @property
    def held_bytes(self) -> int:
        """Bytes of all answers held."""
        with self._lock:
            return self._size

    def clear(self) -> None:
        """Forget every answer."""
        with self._lock:
            self._held.clear()
            self._size = 0
