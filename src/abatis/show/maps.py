"""The static maps of a plan: lines and sites, hours gained, hours, routes, ground."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from abatis.model.words import COVER_WORDS
from abatis.show.basemap import BaseMap
from abatis.show.labels import Label, reserve_points
from abatis.show.results import Progress, Results
from abatis.show.sheet import COLORS, MapImage, Sheet
from abatis.show.sitemaps import draw_chosen_sites, draw_detail_maps, draw_sites_map

HOUR_STEPS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0, 24.0, 48.0, 96.0)
GAIN_STEPS = (0.05, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0, 48.0)
# Scales that stay in order for colour-blind readers and in grey print (viridis and YlGnBu, thinned).
HOUR_COLORS = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")
GAIN_COLORS = ("#f1efe9", "#edf8c9", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#0c2c84")
NEVER_COLOR = "#b9b4ae"
COVER_COLORS = {
    "cropland": "#f3e3b0",
    "grass": "#d9e8a8",
    "shrub": "#b9c77c",
    "open_forest": "#8fb66b",
    "dense_forest": "#3f7d4e",
    "wetland": "#9c86b8",
    "built_up": "#a33b3b",
    "bare": "#d8d0c4",
    "water": "#7fb2d6",
}


def draw_maps(results: Results, base: BaseMap, progress: Progress | None = None) -> tuple[MapImage, ...]:
    """Draw all maps of a plan, in the order of the report."""
    makers: tuple[Callable[[Results, BaseMap], MapImage], ...] = (
        draw_gain_map,
        draw_hours_map,
        draw_routes_map,
        draw_ground_map,
    )
    if progress is not None:
        progress("maps", 0.0)
    overview = draw_sites_map(results, base)
    images = [overview, *draw_detail_maps(results, base, overview)]
    for index, maker in enumerate(makers, start=1):
        if progress is not None:
            progress("maps", index / (len(makers) + 1))
        images.append(maker(results, base))
    if progress is not None:
        progress("maps", 1.0)
    return tuple(images)


def draw_hours_map(results: Results, base: BaseMap) -> MapImage:
    """Draw the least hours from the fronts to every home cell, before the plan."""
    vehicle, season = _name_group(results)
    sheet = Sheet(base, "Hours from the border before the plan", f"{vehicle}, {season}")
    hours = results.border_before_h
    home = results.mesh.mask_countries(results.study.home)
    limits = choose_limits(hours[home], HOUR_STEPS, len(HOUR_COLORS))
    _draw_classes(sheet, hours, limits, HOUR_COLORS, home)
    sheet.draw_land(forest=False, named=("neighbor", "hostile"))
    sheet.draw_water()
    sheet.draw_roads()
    sheet.draw_borders()
    sheet.place_towns()
    return sheet.finish(
        "hours",
        f"Least hours from the nearest front to each hexagon of the home country, {vehicle}, "
        f"{season} season, nobody in the way. Read it as ground and roads alone; it is not a "
        "forecast of any movement.",
    )


def draw_gain_map(results: Results, base: BaseMap) -> MapImage:
    """Draw the hours that the plan adds to the least time from the fronts to every home cell."""
    vehicle, season = _name_group(results)
    sheet = Sheet(base, "Hours gained with the plan", f"{vehicle}, {season}")
    gain = subtract_hours(results.border_after_h, results.border_before_h)
    home = results.mesh.mask_countries(results.study.home)
    gained = gain[home & (gain >= GAIN_STEPS[0])]
    limits = [GAIN_STEPS[0], *choose_limits(gained, GAIN_STEPS[1:], len(GAIN_COLORS) - 1)]
    _draw_classes(sheet, gain, limits, GAIN_COLORS, home, never="no way before or after")
    sheet.draw_land(forest=False, named=("neighbor", "hostile"))
    sheet.draw_water()
    draw_chosen_sites(sheet, results)
    sheet.draw_borders()
    sheet.place_towns()
    return sheet.finish(
        "gain",
        f"Hours the plan adds to the least time from the nearest front, {vehicle}, {season} season. "
        "Where little is gained another way stays as fast: see the routes.",
    )


def draw_routes_map(results: Results, base: BaseMap) -> MapImage:
    """Draw the fastest route of every approach before and with the plan."""
    sheet = Sheet(base, "Fastest routes before and with the plan")
    sheet.draw_land()
    sheet.draw_water()
    sheet.draw_roads()
    sheet.draw_borders()
    styles = (
        ("route_before", "#0072b2", 2.6, "before the plan", 12.0),
        ("route_after", "#d55e00", 1.4, "with the plan", 13.0),
    )
    for name, color, width, text, zorder in styles:
        for approach in results.approaches:
            route = getattr(approach, name)
            if len(route) > 1:
                xy = smooth_route(base.project(results.mesh.lon[route], results.mesh.lat[route]))
                sheet.axes.plot(
                    xy[:, 0], xy[:, 1], color=color, lw=width, zorder=zorder, solid_capstyle="round"
                )
        sheet.add_line(color, f"fastest route {text}", width)
    draw_chosen_sites(sheet, results)
    objectives = place_objectives(sheet, results)
    sheet.place_towns(size=7.0, named=objectives)
    return sheet.finish(
        "routes",
        "The fastest route of each approach, before (blue, wide) and with the plan (orange, narrow); where "
        "both run together the blue shows on either side. Drawn through the middle of hexagons and smoothed, "
        "so it may lie beside its road. A route is the best of many: look at the hours gained too.",
    )


def smooth_route(xy: np.ndarray) -> np.ndarray:
    """Return a route without the zigzag of its hexagons, float64[M, 2]; both ends stay.

    In words: every point between the ends moves to a quarter, a half and a quarter of its neighbours and
    itself, twice.

    Examples
    --------
    >>> smooth_route(np.array([[0.0, 0.0], [1.0, 4.0], [2.0, 0.0]]))[:, 1].tolist()
    [0.0, 1.0, 0.0]
    """
    smooth = xy.copy()
    for _ in range(2):
        smooth[1:-1] = (smooth[:-2] + 2 * smooth[1:-1] + smooth[2:]) / 4
    return smooth


def draw_ground_map(results: Results, base: BaseMap) -> MapImage:
    """Draw the main cover of every cell."""
    sheet = Sheet(base, "Ground: main cover of each hexagon")
    mesh = results.mesh
    dominant = np.argmax(mesh.cover, axis=1)
    dominant[mesh.cover.sum(axis=1) <= 0] = -1
    sheet.draw_cells(dominant, [COVER_COLORS[word] for word in COVER_WORDS])
    for index, word in enumerate(COVER_WORDS):
        if (dominant == index).any():
            sheet.add_patch(COVER_COLORS[word], word.replace("_", " "))
    sheet.draw_land(forest=False, named=("neighbor", "hostile"))
    if sheet.shows(base.layers["water"]):
        sheet.fill(base.layers["water"], COVER_COLORS["water"], zorder=3)
        sheet.add_patch(COVER_COLORS["water"], "water")
    rivers = base.layers["rivers"]
    if sheet.shows(rivers):
        sheet.draw_lines(rivers, "#3b7fb0", 0.7, zorder=6)
        sheet.add_line("#3b7fb0", "river", 1.0)
    sheet.draw_roads()
    sheet.draw_borders()
    sheet.place_towns()
    return sheet.finish(
        "ground",
        "The cover with the largest share in each hexagon, as the mesh holds it. Times use all shares, not "
        "the main one only.",
    )


def place_objectives(sheet: Sheet, results: Results) -> list[str]:
    """Draw and name the objectives; returns their keys."""
    approaches = results.study.tables["approaches"]
    keys = list(dict.fromkeys(approaches["objective"]))
    rows = [results.study.find_row("places", key) for key in keys]
    xy = sheet.base.project(np.array([row["lon"] for row in rows]), np.array([row["lat"] for row in rows]))
    sheet.axes.plot(
        xy[:, 0],
        xy[:, 1],
        "*",
        color="#111111",
        markersize=11,
        markeredgecolor="white",
        markeredgewidth=0.8,
        zorder=20,
        linestyle="none",
    )
    sheet.add_line("#111111", "objective", 0, marker="*")
    reserve_points(sheet.axes, sheet.space, xy, 4.5)
    sheet.place(
        [
            Label(row["name"], x, y, rank=float(row["population"]), size=8.0, weight="bold", leader=True)
            for row, (x, y) in zip(rows, xy, strict=True)
        ]
    )
    return keys


def _draw_classes(
    sheet: Sheet,
    values: np.ndarray,
    limits: Sequence[float],
    colors: Sequence[str],
    shown: np.ndarray,
    never: str = "not reached",
) -> None:
    """Colour the cells `shown` by class; every class that occurs enters the legend.

    In words: cells without a value are water where water covers most of them; `never` names the others.
    """
    cover = sheet.base.mesh.cover
    count = len(limits) + 1
    picked = [colors[round(index * (len(colors) - 1) / max(count - 1, 1))] for index in range(count)]
    classes = np.digitize(np.nan_to_num(values, nan=np.inf), limits)
    classes[~np.isfinite(values)] = count
    classes[~np.isfinite(values) & (np.argmax(cover, axis=1) == COVER_WORDS.index("water"))] = count + 1
    classes[~shown] = -1
    sheet.draw_cells(classes, [*picked, NEVER_COLOR, COLORS["water"]])
    for index in range(count):
        if (classes == index).any():
            sheet.add_patch(picked[index], name_class(limits, index))
    if (classes == count).any():
        sheet.add_patch(NEVER_COLOR, never)
    if (classes == count + 1).any():
        sheet.add_patch(COLORS["water"], "water")


def choose_limits(values: np.ndarray, steps: Sequence[float], most: int) -> list[float]:
    """Choose rising class limits out of round steps so that at most `most` classes arise.

    In words: of all steps inside the range of the values, the limit between the two neighbouring classes that
    are smallest together is dropped until few enough are left.

    Examples
    --------
    >>> choose_limits(np.array([0.5, 1.5, 2.5, 3.5]), (1, 2, 3, 4), 8)
    [1, 2, 3]
    >>> choose_limits(np.array([0.5, 1.5, 2.5, 2.6, 3.5, 3.6]), (1, 2, 3, 4), 3)
    [2, 3]
    """
    inside = values[np.isfinite(values)]
    limits = [step for step in steps if len(inside) and inside.min() < step < inside.max()]
    while len(limits) > most - 1:
        counts = np.histogram(inside, [-np.inf, *limits, np.inf])[0]
        limits.pop(int(np.argmin(counts[:-1] + counts[1:])))
    return limits


def name_class(limits: Sequence[float], index: int) -> str:
    """Name one class of hours.

    Examples
    --------
    >>> name_class([0.05, 0.5, 2], 0), name_class([0.05, 0.5, 2], 1), name_class([0.05, 0.5, 2], 2)
    ('under 3 min', '3 to 30 min', '30 min to 2 h')
    >>> name_class([0.05, 0.5, 2], 3), name_class([], 0)
    ('over 2 h', 'all')
    """
    if not limits:
        return "all"
    if index == 0:
        return f"under {_name_hours(limits[0])}"
    if index == len(limits):
        return f"over {_name_hours(limits[-1])}"
    low, high = _name_hours(limits[index - 1]), _name_hours(limits[index])
    if low.split()[-1] == high.split()[-1]:
        low = low.split()[0]
    return f"{low} to {high}"


def _name_hours(hours: float) -> str:
    return f"{hours:g} h" if hours >= 1 else f"{60 * hours:.0f} min"


def _name_group(results: Results) -> tuple[str, str]:
    vehicle, season = results.group
    return str(results.study.find_row("vehicles", vehicle)["name"]), season


def subtract_hours(after_h: np.ndarray, before_h: np.ndarray) -> np.ndarray:
    """Return after - before; NaN where no way was before, infinity where the plan takes the last one."""
    gain = np.full(len(after_h), np.nan)
    reached = np.isfinite(before_h)
    gain[reached] = after_h[reached] - before_h[reached]
    return gain
