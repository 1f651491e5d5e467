"""Maps of the watch page: share of each cell that posts see, and the low air with its least-seen ways."""

from __future__ import annotations

import numpy as np

from abatis.show.basemap import BaseMap
from abatis.show.labels import Label, reserve_points
from abatis.show.sheet import MapImage, Sheet
from abatis.show.watch_answer import WatchAnswer
from abatis.show.watch_maps import draw_border_seen, draw_posts
from abatis.watch.low_air_study import AirPicture, PairCorridor
from abatis.watch.seen import measure_shares

SHARE_LIMITS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHARE_COLORS = ("#edf8d9", "#a1dab4", "#41b6c4", "#225ea8")
AIR_LIMITS = (0.1, 0.5, 0.9, 1.0)
AIR_COLORS = ("#dadaeb", "#9e9ac8", "#6a51a3")
WAY_COLORS = ("#7f0000", "#d7301f", "#fc8d59", "#b8860b", "#8c6d31", "#636363")


def measure_seen_shares(answer: WatchAnswer) -> np.ndarray:
    """Share of each cell's land that planned posts see together, float64[N]."""
    results = answer.results
    target = results.settings.target
    used = [one for one in answer.planned if target in one.sensor.range_m]
    return measure_shares(results.ground, used, target, results.catalogue.terms)


def draw_share_map(answer: WatchAnswer, base: BaseMap) -> MapImage:
    """Draw the share of each hexagon's land that the planned posts see together, with posts and border."""
    results = answer.results
    sheet = Sheet(base, "How much of the ground the posts see", f"target: {results.settings.target}")
    share = measure_seen_shares(answer)
    sheet.draw_land()
    classes = np.where(share > 0, np.ceil(np.minimum(share, 1.0) * 4).astype(int) - 1, -1)
    sheet.draw_cells(classes, SHARE_COLORS)
    for index, color in enumerate(SHARE_COLORS):
        if (classes == index).any():
            sheet.add_patch(color, f"{SHARE_LIMITS[index]:.0%} to {SHARE_LIMITS[index + 1]:.0%} seen")
    sheet.draw_water()
    sheet.draw_borders()
    draw_border_seen(sheet, results)
    draw_posts(sheet, results)
    _place_objectives(sheet)
    sheet.place_towns(named=_list_objectives(sheet))
    return sheet.finish(
        "share",
        "Share of each hexagon's land that at least one post sees at the end of the programme. Sight lines "
        "over ground, trees and houses where the study has elevation, ranges elsewhere.",
    )


def pick_least(picture: AirPicture) -> PairCorridor | None:
    """The pair and height noticed least (equal ones: the lowest, then the first); None without any way."""
    known = [one for one in picture.corridors if one.corridor is not None]
    if picture.closed is not None or not known:
        return picture.closed
    return min(known, key=lambda one: (one.corridor.chance if one.corridor else 1.0, one.height_m))


def draw_air_map(answer: WatchAnswer, base: BaseMap) -> MapImage | None:
    """Draw detection in the low air, the least-seen way at every height, and sensors that would close it.

    In words: of all fronts and objectives the pair that is noticed least is drawn; None without any way.
    """
    picture, results = answer.picture, answer.results
    least = pick_least(picture)
    if least is None:
        return None
    sheet = Sheet(
        base, "Where a low flight goes unnoticed", f"detection at {least.height_m:g} m above ground"
    )
    detection = picture.detection[least.height_m]
    sheet.draw_land(forest=False)
    classes = np.searchsorted(np.array(AIR_LIMITS[:3]), detection, side="right") - 1
    sheet.draw_cells(classes, AIR_COLORS)
    for index, color in enumerate(AIR_COLORS):
        if (classes == index).any():
            sheet.add_patch(color, f"noticed {AIR_LIMITS[index]:.0%} to {AIR_LIMITS[index + 1]:.0%}")
    sheet.draw_water()
    sheet.draw_borders()
    _draw_ways(sheet, picture, least)
    if picture.closing is not None and answer.candidates is not None:
        kept = [answer.candidates.outlooks[one] for one in picture.closing.kept]
        lon, lat = results.ground.grid.place(
            np.array([one.row for one in kept], np.int64), np.array([one.column for one in kept], np.int64)
        )
        _mark(sheet, lon, lat, "P", "#0b5c9e", "sensor that would close it")
    _place_objectives(sheet)
    sheet.place_towns(named=_list_objectives(sheet))
    return sheet.finish(
        "low_air",
        f"Chance that a flight at {least.height_m:g} m is noticed over each hexagon in one look, and the way "
        f"from {_name(answer, 'fronts', least.front)} to {_name(answer, 'places', least.objective)} on which "
        "it is noticed least, at every height. Ranges and stated chances, no emitters.",
    )


def _draw_ways(sheet: Sheet, picture: AirPicture, least: PairCorridor) -> None:
    """Ways of one pair, the lowest height on top and narrowest, so that equal ways all show."""
    mesh = sheet.base.mesh
    pairs = [
        one
        for one in picture.corridors
        if (one.front, one.objective) == (least.front, least.objective) and one.corridor is not None
    ]
    for number in range(len(pairs) - 1, -1, -1):
        way = pairs[number].corridor
        assert way is not None
        xy = sheet.base.project(mesh.lon[way.cells], mesh.lat[way.cells])
        color, width = WAY_COLORS[number % len(WAY_COLORS)], 1.3 + 1.3 * number
        sheet.draw_segments(np.stack([xy[:-1], xy[1:]], axis=1), color, width, zorder=12 - 0.1 * number)
    for number, one in enumerate(pairs):
        color = WAY_COLORS[number % len(WAY_COLORS)]
        sheet.add_line(color, f"least-seen way at {one.height_m:g} m", 1.3 + 1.3 * number)


def _mark(sheet: Sheet, lon: np.ndarray, lat: np.ndarray, marker: str, color: str, words: str) -> None:
    if not len(lon):
        return
    xy = sheet.base.project(lon, lat)
    sheet.axes.plot(
        xy[:, 0], xy[:, 1], marker, color=color, markersize=7, markeredgecolor="white", markeredgewidth=0.7,
        linestyle="none", zorder=19,
    )  # fmt: skip
    sheet.add_line(color, words, 0, marker=marker)


def _list_objectives(sheet: Sheet) -> list[str]:
    return list(dict.fromkeys(sheet.base.study.tables["approaches"]["objective"]))


def _place_objectives(sheet: Sheet) -> None:
    """Mark and name the objectives."""
    study = sheet.base.study
    rows = [study.find_row("places", key) for key in _list_objectives(sheet)]
    lon, lat = (np.array([row[word] for row in rows]) for word in ("lon", "lat"))
    _mark(sheet, lon, lat, "*", "#111111", "objective")
    xy = sheet.base.project(lon, lat)
    reserve_points(sheet.axes, sheet.space, xy, 4.5)
    sheet.place(
        [
            Label(row["name"], x, y, rank=float(row["population"]), size=8.0, weight="bold", leader=True)
            for row, (x, y) in zip(rows, xy, strict=True)
        ]
    )


def _name(answer: WatchAnswer, table: str, key: str) -> str:
    return str(answer.results.study.find_row(table, key)["name"])
