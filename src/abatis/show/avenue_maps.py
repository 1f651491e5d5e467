"""Avenues, chokepoints and effects on maps: layers of plan.gpkg and the two sheets of the report."""

from __future__ import annotations

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import shapely

from abatis.barrier.effects import EFFECTS
from abatis.model.mesh import Mesh
from abatis.show.avenues import BEFORE, AvenueFindings, FoundChokepoint
from abatis.show.basemap import BaseMap
from abatis.show.labels import Label, reserve_points
from abatis.show.maps import place_objectives, smooth_route
from abatis.show.results import Progress, Results
from abatis.show.sheet import MapImage, Sheet

LEAST_SHOWN_SHARE = 0.01
SHARE_LIMITS = (0.02, 0.05, 0.1, 0.2)
SHARE_COLORS = ("#fee9c8", "#fdc98a", "#fb9a50", "#e2602c", "#a3240f")
AVENUE_COLORS = ("#08306b", "#2171b5", "#6baed6")
# Okabe and Ito's colours: distinct for colour-blind readers.
EFFECT_COLORS: Mapping[str, str] = {
    "block": "#000000",
    "turn": "#0072b2",
    "fix": "#d55e00",
    "disrupt": "#b8860b",
    "none": "#9a9a9a",
}


def list_avenue_layers(results: Results, cell_corners: np.ndarray) -> dict[str, gpd.GeoDataFrame]:
    """Return the layers of plan.gpkg that hold anything, EPSG:4326.

    Parameters
    ----------
    results : the plan and all that was computed about it.
    cell_corners : float64[N, 6, 2], corners of every cell in degrees.

    In words: `needed_cells` are the cells that at least one in a hundred shortest routes passes, with their
    shares; `avenues` and `shared_stretches` are lines through the centres of cells; `chokepoints` are points.
    """
    mesh, findings = results.mesh, results.avenues
    share, after = findings.share.cell, findings.share_after.cell
    needed = np.flatnonzero(np.maximum(share, after) >= LEAST_SHOWN_SHARE)
    layers = {
        "needed_cells": gpd.GeoDataFrame(
            {
                "h3": [f"{int(cell):x}" for cell in mesh.cells[needed]],
                "share": np.round(share[needed], 4),
                "share_after": np.round(after[needed], 4),
            },
            geometry=shapely.polygons(cell_corners[needed]),
            crs=4326,
        ),
        "avenues": _list_avenues(mesh, findings),
        "shared_stretches": _list_stretches(mesh, findings),
        "chokepoints": _list_chokepoints(mesh, findings),
    }
    return {name: frame for name, frame in layers.items() if len(frame)}


def _draw_route(mesh: Mesh, cells: np.ndarray) -> shapely.LineString:
    return shapely.LineString(np.column_stack([mesh.lon[cells], mesh.lat[cells]]))


def _list_avenues(mesh: Mesh, findings: AvenueFindings) -> gpd.GeoDataFrame:
    shown = [one for one in findings.avenues if len(one.avenue.cells) > 1]
    return gpd.GeoDataFrame(
        {
            "approach": [one.approach for one in shown],
            "name": [one.name for one in shown],
            "avenue": [one.number for one in shown],
            "state": [one.state for one in shown],
            "hours": [round(one.avenue.time_h, 4) for one in shown],
            "length_km": [round(one.length_km, 2) for one in shown],
            "apart_share": [round(one.avenue.apart, 3) for one in shown],
            "roads": [one.roads for one in shown],
        },
        geometry=[_draw_route(mesh, one.avenue.cells) for one in shown],
        crs=4326,
    )


def _list_stretches(mesh: Mesh, findings: AvenueFindings) -> gpd.GeoDataFrame:
    shown = findings.stretches
    return gpd.GeoDataFrame(
        {
            "approach": [one.approach for one in shown],
            "state": [one.state for one in shown],
            "avenues": [" ".join(str(number) for number in one.numbers) for one in shown],
            "length_km": [round(one.length_km, 2) for one in shown],
            "roads": [one.roads for one in shown],
        },
        geometry=[_draw_route(mesh, one.cells) for one in shown],
        crs=4326,
    )


def locate_chokepoint(mesh: Mesh, one: FoundChokepoint) -> tuple[float, float]:
    """Return longitude and latitude of a chokepoint: centre of its cell, middle of its bridge's edge."""
    edge = one.place.edge
    cells = [one.place.cell] if edge < 0 else [int(mesh.edge_a[edge]), int(mesh.edge_b[edge])]
    return float(mesh.lon[cells].mean()), float(mesh.lat[cells].mean())


def _list_chokepoints(mesh: Mesh, findings: AvenueFindings) -> gpd.GeoDataFrame:
    shown = findings.chokepoints
    places = [locate_chokepoint(mesh, one) for one in shown]
    return gpd.GeoDataFrame(
        {
            "label": [one.label for one in shown],
            "kind": ["cell" if one.place.edge < 0 else "bridge" for one in shown],
            "share": [round(one.place.share, 4) for one in shown],
            "share_after": [round(one.share_after, 4) for one in shown],
            "all_of": [one.all_of for one in shown],
            "lost_h": [round(one.lost_h, 4) if np.isfinite(one.lost_h) else None for one in shown],
        },
        geometry=[shapely.Point(place) for place in places],
        crs=4326,
    )


def draw_avenue_maps(
    results: Results, base: BaseMap, progress: Progress | None = None
) -> tuple[MapImage, ...]:
    """Draw the map of avenues and chokepoints and the map of effects."""
    images = []
    for index, maker in enumerate((draw_needs_map, draw_effects_map)):
        if progress is not None:
            progress("maps of avenues", index / 2)
        images.append(maker(results, base))
    if progress is not None:
        progress("maps of avenues", 1.0)
    return tuple(images)


def draw_needs_map(results: Results, base: BaseMap) -> MapImage:
    """Draw the avenues before the plan over the cells that most shortest routes need."""
    findings, mesh = results.avenues, results.mesh
    sheet = Sheet(base, "Avenues and chokepoints before the plan")
    sheet.draw_land(forest=False)
    sheet.draw_water()
    share = widen_shares(mesh, findings.share.cell)
    classes = np.where(share >= LEAST_SHOWN_SHARE, np.digitize(share, SHARE_LIMITS), -1)
    sheet.draw_cells(classes, SHARE_COLORS)
    edges = (LEAST_SHOWN_SHARE, *SHARE_LIMITS)
    for index, color in enumerate(SHARE_COLORS):
        top = f"{100 * edges[index + 1]:g}" if index + 1 < len(edges) else "100"
        if (classes == index).any():
            sheet.add_patch(color, f"{100 * edges[index]:g} to {top} % of shortest routes")
    sheet.draw_borders()
    for number in range(findings.settings.limits.avenues, 0, -1):
        color = AVENUE_COLORS[min(number, len(AVENUE_COLORS)) - 1]
        shown = [one for one in findings.avenues if one.state == BEFORE and one.number == number]
        for one in shown:
            cells = one.avenue.cells
            xy = smooth_route(base.project(mesh.lon[cells], mesh.lat[cells]))
            sheet.axes.plot(xy[:, 0], xy[:, 1], color=color, lw=1.4, zorder=12, solid_capstyle="round")
    for number in range(1, findings.settings.limits.avenues + 1):
        if any(one.state == BEFORE and one.number == number for one in findings.avenues):
            sheet.add_line(AVENUE_COLORS[min(number, len(AVENUE_COLORS)) - 1], f"avenue {number}", 1.4)
    objectives = place_objectives(sheet, results)
    _place_chokepoints(sheet, results)
    sheet.place_towns(size=7.0, named=objectives)
    return sheet.finish(
        "avenues",
        "Up to three fast routes per approach that keep apart, over the share of all shortest routes (from "
        "every front cell, over all approaches by weight) that each hexagon or one beside it carries. Labels "
        "are those of the table of chokepoints: C cells, B bridges.",
    )


def widen_shares(mesh: Mesh, share: np.ndarray) -> np.ndarray:
    """Return float64[N], the greatest share of each cell and its neighbours: narrow ways are then seen."""
    around = np.where(mesh.neighbor >= 0, share[mesh.neighbor], 0.0)
    return np.maximum(share, around.max(axis=1))


def _place_chokepoints(sheet: Sheet, results: Results) -> None:
    found = results.avenues.chokepoints
    if not found:
        return
    places = np.array([locate_chokepoint(results.mesh, one) for one in found])
    xy = sheet.base.project(places[:, 0], places[:, 1])
    for is_bridge, marker, text in ((False, "o", "chokepoint"), (True, "s", "bridge most needed")):
        rows = [row for row, one in enumerate(found) if (one.place.edge >= 0) == is_bridge]
        if rows:
            sheet.axes.plot(
                xy[rows, 0],
                xy[rows, 1],
                marker,
                color="white",
                markeredgecolor="#111111",
                markersize=4.5,
                markeredgewidth=1.0,
                zorder=16,
                linestyle="none",
            )
            sheet.add_line("#111111", text, 0, marker=marker, fill="white")
    reserve_points(sheet.axes, sheet.space, xy, 2.5)
    sheet.place(
        [
            Label(one.label, x, y, rank=one.place.share, size=6.3, weight="bold", leader=True)
            for one, (x, y) in zip(found, xy, strict=True)
        ]
    )


def draw_effects_map(results: Results, base: BaseMap) -> MapImage:
    """Draw every chosen site in the colour of what it does to the avenues."""
    sheet = Sheet(base, "What each site does to the avenues")
    sheet.draw_land()
    sheet.draw_water()
    sheet.draw_roads()
    sheet.draw_borders()
    sites = {one.site.key: one.site for one in results.chosen}
    for name in reversed(EFFECTS):
        held = [sites[one.site] for one in results.avenues.effects if one.effect == name]
        rows = [np.asarray(site.edges) for site in held if site.kind != "crossing"]
        if rows:
            segments = base.edge_km[np.concatenate(rows)]
            sheet.draw_segments(segments, "white", 4.0, zorder=14)
            sheet.draw_segments(segments, EFFECT_COLORS[name], 2.8, zorder=15)
        points = [(site.lon, site.lat) for site in held if site.kind == "crossing"]
        if points:
            xy = base.project(*np.array(points).T)
            sheet.axes.plot(
                xy[:, 0],
                xy[:, 1],
                "s",
                color=EFFECT_COLORS[name],
                markersize=4.5,
                markeredgecolor="white",
                markeredgewidth=0.6,
                zorder=16,
                linestyle="none",
            )
    for name in EFFECTS:
        count = sum(one.effect == name for one in results.avenues.effects)
        if count:
            sheet.add_line(EFFECT_COLORS[name], f"{name} ({count} site{'' if count == 1 else 's'})", 2.8)
    objectives = place_objectives(sheet, results)
    sheet.place_towns(size=7.0, named=objectives)
    return sheet.finish(
        "effects",
        "Main effect of each chosen site, from the routes of the plan with and without it; squares are "
        "single crossings. The definitions and their limits stand under Avenues.",
    )
