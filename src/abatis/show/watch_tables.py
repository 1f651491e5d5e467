"""Tables of `abatis watch`: the answer, posts, border, approaches, warning."""

from __future__ import annotations

import numpy as np

from abatis.show.tables import Column, Table
from abatis.show.watch import WatchResults, assign_fronts
from abatis.show.watch_joint import tabulate_warning
from abatis.watch.posts import Sight

STATES = ("stands", "renewed", "lost", "new")
STATE_MEANINGS = {
    "stands": "stands to the end of the programme",
    "renewed": "stands, renewed by this plan",
    "lost": "stands, lost from its renewal year",
    "new": "built by this plan",
}


def tabulate_watch(results: WatchResults) -> dict[str, Table]:
    """All tables by name."""
    return {
        "watch": tabulate_answer(results),
        "posts": tabulate_posts(results),
        "border": tabulate_border(results),
        "approaches": tabulate_approaches(results),
        "warning": tabulate_warning(results.warning),
    }


def list_states(results: WatchResults) -> list[str]:
    """State of each option: stands, renewed, lost, new, or '' when it is not bought [n]."""
    options, chosen = results.options, results.plan.chosen
    return [
        ("stands" if fixed else "renewed" if taken else "lost") if standing else ("new" if taken else "")
        for standing, fixed, taken in zip(options.standing, options.fixed, chosen, strict=True)
    ]


def tabulate_answer(results: WatchResults) -> Table:
    """The answer in a few rows; shares are of all weight, kilometres of the whole border."""
    plan, states = results.plan, list_states(results)
    rows: list[tuple[str, float, str]] = [
        (f"posts that {words}" if key != "new" else "new posts", float(states.count(key)), "")
        for key, words in (
            ("stands", "stand to the end"),
            ("renewed", "are renewed"),
            ("lost", "are lost"),
            ("new", ""),
        )
    ]
    rows += [
        ("places for new posts", float(sum(kind != "standing" for kind in results.places.kind)), ""),
        ("cost", plan.cost_eur, "EUR"),
        ("budget", plan.budget_eur, "EUR"),
        ("upkeep of all posts at the end", _sum_upkeep(results), "EUR/year"),
    ]
    for words, sight in _list_sights(results):
        rows.append((f"weight seen {words}", sight.share, "share"))
    rows += [
        ("no choice sees more than", plan.bound / plan.whole_weight if plan.whole_weight else 0.0, "share"),
        ("gap", plan.gap, "share"),
    ]
    length = results.pieces.length_km
    rows.append(("border with hostile ground", float(length.sum()), "km"))
    for words, sight in _list_sights(results):
        rows.append((f"border seen {words}", float(length[sight.border_by > 0].sum()), "km"))
    rows.append(("border seen by two with the plan", float(length[plan.planned.border_by > 1].sum()), "km"))
    return Table(
        f"Watch of {results.study.title}: {results.settings.target}",
        (Column("what", "what"), Column("value", "value", ",.10g"), Column("unit", "unit")),
        tuple({"what": what, "value": round(value, 6), "unit": unit} for what, value, unit in rows),
        "; ".join(list_notes(results)),
    )


def list_notes(results: WatchResults) -> list[str]:
    """What a reader must know: assumptions, placeholders, back-up."""
    notes = list(results.notes)
    sensors = results.catalogue.sensors.items
    weak = sum(one.tag == "G" for one in sensors)
    notes.append(f"{weak} of {len(sensors)} sensors rest on placeholders (tag G)")
    posts = results.catalogue.posts.items
    if posts:
        drawn = sum(one.tag == "G" for one in posts)
        notes.append(f"{drawn} of {len(posts)} standing posts are placeholders (tag G)")
    if results.plan.times > 1:
        notes.append("seen means seen by two sensors, which may share a mast")
    blind = sum(row.warning_plan_h == 0 for row in results.warning)
    if blind:
        notes.append(
            f"{blind} of {len(results.warning)} objectives can still be reached unseen (warning 0 h): most "
            "weight seen is no closed line"
        )
    if results.seen.by_range:
        notes.append(f"{results.seen.by_range} sensors look by range alone: the study has no elevation")
    return notes


def tabulate_posts(results: WatchResults) -> Table:
    """Every post that stands or is bought, what it costs and what it sees."""
    columns = (
        Column("post", "post"),
        Column("name", "name"),
        Column("state", "state"),
        Column("place", "place"),
        Column("sensor", "sensor"),
        Column("lon", "lon", ".4f"),
        Column("lat", "lat", ".4f"),
        Column("height_m", "ground [m]", ".0f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("upkeep_eur_per_year", "upkeep [EUR/year]", ",.0f"),
        Column("renewal_year", "renewal", ".0f"),
        Column("area_km2", "ground seen [km2]", ",.1f"),
        Column("border_km", "border seen [km]", ",.1f"),
    )
    states = list_states(results)
    rows = tuple(_describe_option(results, one, state) for one, state in enumerate(states) if state)
    note = "; ".join(f"{key}: {words}" for key, words in STATE_MEANINGS.items() if key in states)
    return Table("Posts", columns, rows, note)


def _describe_option(results: WatchResults, one: int, state: str) -> dict[str, object]:
    options, places, seen = results.options, results.places, results.seen
    place, sensor = int(options.place[one]), options.sensor[one]
    post = results.catalogue.posts.items[int(options.post[one])] if options.post[one] >= 0 else None
    height = float(places.height_m[place])
    return {
        "post": post.key if post else f"{places.key[place]}_{sensor.key}",
        "name": post.name if post else places.name[place],
        "state": state,
        "place": places.kind[place],
        "sensor": sensor.key,
        "lon": round(float(places.lon[place]), 5),
        "lat": round(float(places.lat[place]), 5),
        "height_m": None if np.isnan(height) else round(height, 1),
        "cost_eur": float(options.cost_eur[one]) if state in ("renewed", "new") else 0.0,
        "upkeep_eur_per_year": sensor.upkeep_eur_per_year,
        "renewal_year": post.renewal_year if post else None,
        "area_km2": round(float(results.mesh.area_km2[seen.cells.take(one)].sum()), 3),
        "border_km": round(float(results.pieces.length_km[seen.border.take(one)].sum()), 3),
    }


def tabulate_border(results: WatchResults) -> Table:
    """Kilometres of border by front: how many are seen today, without renewal, and with the plan."""
    owner = np.array(assign_fronts(results.study, results.mesh, results.pieces), dtype=object)
    length = results.pieces.length_km
    rows = []
    for front, name in results.study.tables["fronts"][["front", "name"]].itertuples(index=False):
        own = owner == front
        row: dict[str, object] = {"front": front, "name": name, "length_km": _round(length[own].sum())}
        for key, (_, sight) in zip(("today", "left", "plan"), _list_sights(results), strict=True):
            row[f"{key}_km"] = _round(length[own & (sight.border_by > 0)].sum())
        row["twice_km"] = _round(length[own & (results.plan.planned.border_by > 1)].sum())
        rows.append(row)
    columns = (
        Column("front", "front"),
        Column("name", "name"),
        Column("length_km", "border [km]", ",.1f"),
        Column("today_km", "seen today [km]", ",.1f"),
        Column("left_km", "at the end, nothing done [km]", ",.1f"),
        Column("plan_km", "with the plan [km]", ",.1f"),
        Column("twice_km", "by two with the plan [km]", ",.1f"),
    )
    note = "a kilometre is seen when a sensor sees the share seen_share of ten points along it"
    return Table("Border seen", columns, tuple(rows), note)


def tabulate_approaches(results: WatchResults) -> Table:
    """Share of each approach's own weight that is seen, on cells and border."""
    demand, times = results.demand, results.plan.times
    border = float(results.border_weight.sum())
    rows = []
    for index, (key, name) in enumerate(zip(demand.keys, demand.names, strict=True)):
        row: dict[str, object] = {"approach": key, "name": name, "weight": float(demand.weight[index])}
        for word, (_, sight) in zip(("today", "left", "plan"), _list_sights(results), strict=True):
            cell = _share(demand.cell[index], sight.seen_by >= times)
            line = _share(demand.border[index], sight.border_by >= times)
            row[f"{word}_share"] = round((1.0 - border) * cell + border * line, 6)
        rows.append(row)
    columns = (
        Column("approach", "approach"),
        Column("name", "name"),
        Column("weight", "weight", ".2f"),
        Column("today_share", "seen today", ".0%"),
        Column("left_share", "at the end, nothing done", ".0%"),
        Column("plan_share", "with the plan", ".0%"),
    )
    note = "share of the weight of its fast routes (cells) and of their border kilometres"
    return Table("Approaches seen", columns, tuple(rows), note)


def _share(weight: np.ndarray, seen: np.ndarray) -> float:
    whole = float(weight.sum())
    return float(weight[seen].sum()) / whole if whole > 0 else 0.0


def _list_sights(results: WatchResults) -> tuple[tuple[str, Sight], ...]:
    plan = results.plan
    return (
        ("today", plan.today),
        (f"in {results.last_year} when nothing is done", plan.left_alone),
        (f"in {results.last_year} with the plan", plan.planned),
    )


def _sum_upkeep(results: WatchResults) -> float:
    sensors = results.options.sensor
    return float(sum(sensors[one].upkeep_eur_per_year for one in np.flatnonzero(results.plan.chosen)))


def _round(value: float) -> float:
    return round(float(value), 3)
