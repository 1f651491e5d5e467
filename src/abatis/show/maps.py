"""The static maps of a plan: hours, hours gained, lines and sites, routes, ground."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from abatis.model.words import COVER_WORDS
from abatis.show.basemap import COLORS, BaseMap, MapImage, Sheet
from abatis.show.labels import Label, reserve_points
from abatis.show.results import Progress, Results

HOUR_STEPS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0, 24.0, 48.0, 96.0)
GAIN_STEPS = (0.05, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0, 48.0)
# Sequential scales that stay in order for colour-blind readers and in grey print (viridis and YlGnBu, thinned).
HOUR_COLORS = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")
GAIN_COLORS = ("#edf8d9", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#0c2c84")
NONE_COLOR = "#f1efe9"
NEVER_COLOR = "#b9b4ae"
# Okabe and Ito's colours: one per echelon, distinct for colour-blind readers.
ECHELON_COLORS = ("#d55e00", "#0072b2", "#aa4499", "#117733", "#332288", "#882255")
CROSSING_COLOR = "#111111"
CLOSED_COLOR = "#2a9d8f"
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
        draw_sites_map,
        draw_gain_map,
        draw_hours_map,
        draw_routes_map,
        draw_ground_map,
    )
    images = []
    for index, maker in enumerate(makers):
        if progress is not None:
            progress("maps", index / len(makers))
        images.append(maker(results, base))
    if progress is not None:
        progress("maps", 1.0)
    return tuple(images)


def draw_hours_map(results: Results, base: BaseMap) -> MapImage:
    """Draw the least hours from the fronts to every cell, before the plan."""
    vehicle, season = _name_group(results)
    sheet = Sheet(base, "Hours from the border before the plan")
    steps = _choose_steps(results.border_before_h, _home(results), HOUR_STEPS, len(HOUR_COLORS))
    _draw_classes(sheet, results.border_before_h, steps, HOUR_COLORS, _home_only(results))
    sheet.draw_land(faint_forest=False)
    sheet.draw_water()
    sheet.draw_roads()
    sheet.draw_borders()
    sheet.place_towns()
    return sheet.finish(
        "hours",
        f"Least hours from the nearest front to each hexagon of the home country, {vehicle}, {season} season, nobody "
        "in the way. Read it as ground and roads alone; it is not a forecast of any movement.",
    )


def draw_gain_map(results: Results, base: BaseMap) -> MapImage:
    """Draw the hours that the plan adds to the least time from the fronts to every cell."""
    vehicle, season = _name_group(results)
    gain = _subtract(results.border_after_h, results.border_before_h)
    sheet = Sheet(base, "Hours gained with the plan")
    steps = _choose_steps(
        gain[gain >= GAIN_STEPS[0]], None, GAIN_STEPS, len(GAIN_COLORS), first=GAIN_STEPS[0]
    )
    classes = np.digitize(gain, steps) - 1
    classes[np.isnan(gain) | ~_home(results)] = -1
    none = (classes == -1) & _home(results) & np.isfinite(results.border_before_h)
    colors = (*GAIN_COLORS, NONE_COLOR)
    classes[none] = len(GAIN_COLORS)
    sheet.draw_cells(classes, colors)
    if none.any():
        sheet.add_patch(NONE_COLOR, f"under {GAIN_STEPS[0] * 60:.0f} minutes")
    for index in range(len(steps)):
        if (classes == index).any():
            sheet.add_patch(GAIN_COLORS[index], _name_step(steps, index))
    sheet.draw_land(faint_forest=False)
    sheet.draw_water()
    _draw_sites(sheet, results, chosen_only=True)
    sheet.draw_borders()
    sheet.place_towns()
    return sheet.finish(
        "gain",
        f"Hours the plan adds to the least time from the nearest front, {vehicle}, {season} season. Where nothing is "
        "gained another way stays as fast: look at the routes map for which.",
    )


def draw_sites_map(results: Results, base: BaseMap) -> MapImage:
    """Draw the closing line of every echelon and the sites, chosen and not chosen, with their labels."""
    sheet = Sheet(base, "Closing lines and sites")
    sheet.draw_land()
    sheet.draw_water()
    sheet.draw_roads()
    sheet.draw_borders()
    for index, line in enumerate(results.siting.lines):
        edges = np.asarray(line.edges)
        closed = (results.mesh.gap_m[edges] <= 0) & (results.mesh.road_m[edges] <= 0)
        color = ECHELON_COLORS[index % len(ECHELON_COLORS)]
        sheet.draw_segments(base.edge_km[edges[~closed]], color, 0.9, zorder=11)
        sheet.draw_segments(base.edge_km[edges[closed]], CLOSED_COLOR, 0.9, zorder=11)
        sheet.add_line(color, f"{line.name}: open ground, not chosen", 0.9)
    if results.siting.lines:
        sheet.add_line(CLOSED_COLOR, "part closed by nature", 0.9)
    _draw_sites(sheet, results, chosen_only=False)
    _place_site_labels(sheet, results)
    sheet.place_towns(size=7.0)
    return sheet.finish(
        "sites",
        "The cheapest continuous line in each echelon, the parts nature closes, and the sites the plan pays for; labels "
        "are those of the table of sites. A site is a stretch of hexagon edges some hundred metres long or more, never "
        "a surveyed place: it must not be used to set out works.",
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
                xy = base.project(results.mesh.lon[route], results.mesh.lat[route])
                sheet.axes.plot(
                    xy[:, 0], xy[:, 1], color=color, lw=width, zorder=zorder, solid_capstyle="round"
                )
        sheet.add_line(color, f"fastest route {text}", width)
    _draw_sites(sheet, results, chosen_only=True)
    _place_objectives(sheet, results)
    sheet.place_towns(size=7.0)
    return sheet.finish(
        "routes",
        "The fastest route of each approach, before (blue, wide) and with the plan (orange, narrow); where both run "
        "together the blue shows on either side. A route is the best of many: look at the hours gained too.",
    )


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
    sheet.add_patch(COLORS["outside"], "sea or outside the study")
    rivers = base.layers["rivers"]
    if len(rivers):
        sheet.draw_lines(rivers, "#3b7fb0", 0.7, zorder=6)
        sheet.add_line("#3b7fb0", "river", 1.0)
    sheet.draw_roads()
    sheet.draw_borders()
    sheet.place_towns()
    return sheet.finish(
        "ground",
        "The cover with the largest share in each hexagon, as the mesh holds it. Times use all shares, not the main "
        "one only.",
    )


def _draw_sites(sheet: Sheet, results: Results, chosen_only: bool) -> None:
    base = sheet.base
    chosen = {one.site.key for one in results.chosen}
    drawn: set[int] = set()
    seen_crossing = False
    for site in results.siting.sites:
        edges = np.asarray(site.edges)
        if site.key in chosen:
            if site.kind == "crossing":
                xy = base.project(np.array([site.lon]), np.array([site.lat]))[0]
                sheet.axes.plot(
                    *xy,
                    "s",
                    color=CROSSING_COLOR,
                    markersize=4.2,
                    markeredgecolor="white",
                    markeredgewidth=0.6,
                    zorder=16,
                )
                seen_crossing = True
            else:
                index = max(site.echelon - 1, 0)
                sheet.draw_segments(base.edge_km[edges], "white", 4.2, zorder=14)
                sheet.draw_segments(
                    base.edge_km[edges], ECHELON_COLORS[index % len(ECHELON_COLORS)], 2.8, zorder=15
                )
                drawn.add(index)
        elif not chosen_only and site.kind == "crossing":
            xy = base.project(np.array([site.lon]), np.array([site.lat]))[0]
            sheet.axes.plot(
                *xy,
                "s",
                color="white",
                markersize=3.4,
                markeredgecolor=CROSSING_COLOR,
                markeredgewidth=0.6,
                zorder=13,
            )
    for index in sorted(drawn):
        name = (
            results.siting.lines[index].name if index < len(results.siting.lines) else f"echelon {index + 1}"
        )
        sheet.add_line(ECHELON_COLORS[index % len(ECHELON_COLORS)], f"{name}: chosen site", 2.8)
    if seen_crossing:
        sheet.add_line(CROSSING_COLOR, "crossing, chosen", 0, marker="s")
    if not chosen_only and any(
        one.kind == "crossing" and one.key not in chosen for one in results.siting.sites
    ):
        sheet.add_line("#999999", "crossing, not chosen", 0, marker="s")


def _place_site_labels(sheet: Sheet, results: Results) -> None:
    if not results.chosen:
        return
    xy = sheet.base.project(
        np.array([one.site.lon for one in results.chosen]), np.array([one.site.lat for one in results.chosen])
    )
    reserve_points(sheet.axes, sheet.space, xy, 2.5)
    sheet.place(
        [
            Label(
                one.label,
                x,
                y,
                rank=one.option.cost_eur,
                size=6.3,
                color="white",
                weight="bold",
                leader=True,
                box=CROSSING_COLOR
                if one.site.kind == "crossing"
                else ECHELON_COLORS[max(one.site.echelon - 1, 0) % len(ECHELON_COLORS)],
            )
            for one, (x, y) in zip(results.chosen, xy, strict=True)
        ]
    )


def _place_objectives(sheet: Sheet, results: Results) -> None:
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


def _draw_classes(
    sheet: Sheet, values: np.ndarray, steps: Sequence[float], colors: Sequence[str], shown: np.ndarray
) -> None:
    count = len(steps)
    picked = [colors[round(index * (len(colors) - 1) / max(count - 1, 1))] for index in range(count)]
    classes = np.clip(np.digitize(values, steps), 0, count - 1)
    never = ~np.isfinite(values)
    classes[never] = count
    classes[~shown] = -1
    sheet.draw_cells(classes, [*picked, NEVER_COLOR])
    for index in range(count):
        if (classes == index).any():
            sheet.add_patch(picked[index], _name_upper_step(steps, index))
    if (classes == count).any():
        sheet.add_patch(NEVER_COLOR, "not reached")


def _choose_steps(
    values: np.ndarray, mask: np.ndarray | None, steps: Sequence[float], most: int, first: float = 0.0
) -> list[float]:
    """Choose at most `most` rising class limits that divide the values evenly."""
    inside = values if mask is None else values[mask]
    inside = inside[np.isfinite(inside)]
    if not len(inside):
        return [steps[0]]
    usable = [step for step in steps if first <= step <= max(float(inside.max()), steps[0])] or [steps[0]]
    # Classes so thin that nobody sees them give way to wider ones.
    while len(usable) > most:
        counts = np.histogram(inside, [*usable, np.inf])[0]
        usable.pop(int(np.argmin(counts[1:])) + 1)
    return usable


def _name_step(steps: Sequence[float], index: int) -> str:
    if index + 1 < len(steps):
        return f"{_name_hours(steps[index])} to {_name_hours(steps[index + 1])} h"
    return f"over {_name_hours(steps[index])} h"


def _name_upper_step(steps: Sequence[float], index: int) -> str:
    if index == 0:
        return f"under {_name_hours(steps[0])} h"
    if index == len(steps) - 1:
        return f"over {_name_hours(steps[index - 1])} h"
    return f"{_name_hours(steps[index - 1])} to {_name_hours(steps[index])} h"


def _name_hours(hours: float) -> str:
    return f"{hours:g}"


def _name_group(results: Results) -> tuple[str, str]:
    vehicle, season = results.group
    return str(results.study.find_row("vehicles", vehicle)["name"]), season


def _home(results: Results) -> np.ndarray:
    return results.mesh.mask_countries(results.study.home)


def _home_only(results: Results) -> np.ndarray:
    return _home(results)


def _subtract(after_h: np.ndarray, before_h: np.ndarray) -> np.ndarray:
    """Return after - before; NaN where there was no way before, infinity where the plan takes the last one."""
    gain = np.full(len(after_h), np.nan)
    reached = np.isfinite(before_h)
    gain[reached] = after_h[reached] - before_h[reached]
    return gain
