"""Draws on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

RETRIES = 3


class ClusterExecutor(Executor):
    """Runs calls on a Dask cluster; the first argument, a case, is sent to every worker once.

    Parameters
    ----------
    client : `distributed.Client`; its workers need the same version of abatis.

    In words: the blocks of a worker that died go to another one, which has the case already.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sent: list[tuple[object, Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Send one call; return its future."""
        case, *others = args
        return self._client.submit(fn, self._send(case), *others, **kwargs, pure=False, retries=RETRIES)

    def _send(self, case: object) -> Any:
        for known, sent in self._sent:
            if known is case:
                return sent
        sent = self._client.scatter(case, broadcast=True, hash=False)
        self._sent.append((case, sent))
        return sent
