"""Access: who reaches a hospital, a school, safe ground: before, with the plan in peace, with it closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abatis.barrier.sites import Siting
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.people.access_ground import AIMS, SCHOOL, AccessGround, Corridor, prepare_access
from abatis.people.access_terms import CLOSED, PEACE, STATES, list_closed_edges, list_site_edges
from abatis.people.evacuation import Evacuation, clear_places

LONGER_H = 1.0 / 60.0
LIMITS = (
    (
        "Hours are free-flow driving over the roads of the study, with the vehicle class that is fastest on "
        "motorways. Roads that the study does not hold may offer a way round; turning out, loading and the "
        "way from the door to the road are not counted."
    ),
    (
        "Which sites stay open in peace follows the kind of measure on the road (peace_roads.csv), not an "
        "order of the road owner."
    ),
    (
        "Capacities of roads and persons per vehicle are placeholders until the study's author gives them. "
        "The other direction of a road is kept free for services; weather, breakdowns and people who stay "
        "or leave on foot or by rail are not counted."
    ),
)


@dataclass(frozen=True)
class Hours:
    """Hours of one way before the plan, with it in peace, and with it closed (inf: no way)."""

    before_h: float
    peace_h: float
    closed_h: float

    def cut_off(self, state: str = CLOSED) -> bool:
        """Say whether a way was there before and is not in a state."""
        return bool(np.isfinite(self.before_h) and np.isinf(self.pick(state)))

    def longer(self, state: str = CLOSED) -> bool:
        """Say whether the way takes over a minute longer in a state; false when it is cut off."""
        hours = self.pick(state)
        return bool(np.isfinite(hours) and hours - self.before_h > LONGER_H)

    def pick(self, state: str) -> float:
        """Return the hours in a state: before, peace or closed."""
        return {"before": self.before_h, PEACE: self.peace_h, CLOSED: self.closed_h}[state]


@dataclass(frozen=True)
class PlaceWays:
    """Ways of one place: `hours` by aim (ambulance, school, safe); `zone` when its ground is not safe."""

    place: str
    name: str
    persons: float
    border_km: float
    zone: bool
    hours: Mapping[str, Hours]

    def list_lost(self, state: str = CLOSED) -> tuple[str, ...]:
        """Return the aims that the place loses in a state."""
        return tuple(aim for aim, hours in self.hours.items() if hours.cut_off(state))


@dataclass(frozen=True)
class CorridorWay:
    """Hours along a corridor."""

    corridor: Corridor
    hours: Hours


@dataclass(frozen=True)
class Access:
    """What a plan does to the ways of people.

    `places` all home places with a road; `no_road` names those without one; `evacuation` by state;
    `hospital_basis`, `people_basis` and `schools` (their number) say what was measured.
    """

    places: tuple[PlaceWays, ...]
    no_road: tuple[str, ...]
    corridors: tuple[CorridorWay, ...]
    evacuation: Mapping[str, Evacuation]
    hospital_basis: str
    people_basis: str
    schools: int
    safe_km: float
    persons_per_vehicle: float
    placeholders: tuple[str, ...]
    limits: tuple[str, ...]

    def list_places_cut_off(self, state: str = CLOSED) -> tuple[PlaceWays, ...]:
        """Return the places that lose a hospital, a school or safe ground in a state."""
        return tuple(one for one in self.places if one.list_lost(state))


@dataclass(frozen=True)
class Cause:
    """What one site does to one place: minutes are of `aim` in the closed state.

    `alone_h` with only this site closed, `without_h` with all others closed but this one; both against
    `before_h` and `closed_h`. `alone` true when this site by itself cuts the place off, `restores` when
    opening it alone gives the place a way again.
    """

    site: str
    name: str
    place: str
    aim: str
    persons: float
    before_h: float
    closed_h: float
    alone_h: float
    without_h: float

    @property
    def alone(self) -> bool:
        """True when this site by itself cuts the place off."""
        return bool(np.isinf(self.alone_h))

    @property
    def restores(self) -> bool:
        """True when opening this site alone gives a cut-off place a way again."""
        return bool(np.isinf(self.closed_h) and np.isfinite(self.without_h))

    @property
    def gain_h(self) -> float:
        """Replacement value: hours won for the place by opening this site; inf when it restores a way."""
        if np.isinf(self.closed_h):
            return float("inf") if self.restores else 0.0
        return self.closed_h - self.without_h


def compute_access(
    study: Study, mesh: Mesh, siting: Siting, plan: Plan | None = None, ground: AccessGround | None = None
) -> Access:
    """Measure access before a plan, with the plan in peace, and with all its sites closed.

    Parameters
    ----------
    siting : sites and options the plan chose from.
    plan : the plan; without one every site of the study is closed by all its options.
    ground : what `prepare_access` gave, when at hand.

    Formula: hours(place, aim, state) = least driving time over the roads that are open in the state.
    In words: each place is driven to the nearest hospital, school and safe ground three times. A site closes
    the roads and bridges that its option has a measure for; in peace only where that measure stands in the
    way (`access_terms.list_closed_edges`).

    Raises
    ------
    InputError : see `prepare_access`.
    """
    ground = ground or prepare_access(study, mesh)
    shut = {state: find_shut_links(study, mesh, siting, ground, state, plan) for state in STATES}
    hours = {
        aim: {state: ground.time_places(aim, links) for state, links in shut.items()}
        for aim in AIMS
        if aim != SCHOOL or len(ground.aims[SCHOOL])
    }
    ways = tuple(
        PlaceWays(
            one.place,
            one.name,
            one.persons,
            one.border_km,
            bool(ground.zone[row]),
            {
                aim: Hours(*(float(by_state[state][row]) for state in STATES))
                for aim, by_state in hours.items()
            },
        )
        for row, one in enumerate(ground.places)
        if one.node >= 0
    )
    return Access(
        places=ways,
        no_road=tuple(one.name for one in ground.places if one.node < 0),
        corridors=_time_corridors(ground, shut),
        evacuation={state: clear_places(study, mesh, ground, links) for state, links in shut.items()},
        hospital_basis=ground.hospital_basis,
        people_basis=ground.people_basis,
        schools=len(ground.aims[SCHOOL]),
        safe_km=ground.terms.safe_km,
        persons_per_vehicle=ground.terms.persons_per_vehicle,
        placeholders=ground.terms.placeholders,
        limits=LIMITS,
    )


def find_shut_links(
    study: Study, mesh: Mesh, siting: Siting, ground: AccessGround, state: str, plan: Plan | None = None
) -> np.ndarray:
    """Return int32[], the stretches of road that are closed in a state (none before)."""
    if state not in (PEACE, CLOSED):
        return np.empty(0, np.int32)
    by_site = link_sites(study, mesh, siting, ground, plan, state)
    return np.unique(np.concatenate([np.empty(0, np.int32), *by_site.values()])).astype(np.int32)


def link_sites(
    study: Study, mesh: Mesh, siting: Siting, ground: AccessGround, plan: Plan | None, state: str = CLOSED
) -> dict[str, np.ndarray]:
    """Return the stretches of road that each site closes in a state, int32[] by site key."""
    closed = list_closed_edges(study, mesh, siting, ground.terms, state)
    return {site: ground.graph.find_links(edges) for site, edges in list_site_edges(closed, plan).items()}


def _time_corridors(ground: AccessGround, shut: Mapping[str, np.ndarray]) -> tuple[CorridorWay, ...]:
    known: dict[tuple[bytes, str], np.ndarray] = {}
    found = []
    for one in ground.corridors:
        hours = []
        for state, links in shut.items():
            key = (one.starts.tobytes(), state)
            if key not in known:
                known[key] = ground.graph.compute_times(one.starts, links)
            times = known[key][one.targets]
            hours.append(float(times.min()) if len(times) else float("inf"))
        found.append(CorridorWay(one, Hours(*hours)))
    return tuple(found)


def find_causes(
    study: Study,
    mesh: Mesh,
    siting: Siting,
    plan: Plan | None = None,
    aims: Sequence[str] = AIMS,
    ground: AccessGround | None = None,
) -> tuple[Cause, ...]:
    """Say which site makes which place's way longer or cuts it off.

    Parameters
    ----------
    aims : ambulance, school, safe.

    Returns
    -------
    A row for each site and place where the site matters: closed alone, or opened while the others stay
    closed; most persons cut off first.

    Formula: alone = hours(only this site closed) - before; replacement value = hours(all closed) - hours(all
    but this one closed).
    In words: a site that cuts nobody off alone may still be the one whose opening helps most, and where two
    sites stand on the only road neither has a replacement value: `access_rules` finds such sets.
    """
    ground = ground or prepare_access(study, mesh)
    links = link_sites(study, mesh, siting, ground, plan)
    names = {site.key: site.name for site in siting.sites}
    uses: dict[int, int] = {}
    for one in links.values():
        for link in one.tolist():
            uses[link] = uses.get(link, 0) + 1
    every = np.array(sorted(uses), np.int32)
    causes = []
    for aim in aims:
        if len(ground.aims[aim]) == 0:
            continue
        before, closed = ground.time_places(aim), ground.time_places(aim, every)
        for site, own in links.items():
            if len(own) == 0:
                continue
            alone = ground.time_places(aim, own)
            rest = np.array([link for link in every.tolist() if uses[link] > 1 or link not in own], np.int32)
            without = ground.time_places(aim, rest)
            causes += _list_causes(ground, names[site], site, aim, (before, closed, alone, without))
    return tuple(
        sorted(causes, key=lambda one: (-one.persons * (one.alone or one.restores), one.site, one.place))
    )


def _list_causes(
    ground: AccessGround,
    name: str,
    site: str,
    aim: str,
    hours: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> list[Cause]:
    before, closed, alone, without = hours
    reached = np.isfinite(before)
    matters = reached & ((alone > before + LONGER_H) | (without < closed - LONGER_H))
    return [
        Cause(
            site, name, ground.places[row].place, aim, ground.places[row].persons, float(before[row]),
            float(closed[row]), float(alone[row]), float(without[row]),
        )
        for row in np.flatnonzero(matters).tolist()
    ]  # fmt: skip


def give_number(value: float) -> float | None:
    """Return a number for a table or JSON: None where there is no way and so no number."""
    return value if np.isfinite(value) else None


def list_cut_off(access: Access, state: str = CLOSED) -> list[dict[str, Any]]:
    """Return a row for each place that loses a way in a state: persons, what it loses, hours before."""
    return [
        {
            "place": one.place,
            "name": one.name,
            "persons": one.persons,
            "border_km": one.border_km,
            "state": state,
            "lost": list(one.list_lost(state)),
            "before_h": {aim: one.hours[aim].before_h for aim in one.list_lost(state)},
            "also_in_peace": bool(one.list_lost(PEACE)),
        }
        for one in sorted(access.list_places_cut_off(state), key=lambda one: (-one.persons, one.place))
    ]


def list_longer(access: Access, aim: str, state: str = CLOSED) -> list[dict[str, Any]]:
    """Return a row for each place whose way to an aim takes over a minute longer, longest first."""
    rows = [one for one in access.places if aim in one.hours and one.hours[aim].longer(state)]
    rows.sort(key=lambda one: (one.hours[aim].before_h - one.hours[aim].pick(state), one.place))
    return [
        {
            "place": one.place,
            "name": one.name,
            "persons": one.persons,
            "aim": aim,
            "before_h": one.hours[aim].before_h,
            "after_h": one.hours[aim].pick(state),
        }
        for one in rows
    ]


def list_evacuation(access: Access) -> list[dict[str, Any]]:
    """Return a row for each state and way into safe ground: persons, hours to clear, narrowest road."""
    return [
        {
            "state": state,
            "exit": group.exit,
            "name": group.name,
            "places": list(group.places),
            "persons": group.persons,
            "drive_h": group.drive_h,
            "clear_h": group.clear_h,
            "narrow": group.narrow,
            "narrow_vehicles_per_hour": give_number(group.narrow_vehicles_per_hour),
        }
        for state, evacuation in access.evacuation.items()
        for group in evacuation.groups
    ]


def list_evacuation_states(access: Access) -> list[dict[str, Any]]:
    """Return a row for each state: persons, persons left without a way, hours to clear, and their bound."""
    return [
        {
            "state": state,
            "persons": one.persons,
            "stranded": one.stranded,
            "clear_h": one.clear_h,
            "spread_h": one.spread_h,
            "bound_h": one.bound_h,
        }
        for state, one in access.evacuation.items()
    ]


def list_corridors(access: Access) -> list[dict[str, Any]]:
    """Return a row for each corridor: its kind, ends, hours in each state, and whether it is cut."""
    return [
        {
            "corridor": one.corridor.key,
            "name": one.corridor.name,
            "kind": one.corridor.kind,
            "target": one.corridor.target,
            "before_h": give_number(one.hours.before_h),
            "peace_h": give_number(one.hours.peace_h),
            "closed_h": give_number(one.hours.closed_h),
            "cut_in_peace": one.hours.cut_off(PEACE),
            "cut_closed": one.hours.cut_off(CLOSED),
        }
        for one in access.corridors
    ]
