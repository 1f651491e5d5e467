"""Draws on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from typing import Any

RETRIES = 3


class ClusterExecutor(Executor):
    """Runs calls on a Dask cluster; the first argument, a case, is sent to every worker once.

    Parameters
    ----------
    client : `distributed.Client`; its workers need the same version of abatis.

    In words: the blocks of a worker that died go to another one. Dask keeps a single copy of a case that
    nobody has asked for lately; when that copy died, too, the case is sent again, and the block after it.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sent: list[tuple[object, Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Send one call; return its future."""
        case, *others = args

        def send() -> Any:
            return self._client.submit(fn, self._send(case), *others, **kwargs, pure=False, retries=RETRIES)

        return _Answer(send)

    def _send(self, case: object) -> Any:
        for known, sent in self._sent:
            if known is case and sent.status == "finished":
                return sent
        sent = self._client.scatter(case, broadcast=True, hash=False)
        self._sent = [(case, sent), *((known, one) for known, one in self._sent if known is not case)]
        return sent


class _Answer(Future[Any]):
    """The answer of one call, which is sent again when it was lost."""

    def __init__(self, send: Callable[[], Any]) -> None:
        super().__init__()
        self._send = send
        self._sent = send()

    def result(self, timeout: float | None = None) -> Any:
        for _ in range(RETRIES):
            try:
                return self._sent.result(timeout)
            except CancelledError:
                if self.cancelled():
                    raise
                self._sent = self._send()
        return self._sent.result(timeout)

    def cancel(self) -> bool:
        self._sent.cancel()
        return super().cancel()
