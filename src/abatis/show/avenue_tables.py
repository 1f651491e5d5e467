"""Tables of avenues, shared stretches, chokepoints, effects of sites and their definitions."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from abatis.barrier.effects import EFFECTS, ApproachEffect, SiteEffect, define_effects
from abatis.barrier.sites import Siting, describe_place
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.show.avenues import AvenueFindings
from abatis.show.results import label_sites
from abatis.show.tables import Column, Table

LEAST_STRETCH_KM = 1.0


def tabulate_findings(
    study: Study, mesh: Mesh, findings: AvenueFindings, siting: Siting | None
) -> dict[str, Table]:
    """Return the tables by key; effects and their definition only where there is a plan (`siting`)."""
    tables = {
        "avenues": tabulate_avenues(study, mesh, findings),
        "shared": tabulate_shared(study, mesh, findings),
        "chokepoints": tabulate_chokepoints(study, mesh, findings),
    }
    if siting is not None:
        tables["effects"] = tabulate_effects(siting, findings.effects)
        tables["definitions"] = tabulate_definitions(findings)
    return tables


def tabulate_avenues(study: Study, mesh: Mesh, findings: AvenueFindings) -> Table:
    """Tabulate every avenue before and with the plan."""
    rows = []
    for one in findings.avenues:
        start = int(one.avenue.cells[0])
        rows.append(
            {
                "approach": one.approach,
                "name": one.name,
                "state": one.state,
                "avenue": one.number,
                "hours": one.avenue.time_h,
                "length_km": one.length_km,
                "apart_share": one.avenue.apart,
                "delay_h": one.delay_h,
                "moved_km": one.moved_km,
                "start": describe_place(study, float(mesh.lon[start]), float(mesh.lat[start])),
                "start_lon": round(float(mesh.lon[start]), 3),
                "start_lat": round(float(mesh.lat[start]), 3),
                "roads": one.roads,
            }
        )
    planned = any(one.delay_h is not None for one in findings.avenues)
    after = (Column("delay_h", "delay [h]", "+.2f"), Column("moved_km", "moved [km]", ".1f"))
    columns = (
        Column("approach", "approach"),
        Column("state", "state"),
        Column("avenue", "avenue", ".0f"),
        Column("hours", "time [h]", ".2f"),
        Column("length_km", "length [km]", ",.0f"),
        Column("apart_share", "apart [share]", ".2f"),
        *(after if planned else ()),
        Column("start", "start"),
        Column("roads", "roads used most"),
    )
    corridor = findings.settings.limits.corridor_km
    note = (
        f"apart: share of its cells farther than {corridor:g} km from every faster search result; the first "
        "avenue is the least-time route, the others are good, not proven best"
    )
    if findings.settings.separate:
        note = (
            f"no two avenues come closer than {corridor:g} km, but for the {2 * corridor:g} km around the "
            "objective; each is the fastest that the earlier ones leave"
        )
    return Table("Avenues", columns, tuple(rows), note)


def tabulate_shared(study: Study, mesh: Mesh, findings: AvenueFindings) -> Table:
    """Tabulate where avenues of one approach run together, the stretches of a kilometre and more."""
    rows: list[dict[str, Any]] = []
    for one in findings.stretches:
        if one.length_km < LEAST_STRETCH_KM:
            continue
        first, last = int(one.cells[0]), int(one.cells[-1])
        rows.append(
            {
                "approach": one.approach,
                "state": one.state,
                "avenues": list(one.numbers),
                "length_km": one.length_km,
                "from": describe_place(study, float(mesh.lon[first]), float(mesh.lat[first])),
                "to": describe_place(study, float(mesh.lon[last]), float(mesh.lat[last])),
                "roads": one.roads,
                "cells": [f"{int(cell):x}" for cell in mesh.cells[one.cells]],
            }
        )
    columns = (
        Column("approach", "approach"),
        Column("state", "state"),
        Column("avenues", "avenues"),
        Column("length_km", "together [km]", ",.1f"),
        Column("from", "from"),
        Column("to", "to"),
        Column("roads", "roads"),
    )
    short = len(findings.stretches) - len(rows)
    note = f"{short} shorter than {LEAST_STRETCH_KM:g} km left out" if short else ""
    return Table("Where avenues run together", columns, tuple(rows), note)


def tabulate_chokepoints(study: Study, mesh: Mesh, findings: AvenueFindings) -> Table:
    """Tabulate the cells and bridges that most shortest routes pass."""
    planned = bool(findings.effects)
    rows = []
    for one in findings.chokepoints:
        edge, cell = one.place.edge, one.place.cell
        ends = [cell] if edge < 0 else [int(mesh.edge_a[edge]), int(mesh.edge_b[edge])]
        lon, lat = float(mesh.lon[ends].mean()), float(mesh.lat[ends].mean())
        rows.append(
            {
                "label": one.label,
                "kind": "cell" if edge < 0 else "bridge",
                "where": describe_place(study, lon, lat),
                "names": name_ways(mesh, cell, edge),
                "country": mesh.country_codes[int(mesh.country[cell])] if mesh.country[cell] >= 0 else "",
                "share": one.place.share,
                "all_of": one.all_of,
                "lost_h": one.lost_h,
                "share_after": one.share_after,
                "border_km": float(mesh.border_km[cell]),
                "lon": round(lon, 4),
                "lat": round(lat, 4),
                "h3": [f"{int(mesh.cells[end]):x}" for end in ends],
            }
        )
    columns = (
        Column("label", "label"),
        Column("kind", "kind"),
        Column("where", "where"),
        Column("names", "roads and bridges"),
        Column("share", "shortest routes [share]", ".3f"),
        Column("all_of", "approaches that all need it", ".0f"),
        Column("lost_h", "lost when shut [h]", ".3f"),
        *((Column("share_after", "with the plan [share]", ".3f"),) if planned else ()),
        Column("border_km", "from the border [km]", ",.0f"),
    )
    return Table("Chokepoints", columns, tuple(rows), _define_share(findings))


def _define_share(findings: AvenueFindings) -> str:
    return (
        "share: of the shortest routes from every front cell to the objective, ties counted, the part that "
        "passes; mean over front cells, then over approaches by weight. Lost when shut: rise of the weighted "
        "mean arrival without barriers. No cell lies within "
        f"{findings.settings.limits.corridor_km:g} km of a front, an objective or another one listed; each "
        "stands for its whole stretch of nearly equal share."
    )


def name_ways(mesh: Mesh, cell: int, edge: int) -> str:
    """Name the roads and bridges of a bridge's edge, or of all edges of a cell."""
    edges = [edge] if edge >= 0 else [one for one in mesh.edge[cell].tolist() if one >= 0]
    words = {mesh.bridge_names[one] for one in mesh.bridge_name[edges].tolist() if one >= 0}
    words |= {mesh.road_names[one] for one in mesh.road_name[edges].tolist() if one >= 0}
    return "; ".join(sorted(word for word in words if word))


def tabulate_effects(siting: Siting, effects: tuple[SiteEffect, ...]) -> Table:
    """Tabulate what each chosen site does, under the labels of the maps."""
    labels = label_sites(siting)
    names = {site.key: site.name for site in siting.sites}
    ways = dict(zip(siting.problem.approach_keys, siting.problem.approach_names, strict=True))
    rows = []
    for one in sorted(effects, key=lambda one: labels[one.site]):
        main = find_main_approach(one)
        rows.append(
            {
                "label": labels[one.site],
                "site": one.site,
                "name": names[one.site],
                "effect": one.effect,
                "approach": main.approach if main else "",
                "approach_name": ways[main.approach] if main else "",
                "delay_h": main.delay_h[0] if main else 0.0,
                "delays_h": list(main.delay_h) if main else [],
                "moved_km": main.moved_km if main else 0.0,
                "leaving_share": main.leaving_share if main and math.isfinite(main.leaving_share) else None,
                "weights": write_weights(one),
                **{f"weight_{name}": sum_weights(one, name) for name in EFFECTS[:-1]},
                "approaches": [describe_approach(effect) for effect in one.approaches],
            }
        )
    columns = (
        Column("label", "label"),
        Column("name", "site"),
        Column("effect", "effect"),
        Column("approach_name", "most on approach"),
        Column("delay_h", "best avenue delayed [h]", "+.2f"),
        Column("moved_km", "and moved [km]", ".1f"),
        Column("leaving_share", "avenues that leave [share]", ".2f"),
        Column("weights", "weight of approaches"),
    )
    count = Counter(one.effect for one in effects)
    note = "Sites by main effect: " + ", ".join(f"{name} {count[name]}" for name in EFFECTS)
    return Table("What each site does to the avenues", columns, tuple(rows), note)


def find_main_approach(effect: SiteEffect) -> ApproachEffect | None:
    """Return the approach on which a site's main effect weighs most, None where it has no effect."""
    held = [one for one in effect.approaches if one.effect == effect.effect != "none"]
    return max(held, key=lambda one: (one.weight, one.delay_h[0])) if held else None


def sum_weights(effect: SiteEffect, name: str) -> float:
    """Return the weight of the approaches on which a site has an effect."""
    return float(np.sum([one.weight for one in effect.approaches if one.effect == name]))


def write_weights(effect: SiteEffect) -> str:
    """Write the weight of the approaches on which a site has each effect, '' where it has none."""
    weights = {name: sum_weights(effect, name) for name in EFFECTS[:-1]}
    return ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items() if weight)


def describe_approach(effect: ApproachEffect) -> dict[str, Any]:
    """Return the numbers of one approach for machines."""
    return {name: None if value != value else value for name, value in vars(effect).items()}


def tabulate_definitions(findings: AvenueFindings) -> Table:
    """Tabulate what the effects mean and how many sites have each."""
    count = Counter(one.effect for one in findings.effects)
    rows = tuple(
        {"effect": name, "sites": count[name], "definition": words}
        for name, words in define_effects(findings.settings.limits).items()
    )
    columns = (
        Column("effect", "effect"),
        Column("sites", "sites", ".0f"),
        Column("definition", "definition"),
    )
    note = (
        "Before: the plan without this site; after: the plan. The first that fits counts, from the top; over "
        "approaches the one with the most weight. The limits are choices, not measurements."
    )
    return Table("What the effects mean", columns, rows, note)
