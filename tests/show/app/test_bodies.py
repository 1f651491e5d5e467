"""What is still sent after a refusal: heard out while it comes fast, given up when it is slow."""

import asyncio

import pytest

from abatis.show.app.security import body

PIECE = bytes(64 * 1024)
PIECES = 800


@pytest.mark.parametrize("pause_s", [0.001, 0.02], ids=["fast", "slow"])
def test_who_sends_fast_is_heard_out(monkeypatch, pause_s):
    """64 KiB every 20 ms are 3.2 MiB a second, less than the 16 MiB that are waited for; 60 are more."""
    monkeypatch.setattr(body, "DRAINED_S", 0.4)
    given = 0

    async def receive():
        nonlocal given
        await asyncio.sleep(pause_s)
        given += 1
        return {"type": "http.request", "body": PIECE, "more_body": given < PIECES}

    asyncio.run(body.drain(receive))
    assert given == PIECES if pause_s < 0.01 else 5 < given < 100
