"""Maps of closing lines and sites: the whole country, and details where labels need more room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely

from abatis.show.basemap import BaseMap, limit_extent
from abatis.show.labels import Label, reserve_points
from abatis.show.results import ChosenSite, Results
from abatis.show.sheet import LineStyle, MapImage, Sheet

# Okabe and Ito's colours: one per echelon, distinct for colour-blind readers.
ECHELON_COLORS = ("#d55e00", "#0072b2", "#aa4499", "#117733", "#332288", "#882255")
CROSSING_COLOR = "#111111"
CLOSED_STYLE: LineStyle = (0, (1.2, 1.4))
MOST_ON_DETAIL = 60
DETAIL_MARGIN_KM = 6.0
FRAME_COLOR = "#4a4a4a"
Extent = tuple[float, float, float, float]


def draw_sites_map(results: Results, base: BaseMap) -> MapImage:
    """Draw the closing line of every echelon and the sites, chosen and not chosen.

    In words: chosen sites are labelled as long as they are few enough for one map; else frames show where the
    details lie that label them.
    """
    crowded = len(results.chosen) > MOST_ON_DETAIL
    where = (
        "the numbered frames are the details below, which label every site"
        if crowded
        else "labels are those of the table of sites"
    )
    return _draw_sheet(
        results,
        base,
        [] if crowded else results.chosen,
        "sites",
        "Closing lines and sites",
        "The cheapest continuous line in each echelon, the parts that nature closes, and the sites the plan "
        f"pays for; {where}. A site is a stretch of hexagon sides, never a "
        "surveyed place: it must not be used to set out works.",
        frames=[extent for _, extent in _choose_details(results, base)] if crowded else [],
    )


def draw_detail_maps(results: Results, base: BaseMap, overview: MapImage) -> list[MapImage]:
    """Draw details of the sites, so that every chosen site is labelled on one of them.

    In words: when the map of the whole country has room for all labels there is none; else the chosen sites
    are halved along the longer side of their extent until at most sixty lie on one detail.
    """
    shown = {text for text, _ in overview.labels}
    if all(one.label in shown for one in results.chosen):
        return []
    details = _choose_details(results, base)
    return [
        _draw_sheet(
            results,
            replace(base, extent_km=extent),
            [results.chosen[row] for row in part],
            f"sites-{number}",
            f"Sites, detail {number} of {len(details)}",
            f"Frame {number} of the map of lines and sites; sites of other details carry no label here.",
        )
        for number, (part, extent) in enumerate(details, start=1)
    ]


def _choose_details(results: Results, base: BaseMap) -> list[tuple[np.ndarray, Extent]]:
    """Return the rows of the chosen sites and the extent of every detail, from west to east."""
    xy = base.project(
        np.array([one.site.lon for one in results.chosen]), np.array([one.site.lat for one in results.chosen])
    )
    details = []
    for part in sorted(split_points(xy, np.arange(len(xy))), key=lambda part: float(xy[part, 0].mean())):
        west, south = (float(value) for value in xy[part].min(axis=0) - DETAIL_MARGIN_KM)
        east, north = (float(value) for value in xy[part].max(axis=0) + DETAIL_MARGIN_KM)
        details.append((part, limit_extent(west, east, south, north)))
    return details


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
    results: Results,
    base: BaseMap,
    labelled: Sequence[ChosenSite],
    key: str,
    title: str,
    caption: str,
    frames: Sequence[Extent] = (),
) -> MapImage:
    sheet = Sheet(base, title)
    sheet.draw_land()
    sheet.draw_water()
    sheet.draw_roads()
    sheet.draw_borders()
    _draw_lines(sheet, results)
    _draw_sites(sheet, results)
    _draw_frames(sheet, frames)
    _place_site_labels(sheet, results, labelled)
    sheet.place_towns(size=7.0)
    return sheet.finish(key, caption)


def _draw_lines(sheet: Sheet, results: Results) -> None:
    mesh, edge_km = results.mesh, sheet.base.edge_km
    any_closed = False
    chosen: dict[int, list[np.ndarray]] = {}
    for one in results.chosen:
        if one.site.kind == "line":
            chosen.setdefault(one.site.echelon, []).append(np.asarray(one.site.edges))
    for number, line in enumerate(results.siting.lines, start=1):
        edges = np.asarray(line.edges)
        if not sheet.shows_segments(edge_km[edges]):
            continue
        closed = (mesh.gap_m[edges] <= 0) & (mesh.road_class[edges] < 0)
        any_closed |= sheet.shows_segments(edge_km[edges[closed]])
        sheet.draw_segments(edge_km[edges[~closed]], color_echelon(number), 1.1, zorder=11)
        sheet.draw_segments(edge_km[edges[closed]], color_echelon(number), 1.1, zorder=11, style=CLOSED_STYLE)
        sheet.add_line(color_echelon(number), f"{line.name}: line", 1.1)
        if number in chosen and sheet.shows_segments(edge_km[np.concatenate(chosen[number])]):
            sheet.add_line(color_echelon(number), f"Echelon {number}: chosen site", 3.0)
    if any_closed:
        sheet.add_line("#666666", "line closed by nature", 1.1, style=CLOSED_STYLE)


def _draw_sites(sheet: Sheet, results: Results) -> None:
    chosen = {one.site.key for one in results.chosen}
    rows: dict[int, list[np.ndarray]] = {}
    crossings: set[bool] = set()
    for site in results.siting.sites:
        if site.kind == "crossing":
            if _draw_crossing(sheet, site.lon, site.lat, site.key in chosen):
                crossings.add(site.key in chosen)
        elif site.key in chosen:
            rows.setdefault(site.echelon, []).append(np.asarray(site.edges))
    for echelon in sorted(rows):
        segments = sheet.base.edge_km[np.concatenate(rows[echelon])]
        sheet.draw_segments(segments, "white", 4.2, zorder=14)
        sheet.draw_segments(segments, color_echelon(echelon), 3.0, zorder=15)
    if True in crossings:
        sheet.add_line(CROSSING_COLOR, "chosen crossing", 0, marker="s")
    if False in crossings:
        sheet.add_line(CROSSING_COLOR, "crossing, not chosen", 0, marker="s", fill="white")


def _draw_frames(sheet: Sheet, frames: Sequence[Extent]) -> None:
    """Draw the frames of the details, each with its number at its upper left corner."""
    for west, east, south, north in frames:
        corners = np.array([[west, south], [east, south], [east, north], [west, north], [west, south]])
        sides = np.stack([corners[:-1], corners[1:]], axis=1)
        sheet.draw_segments(sides, FRAME_COLOR, 0.8, zorder=17, style=(0, (5.0, 2.0)))
    if frames:
        sheet.add_line(FRAME_COLOR, "detail", 0.8, style=(0, (5.0, 2.0)))
    west, _, _, north = sheet.base.extent_km
    sheet.place(
        [
            Label(
                f"detail {number}",
                max(frame[0], west),
                min(frame[3], north),
                rank=float(-number),
                size=7.5,
                color="white",
                weight="bold",
                box=FRAME_COLOR,
            )
            for number, frame in enumerate(frames, start=1)
        ]
    )


def _draw_crossing(sheet: Sheet, lon: float, lat: float, chosen: bool) -> bool:
    """Draw a crossing; returns False when it lies outside the map."""
    x, y = sheet.base.project(np.array([lon]), np.array([lat]))[0]
    if not shapely.intersects_xy(sheet.frame, x, y):
        return False
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
    return True


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
