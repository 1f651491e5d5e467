"""A choice of places that serve sites: what it costs, what can be left out of it, and good answers fast."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

ROUND = 1e-9
MOST_SWAPS = 400


@dataclass(frozen=True)
class Choice:
    """Places and what they may be: D places, S sites.

    `cost` float64[D, S], what it costs to serve a site from a place; `cap` float64[S], what a site costs that
    none serves (places that cost as much or more do not serve it); `weight` float64[S]; `must` bool[D],
    places in use anyway; `price` float64[D]; at most `count` places in all, those in use included; `money`
    for the prices of the others, inf for no limit.
    """

    cost: np.ndarray
    cap: np.ndarray
    weight: np.ndarray
    must: np.ndarray
    price: np.ndarray
    count: int
    money: float = math.inf

    @property
    def priced(self) -> np.ndarray:
        """Price of each place, 0 where it is in use anyway, float64[D]."""
        return np.where(self.must, 0.0, self.price)


def measure_cost(choice: Choice, chosen: np.ndarray) -> float:
    """Weighted cost of serving every site from the cheapest of some places.

    Formula: sum over sites s of weight_s min(cap_s, min over chosen d of cost_ds).

    Examples
    --------
    >>> cost = np.array([[1.0, 9.0], [5.0, 2.0]])
    >>> ones = np.ones(2)
    >>> choice = Choice(cost, np.full(2, 6.0), ones, np.zeros(2, bool), ones, 1)
    >>> measure_cost(choice, np.array([0])), measure_cost(choice, np.array([1]))
    (7.0, 7.0)
    """
    if len(chosen) == 0:
        return float(choice.weight @ choice.cap)
    return float(choice.weight @ np.minimum(choice.cap, choice.cost[chosen].min(axis=0)))


def assign_sites(choice: Choice, chosen: np.ndarray) -> np.ndarray:
    """Cheapest chosen place per site int64[S], the first of equals; -1 where none costs less than the cap."""
    if len(chosen) == 0:
        return np.full(len(choice.cap), -1, np.int64)
    ordered = np.sort(chosen)
    nearest = np.argmin(choice.cost[ordered], axis=0)
    reached = choice.cost[ordered].min(axis=0) < choice.cap
    return np.where(reached, ordered[nearest], -1).astype(np.int64)


def drop_dominated(choice: Choice) -> np.ndarray:
    """Rows of the places that are worth a look, int64[].

    In words: a place is left out when it serves no site, or when another serves every site at least as
    cheaply and is at least as cheap to open (of two equal ones one stays). Places in use stay.
    """
    cost = np.minimum(choice.cost, choice.cap)
    useful = (cost < choice.cap).any(axis=1)
    kept = choice.must | (useful & (choice.priced <= choice.money))
    served = (cost < choice.cap).sum(axis=1)
    price = choice.priced
    for place in np.flatnonzero(kept & ~choice.must):
        rivals = kept & (price <= price[place]) & (served >= served[place])
        rivals[place] = False
        rows = np.flatnonzero(rivals)
        better = rows[(cost[rows] <= cost[place]).all(axis=1)]
        kept[place] = better.size == 0
    return np.flatnonzero(kept)


def keep_places(choice: Choice, kept: np.ndarray) -> Choice:
    """The same choice among some of the places."""
    return Choice(
        choice.cost[kept],
        choice.cap,
        choice.weight,
        choice.must[kept],
        choice.price[kept],
        choice.count,
        choice.money,
    )


def merge_sites(choice: Choice) -> tuple[Choice, float]:
    """Merge sites that cost the same from everywhere; leave out those that always cost the same.

    Returns
    -------
    The smaller choice, and the cost of the sites left out.
    """
    cost = np.minimum(choice.cost, choice.cap)
    fixed = (cost >= choice.cap).all(axis=0) | (choice.weight <= 0)
    floor = float(choice.weight[fixed] @ choice.cap[fixed])
    open_ = np.flatnonzero(~fixed)
    table = np.vstack([cost[:, open_], choice.cap[open_]])
    unique, inverse = np.unique(table, axis=1, return_inverse=True)
    weight = np.bincount(inverse.ravel(), weights=choice.weight[open_], minlength=unique.shape[1])
    smaller = Choice(
        np.ascontiguousarray(unique[:-1]),
        unique[-1].copy(),
        weight,
        choice.must,
        choice.price,
        choice.count,
        choice.money,
    )
    return smaller, floor


def open_greedily(choice: Choice) -> np.ndarray:
    """Open places one by one, each time the one that saves most, int64[]."""
    chosen = np.flatnonzero(choice.must).tolist()
    now = np.minimum(choice.cap, choice.cost[chosen].min(axis=0)) if chosen else choice.cap.copy()
    left = choice.money
    price = choice.priced
    while len(chosen) < choice.count:
        saving = np.maximum(0.0, now - choice.cost) @ choice.weight
        saving[chosen] = 0.0
        saving[price > left] = 0.0
        if math.isfinite(choice.money):
            saving = saving / np.maximum(price, ROUND * max(1.0, choice.money))
        best = int(np.argmax(saving))
        if saving[best] <= 0:
            break
        chosen.append(best)
        left -= price[best]
        now = np.minimum(now, choice.cost[best])
    return np.array(sorted(chosen), np.int64)


def improve_choice(choice: Choice, chosen: np.ndarray) -> np.ndarray:
    """Exchange a chosen place for another as long as that saves, int64[]; places in use stay."""
    cost = np.minimum(choice.cost, choice.cap)
    price = choice.priced
    chosen = np.asarray(chosen, np.int64)
    for _ in range(MOST_SWAPS):
        if len(chosen) == 0:
            return chosen
        rows = cost[chosen]
        nearest = np.argmin(rows, axis=0)
        first = rows.min(axis=0)
        rows[nearest, np.arange(rows.shape[1])] = np.inf
        second = np.minimum(rows.min(axis=0), choice.cap)
        owner = np.zeros((rows.shape[1], len(chosen)))
        owner[np.arange(rows.shape[1]), nearest] = choice.weight
        gain = np.maximum(0.0, first - cost) @ choice.weight
        loss = (np.minimum(second, cost) - np.minimum(first, cost)) @ owner
        change = loss - gain[:, None]
        change[chosen] = np.inf
        change[:, choice.must[chosen]] = np.inf
        if math.isfinite(choice.money):
            spent = price[chosen].sum() - price[chosen][None, :] + price[:, None]
            change[spent > choice.money * (1 + ROUND)] = np.inf
        place, out = np.unravel_index(int(np.argmin(change)), change.shape)
        if not change[place, out] < -ROUND * max(1.0, float(choice.weight @ first)):
            break
        chosen = np.sort(np.append(np.delete(chosen, out), place))
    return chosen


def is_whole(choice: Choice) -> bool:
    """Say whether all costs and weights are whole numbers: the value then is one too."""
    parts = (np.minimum(choice.cost, choice.cap), choice.cap, choice.weight)
    return all(np.array_equal(part, np.round(part)) for part in parts)
