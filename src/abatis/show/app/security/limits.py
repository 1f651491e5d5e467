"""How often somebody may ask: token buckets in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

from abatis.show.app.settings import Rate

MOST_BUCKETS = 20_000


class RateKeeper:
    """Counts calls by key; a bucket fills with `per_second` up to `burst`, and a call takes one.

    Examples
    --------
    >>> now = [0.0]
    >>> keeper = RateKeeper(lambda: now[0])
    >>> [keeper.take("ona", Rate(2, 1)) for _ in range(3)]
    [0.0, 0.0, 1.0]
    >>> now[0] = 1.5
    >>> keeper.take("ona", Rate(2, 1))
    0.0
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[Hashable, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, key: Hashable, rate: Rate) -> float:
        """Take one call; returns 0, or the seconds to wait when there is none left."""
        now = self._clock()
        with self._lock:
            left, then = self._buckets.get(key, (rate.burst, now))
            left = min(rate.burst, left + (now - then) * rate.per_second)
            if left < 1:
                self._buckets[key] = (left, now)
                return (1 - left) / rate.per_second
            self._buckets.pop(key, None)
            self._buckets[key] = (left - 1, now)
            # The oldest go first; a bucket that is asked again stands at the end.
            while len(self._buckets) > MOST_BUCKETS:
                del self._buckets[next(iter(self._buckets))]
            return 0.0
