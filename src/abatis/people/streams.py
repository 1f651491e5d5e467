"""Streams of people over time: steps of persons per hour, joined, delayed, and held back by a full road."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Stream = tuple[np.ndarray, np.ndarray]
"""Times float64[K + 1] and persons per hour float64[K] between them; nothing before and after."""

EMPTY: Stream = (np.zeros(1), np.zeros(0))
SOON_H = 1e-12


def end_of(stream: Stream) -> float:
    """Return the hour at which the last person passes; 0 for an empty stream.

    Examples
    --------
    >>> end_of((np.array([1.0, 3.0]), np.array([50.0])))
    3.0
    """
    times, rates = stream
    flowing = np.flatnonzero(rates > 0)
    return float(times[flowing[-1] + 1]) if len(flowing) else 0.0


def delay_stream(stream: Stream, hours: float) -> Stream:
    """Return the stream that many hours later.

    Examples
    --------
    >>> delay_stream((np.array([0.0, 1.0]), np.array([5.0])), 2.0)[0].tolist()
    [2.0, 3.0]
    """
    return stream[0] + hours, stream[1]


def scale_stream(stream: Stream, share: float) -> Stream:
    """Return a share of the stream.

    Examples
    --------
    >>> scale_stream((np.array([0.0, 1.0]), np.array([5.0])), 0.5)[1].tolist()
    [2.5]
    """
    return stream[0], stream[1] * share


def join_streams(streams: Sequence[Stream]) -> Stream:
    """Return the sum of some streams.

    Examples
    --------
    >>> a = (np.array([0.0, 2.0]), np.array([1.0]))
    >>> times, rates = join_streams([a, (np.array([1.0, 3.0]), np.array([5.0]))])
    >>> times.tolist(), rates.tolist()
    ([0.0, 1.0, 2.0, 3.0], [1.0, 6.0, 5.0])
    """
    streams = [one for one in streams if len(one[1])]
    if not streams:
        return EMPTY
    if len(streams) == 1:
        return streams[0]
    times = np.unique(np.concatenate([one[0] for one in streams]))
    rates = np.zeros(len(times) - 1)
    for own, rate in streams:
        place = np.searchsorted(own, times[:-1], side="right") - 1
        inside = (place >= 0) & (place < len(rate))
        rates[inside] += rate[place[inside]]
    return times, rates


def pass_queue(stream: Stream, stock: float, rate: float) -> Stream:
    """Return what leaves a line of people who wait where a road takes at most `rate` persons per hour.

    Parameters
    ----------
    stream : who arrives.
    stock : persons who stand there at hour 0.
    rate : most persons per hour, above 0.

    Formula: D(t) = min over s <= t of A(s) + rate (t - s), A the persons arrived.
    In words: the road is full while anyone waits; otherwise people pass as they come.

    Examples
    --------
    100 persons at a road that takes 50 an hour, and 50 more who arrive between hours 1 and 2: over in 3 h.

    >>> times, rates = pass_queue((np.array([1.0, 2.0]), np.array([50.0])), 100.0, 50.0)
    >>> end_of((times, rates))
    3.0
    """
    times: list[float] = [0.0]
    rates: list[float] = []
    queue, now = stock, 0.0
    for start, stop, arriving in _list_pieces(stream):
        for begin, end, come in ((now, start, 0.0), (start, stop, arriving)):
            if end - begin <= SOON_H:
                continue
            if queue > 0:
                full_h = queue / (rate - come) if come < rate else np.inf
                busy_h = min(full_h, end - begin)
                _add_step(times, rates, begin, begin + busy_h, rate)
                queue = max(0.0, queue - (rate - come) * busy_h) if busy_h < full_h else 0.0
                begin += busy_h
            if end - begin > SOON_H:
                _add_step(times, rates, begin, end, min(come, rate))
                queue += max(0.0, come - rate) * (end - begin)
        now = max(now, stop)
    if queue > 0:
        _add_step(times, rates, now, now + queue / rate, rate)
    return np.array(times), np.array(rates)


def _list_pieces(stream: Stream) -> list[tuple[float, float, float]]:
    times, rates = stream
    return list(zip(times[:-1].tolist(), times[1:].tolist(), rates.tolist(), strict=True))


def _add_step(times: list[float], rates: list[float], start: float, stop: float, rate: float) -> None:
    """Add a step; a step of the same rate grows, a hole before it is filled with nothing."""
    if start > times[-1] + SOON_H:
        times.append(start)
        rates.append(0.0)
    if rates and rates[-1] == rate:
        times[-1] = stop
    else:
        times.append(stop)
        rates.append(rate)
