"""Bodies of requests: counted while they stream in, refused when too large or too slow."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from abatis.show.app.refusals import Refusal

DRAINED_BYTES = 2 * 1024**3
DRAINED_S = 5.0
DRAINED_BYTES_PER_S = 16 * 1024**2
SLOWEST_BYTES_PER_S = 1024


class BodyGate:
    """Lets at most `most_bytes` of a body through.

    Parameters
    ----------
    receive : where the body comes from.
    most_bytes : size allowed.
    wait_s : longest wait for the next piece.
    """

    def __init__(self, receive: Receive, most_bytes: int, wait_s: float) -> None:
        self.source = receive
        self._most = most_bytes
        self._wait_s = wait_s
        self._count = 0
        self._began: float | None = None
        self._ended = False
        self.broken: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()

    def check_length(self, headers: Headers) -> None:
        """Refuse a body that says itself that it is too large, before any of it is read.

        Raises
        ------
        Refusal : 413 for too large, 400 for a length that is no number, 415 for a compressed body.
        """
        if headers.get("content-encoding", "identity") != "identity":
            raise Refusal(415, "Compressed bodies are not taken.", "header Content-Encoding", "send it plain")
        length = headers.get("content-length")
        if length is None:
            return
        if not length.isdigit():
            raise Refusal(400, "The length is no number.", "header Content-Length")
        if int(length) > self._most:
            raise self._refuse_size()

    def _refuse_size(self) -> Refusal:
        return Refusal(
            413, f"The body is larger than {self._most:,} bytes.", remedy="send less, or in several parts",
            headers={"Connection": "close"},
        )  # fmt: skip

    async def receive(self) -> Message:
        """Give the next piece of the body.

        In words: when the body grows too large (413) or comes too slowly (408), `broken` holds the refusal
        and the route waits here until it is ended; raising would let it answer in its own words.
        """
        if self._ended:
            # From here on the route only waits for the visitor to leave.
            return await self.source()
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        longest_s = self._wait_s + self._count / SLOWEST_BYTES_PER_S
        try:
            message = await asyncio.wait_for(self.source(), min(self._wait_s, self._began + longest_s - now))
        except TimeoutError:
            return await self._break(
                Refusal(408, "The body came too slowly.", remedy="try again", headers={"Connection": "close"})
            )
        if message["type"] == "http.request":
            self._count += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)
            if self._count > self._most:
                return await self._break(self._refuse_size())
        return message

    async def _break(self, refusal: Refusal) -> Message:
        if not self.broken.done():
            self.broken.set_result(refusal)
        return await asyncio.get_running_loop().create_future()


async def drain(receive: Receive) -> None:
    """Throw away what still comes in: a visitor reads an answer after sending all.

    In words: for `DRAINED_S` seconds, and longer only while more than `DRAINED_BYTES_PER_S` come.
    """
    count, begin = 0, time.monotonic()
    while count < DRAINED_BYTES and time.monotonic() - begin < DRAINED_S + count / DRAINED_BYTES_PER_S:
        try:
            message = await asyncio.wait_for(receive(), 1.0)
        except TimeoutError:
            break
        count += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
