"""Maps of closing lines and sites: the whole country, and details where labels need more room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from abatis.show.basemap import BaseMap, limit_extent
from abatis.show.labels import Label, reserve_points
from abatis.show.results import ChosenSite, Results
from abatis.show.sheet import MapImage, Sheet

# Okabe and Ito's colours: one per echelon, distinct for colour-blind readers.
ECHELON_COLORS = ("#d55e00", "#0072b2", "#aa4499", "#117733", "#332288", "#882255")
CROSSING_COLOR = "#111111"
CLOSED_COLOR = "#2a9d8f"
MOST_ON_DETAIL = 60
DETAIL_MARGIN_KM = 6.0


def draw_sites_map(results: Results, base: BaseMap) -> MapImage:
    """Draw the closing line of every echelon and the sites, chosen and not chosen, with their labels."""
    return _draw_sheet(
        results,
        base,
        results.chosen,
        "sites",
        "Closing lines and sites",
        "The cheapest continuous line in each echelon, the parts that nature closes, and the sites the plan "
        "pays for; labels are those of the table of sites. A site is a stretch of hexagon sides, never a "
        "surveyed place: it must not be used to set out works.",
    )


def draw_detail_maps(results: Results, base: BaseMap, overview: MapImage) -> list[MapImage]:
    """Draw details of the sites, so that every chosen site is labelled on one of them.

    In words: when the map of the whole country has room for all labels there is none; else the chosen sites
    are halved along the longer side of their extent until at most sixty lie on one detail.
    """
    shown = {text for text, _ in overview.labels}
    if all(one.label in shown for one in results.chosen):
        return []
    xy = base.project(
        np.array([one.site.lon for one in results.chosen]), np.array([one.site.lat for one in results.chosen])
    )
    parts = split_points(xy, np.arange(len(xy)))
    images = []
    for number, part in enumerate(parts, start=1):
        west, south = xy[part].min(axis=0) - DETAIL_MARGIN_KM
        east, north = xy[part].max(axis=0) + DETAIL_MARGIN_KM
        detail = replace(base, extent_km=limit_extent(float(west), float(east), float(south), float(north)))
        images.append(
            _draw_sheet(
                results,
                detail,
                [results.chosen[row] for row in part],
                f"sites-{number}",
                f"Sites, detail {number} of {len(parts)}",
                "A part of the map above; sites of other details carry no label here.",
            )
        )
    return images


def split_points(xy: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """Halve points along the longer side of their extent until each part holds few enough.

    Examples
    --------
    >>> xy = np.column_stack([np.arange(100.0), np.zeros(100)])
    >>> [len(part) for part in split_points(xy, np.arange(100))]
    [50, 50]
    """
    if len(rows) <= MOST_ON_DETAIL:
        return [rows]
    axis = int(np.argmax(np.ptp(xy[rows], axis=0)))
    ordered = rows[np.argsort(xy[rows, axis], kind="stable")]
    half = len(ordered) // 2
    return split_points(xy, ordered[:half]) + split_points(xy, ordered[half:])


def draw_chosen_sites(sheet: Sheet, results: Results) -> None:
    """Draw the chosen sites in black over a theme."""
    rows: list[np.ndarray] = []
    for one in results.chosen:
        if one.site.kind == "crossing":
            _draw_crossing(sheet, one.site.lon, one.site.lat, chosen=True)
        else:
            rows.append(np.asarray(one.site.edges))
    if rows:
        segments = sheet.base.edge_km[np.concatenate(rows)]
        sheet.draw_segments(segments, "white", 3.4, zorder=14)
        sheet.draw_segments(segments, "#1a1a1a", 1.8, zorder=15)
    if any(one.site.kind == "line" for one in results.chosen):
        sheet.add_line("#1a1a1a", "chosen site", 1.8)
    if any(one.site.kind == "crossing" for one in results.chosen):
        sheet.add_line(CROSSING_COLOR, "chosen crossing", 0, marker="s")


def color_echelon(echelon: int) -> str:
    """Return the colour of an echelon, counted from 1; 0 is a single crossing."""
    return ECHELON_COLORS[(echelon - 1) % len(ECHELON_COLORS)] if echelon > 0 else CROSSING_COLOR


def _draw_sheet(
    results: Results, base: BaseMap, labelled: Sequence[ChosenSite], key: str, title: str, caption: str
) -> MapImage:
    sheet = Sheet(base, title)
    sheet.draw_land()
    sheet.draw_water()
    sheet.draw_roads()
    sheet.draw_borders()
    _draw_lines(sheet, results)
    _draw_sites(sheet, results)
    _place_site_labels(sheet, results, labelled)
    sheet.place_towns(size=7.0)
    return sheet.finish(key, caption)


def _draw_lines(sheet: Sheet, results: Results) -> None:
    mesh, edge_km = results.mesh, sheet.base.edge_km
    any_closed = False
    for number, line in enumerate(results.siting.lines, start=1):
        edges = np.asarray(line.edges)
        closed = (mesh.gap_m[edges] <= 0) & (mesh.road_class[edges] < 0)
        any_closed |= bool(closed.any())
        sheet.draw_segments(edge_km[edges[~closed]], color_echelon(number), 0.9, zorder=11)
        sheet.draw_segments(edge_km[edges[closed]], CLOSED_COLOR, 1.2, zorder=11, style=(0, (1.2, 1.2)))
        sheet.add_line(color_echelon(number), f"{line.name}: line", 0.9)
    if any_closed:
        sheet.add_line(CLOSED_COLOR, "closed by nature", 1.2, style=(0, (1.2, 1.2)))


def _draw_sites(sheet: Sheet, results: Results) -> None:
    chosen = {one.site.key for one in results.chosen}
    rows: dict[int, list[np.ndarray]] = {}
    crossings: set[bool] = set()
    for site in results.siting.sites:
        if site.kind == "crossing":
            _draw_crossing(sheet, site.lon, site.lat, site.key in chosen)
            crossings.add(site.key in chosen)
        elif site.key in chosen:
            rows.setdefault(site.echelon, []).append(np.asarray(site.edges))
    for echelon in sorted(rows):
        segments = sheet.base.edge_km[np.concatenate(rows[echelon])]
        sheet.draw_segments(segments, "white", 4.2, zorder=14)
        sheet.draw_segments(segments, color_echelon(echelon), 2.8, zorder=15)
        sheet.add_line(color_echelon(echelon), f"Echelon {echelon}: chosen site", 2.8)
    if True in crossings:
        sheet.add_line(CROSSING_COLOR, "chosen crossing", 0, marker="s")
    if False in crossings:
        sheet.add_line(CROSSING_COLOR, "crossing, not chosen", 0, marker="s", fill="white")


def _draw_crossing(sheet: Sheet, lon: float, lat: float, chosen: bool) -> None:
    x, y = sheet.base.project(np.array([lon]), np.array([lat]))[0]
    sheet.axes.plot(
        [x],
        [y],
        "s",
        color=CROSSING_COLOR if chosen else "white",
        markersize=4.2 if chosen else 3.4,
        markeredgecolor="white" if chosen else CROSSING_COLOR,
        markeredgewidth=0.6,
        zorder=16 if chosen else 13,
    )


def _place_site_labels(sheet: Sheet, results: Results, labelled: Sequence[ChosenSite]) -> None:
    everyone = results.chosen
    if not everyone:
        return
    xy = sheet.base.project(
        np.array([one.site.lon for one in everyone]), np.array([one.site.lat for one in everyone])
    )
    reserve_points(sheet.axes, sheet.space, xy, 2.5)
    wanted = {one.site.key for one in labelled}
    sheet.place(
        [
            Label(
                text=one.label,
                x=x,
                y=y,
                rank=one.option.cost_eur,
                size=6.3,
                color="white",
                weight="bold",
                leader=True,
                box=color_echelon(one.site.echelon if one.site.kind == "line" else 0),
            )
            for one, (x, y) in zip(everyone, xy, strict=True)
            if one.site.key in wanted
        ]
    )
