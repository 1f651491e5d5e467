"""The low air picture and the clearing of sight lines as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from abatis.barrier.sites import Siting
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.show.tables import Column, Table
from abatis.watch.candidates import Places
from abatis.watch.catalogue import Catalogue
from abatis.watch.clearing import ClearingConflict
from abatis.watch.ground_raster import WatchGround
from abatis.watch.low_air_study import AirCandidates, AirPicture, AirSettings, picture_low_air
from abatis.watch.posts import list_post_options
from abatis.watch.seen import Outlook

Progress = Callable[[str, float], None]
AIR_NOTE = (
    "Sensors and looks are taken to miss each on its own, which flatters the picture: they share weather "
    "and clutter. 'one look each' gives no post more than its one best look. Closing is a greedy choice: its "
    "chance is exact, that nothing cheaper would do is not proven."
)
CLEARING_NOTE = (
    "Kept trees in sight lines that no other post makes up for; where several posts would gain the same "
    "ground all their lines count. Owners are shares of owners.csv or a stated share, not a land register."
)


def picture_study(
    study: Study,
    mesh: Mesh,
    ground: WatchGround,
    catalogue: Catalogue,
    places: Places,
    planned: Sequence[Outlook],
    *,
    closing: bool = True,
    settings: AirSettings | None = None,
    progress: Progress | None = None,
) -> AirPicture:
    """Describe the low air picture with posts, and what would close its widest gap.

    Parameters
    ----------
    study, mesh, ground, catalogue, places : as for the choice of posts.
    planned : standing and chosen posts that count.
    closing : whether sensors that close the least-seen way are sought among all places.
    settings, progress : as for `picture_low_air`.
    """
    candidates = list_air_candidates(study, catalogue, places, planned) if closing else None
    terms = catalogue.terms
    return picture_low_air(
        study, mesh, ground, terms, planned, settings=settings, candidates=candidates, progress=progress
    )


def list_air_candidates(
    study: Study, catalogue: Catalogue, places: Places, planned: Sequence[Outlook]
) -> AirCandidates | None:
    """List the sensors for low air that could be built, without those that are planned; None without any."""
    if not catalogue.sensors.list_for("low_air"):
        return None
    last_year = study.first_year + study.programme_years - 1
    options = list_post_options(catalogue, places, "low_air", last_year)
    taken = {(one.row, one.column, one.sensor.kind) for one in planned}
    rows = [
        row
        for row in np.flatnonzero(~options.standing).tolist()
        if (options.outlooks[row].row, options.outlooks[row].column, options.sensor[row].kind) not in taken
    ]
    names = [f"{options.sensor[row].name}, {places.name[int(options.place[row])]}" for row in rows]
    return AirCandidates([options.outlooks[row] for row in rows], options.cost_eur[rows], names)


def tabulate_low_air(
    study: Study, picture: AirPicture, candidates: AirCandidates | None = None
) -> dict[str, Table]:
    """Lay out coverage by height, least-seen ways, and what closes the least-seen of all.

    Parameters
    ----------
    study : names of fronts and places.
    picture : from `picture_study`.
    candidates : those the closing chose from, for their names.
    """
    settings = picture.settings
    covers = tuple(
        {
            "height_m": one.height_m, "watched_share": one.watched_share, "open_share": one.open_share,
            "mean_detection": one.mean_detection, "border_share": one.border_share,
        }
        for one in picture.covers
    )  # fmt: skip
    told = f"Watched: detection of at least {settings.watched_from:g} in one look; open: less than "
    told += f"{settings.open_below:g}. {len(picture.sensors)} sensors, "
    told += f"{picture.false_alarms_per_day:,.0f} false alarms a day. " + " ".join(picture.notes)
    tables = {
        "low_air": Table("Low air by height", _COVER, covers, told),
        "corridors": Table("Least-seen ways", _WAYS, _list_ways(study, picture), AIR_NOTE),
    }
    if picture.closing is not None and picture.closed is not None:
        tables["closing"] = _lay_out_closing(study, picture, candidates)
    return tables


def _list_ways(study: Study, picture: AirPicture) -> tuple[Mapping[str, Any], ...]:
    fronts, places = (_name(study, table) for table in ("fronts", "places"))
    return tuple(
        {
            "front": one.front, "front_name": fronts[one.front], "objective": one.objective,
            "objective_name": places[one.objective], "height_m": one.height_m,
            "chance": one.corridor.chance if one.corridor else None,
            "single_chance": one.corridor.single_chance if one.corridor else None,
            "length_km": one.corridor.length_m / 1000 if one.corridor else None,
            "gap_km": one.corridor.gap_m / 1000 if one.corridor else None,
            "border_gap_km": one.border_gap_m / 1000,
            "cells": one.corridor.cells.tolist() if one.corridor else [],
        }
        for one in picture.corridors
    )  # fmt: skip


def _name(study: Study, table: str) -> dict[str, str]:
    frame = study.tables[table]
    return dict(zip(frame[frame.columns[0]], frame["name"], strict=True))


def _lay_out_closing(study: Study, picture: AirPicture, candidates: AirCandidates | None) -> Table:
    closing, closed = picture.closing, picture.closed
    assert closing is not None
    assert closed is not None
    rows = tuple(
        {
            "step": number,
            "sensor": candidates.names[one.candidate] if candidates else str(one.candidate),
            "cost_eur": one.cost_eur,
            "chance": one.chance,
            "moved": one.moved,
            "kept": one.candidate in closing.kept,
        }
        for number, one in enumerate(closing.steps, 1)
    )
    fronts, places = (_name(study, table) for table in ("fronts", "places"))
    title = f"What closes {fronts[closed.front]} to {places[closed.objective]} at {closed.height_m:g} m"
    reached = "is reached" if closing.reached else "is not reached"
    note = f"A chance of {picture.settings.least_chance:g} {reached}: from {closing.before:.3f} to "
    note += f"{closing.chance:.3f} for {closing.cost_eur:,.0f} EUR with the {len(closing.kept)} sensors kept."
    return Table(title, _CLOSING, rows, note)


def find_forest_sites(study: Study, siting: Siting, plan: Plan) -> dict[str, np.ndarray]:
    """Return the edges of the plan's sites whose measures plant, restore or keep forest, by site key.

    In words: measures whose law_kind is forest. Trees there are the barrier, so clearing them would open it.
    """
    measures = study.tables["measures"]
    kinds = dict(zip(measures["measure"], measures["law_kind"], strict=True))
    columns = ["open_measure", "road_measure", "bridge_measure"]
    options = study.tables["options"].set_index("option")[columns]
    edges = {site.key: np.asarray(site.edges) for site in siting.sites}
    return {
        one.site: edges[one.site]
        for one in plan.options
        if any(kinds.get(measure) == "forest" for measure in options.loc[one.option])
    }


def tabulate_clearing(mesh: Mesh, conflict: ClearingConflict) -> dict[str, Table]:
    """Lay out forest that sight lines want cleared and rules keep: by reason, and the cells with most."""
    share = conflict.seen_with_km2 / conflict.demand_km2 if conflict.demand_km2 else 0.0
    bare = conflict.seen_without_km2 / conflict.demand_km2 if conflict.demand_km2 else 0.0
    note = f"{conflict.clearing_ha:,.1f} ha in all, {len(conflict.sites)} sites of the plan touched. Of "
    note += f"{conflict.demand_km2:,.0f} km2 looked for, {share:.1%} are seen with the trees, {bare:.1%} "
    note += f"without the kept ones. {CLEARING_NOTE}"
    sums = [
        ("reason", conflict.by_reason),
        ("country", conflict.by_country),
        ("owner", conflict.by_owner or {}),
    ]
    rows = tuple(
        {"by": by, "what": what, "clearing_ha": area} for by, groups in sums for what, area in groups.items()
    )
    cells = tuple(
        {
            "cell": f"{int(mesh.cells[one.cell]):x}", "lon": float(mesh.lon[one.cell]),
            "lat": float(mesh.lat[one.cell]), "clearing_ha": one.clearing_ha, "reasons": one.reasons,
        }
        for one in conflict.cells
    )  # fmt: skip
    by = (Column("by", "by"), Column("what", "what"), Column("clearing_ha", "to clear [ha]", ",.1f"))
    return {
        "clearing": Table("Forest that rules keep in sight lines", by, rows, note),
        "clearing_cells": Table("Cells with kept forest in sight lines", _CELLS, cells),
    }


_COVER = (
    Column("height_m", "height [m]", ".0f"),
    Column("watched_share", "home watched", ".1%"),
    Column("open_share", "home open", ".1%"),
    Column("mean_detection", "mean detection", ".3f"),
    Column("border_share", "watched near the border", ".1%"),
)
AIR_WAY_COLUMNS = (
    Column("chance", "chance to be noticed", ".3f"),
    Column("single_chance", "one look each", ".3f"),
    Column("length_km", "length [km]", ",.0f"),
    Column("gap_km", "longest open stretch [km]", ",.0f"),
    Column("border_gap_km", "widest gap at the border [km]", ",.0f"),
)
_WAYS = (
    Column("front_name", "front"),
    Column("objective_name", "objective"),
    Column("height_m", "height [m]", ".0f"),
    *AIR_WAY_COLUMNS,
)
_CLOSING = (
    Column("step", "step", ".0f"),
    Column("sensor", "sensor"),
    Column("cost_eur", "EUR", ",.0f"),
    Column("chance", "chance after it", ".3f"),
    Column("moved", "only moved the way"),
    Column("kept", "kept"),
)
_CELLS = (
    Column("cell", "cell"),
    Column("lon", "lon", ".4f"),
    Column("lat", "lat", ".4f"),
    Column("clearing_ha", "to clear [ha]", ",.1f"),
    Column("reasons", "why it stays"),
)
