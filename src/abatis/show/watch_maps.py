"""Map of the watch: cells seen, border seen, posts."""

from __future__ import annotations

import numpy as np
import shapely
from pyproj import Transformer

from abatis.show.basemap import BaseMap
from abatis.show.sheet import MapImage, Sheet
from abatis.show.watch import WatchResults

# Light to dark, in order for colour-blind readers and in grey print.
SEEN_COLORS = ("#c7e9b4", "#41b6c4", "#225ea8")
SEEN_WORDS = ("seen by one post", "seen by two", "seen by three or more")
BORDER_SEEN, BORDER_BLIND = "#1b7837", "#b2182b"
POST_LOOKS = (
    ("stands", "^", "#555555", "post that stands to the end"),
    ("renewed", "^", "#d55e00", "post renewed by the plan"),
    ("lost", "X", "#b2182b", "post lost: not renewed"),
    ("new", "^", "#0b0b0b", "new post"),
)


def draw_watch_map(results: WatchResults, base: BaseMap) -> MapImage:
    """Draw what is seen with the plan: cells by number of posts, border kilometre by kilometre, posts."""
    sheet = Sheet(base, "What the posts see with the plan", f"target: {results.settings.target}")
    seen_by = results.plan.planned.seen_by
    sheet.draw_land()
    classes = np.where(seen_by > 0, np.minimum(seen_by, 3) - 1, -1)
    sheet.draw_cells(classes, SEEN_COLORS)
    for index, words in enumerate(SEEN_WORDS):
        if (classes == index).any():
            sheet.add_patch(SEEN_COLORS[index], words)
    sheet.draw_water()
    sheet.draw_borders()
    draw_border_seen(sheet, results)
    draw_posts(sheet, results)
    sheet.place_towns()
    share = results.catalogue.terms["seen_share"].value
    return sheet.finish(
        "watch",
        f"Hexagons of which at least {share:.0%} of the land is seen by "
        "a post at the end of the programme, and the border with hostile ground kilometre by kilometre. "
        "Sensors are ranges and sight lines; weather and false alarms are not on the map.",
    )


def draw_border_seen(sheet: Sheet, results: WatchResults) -> None:
    """Pieces of border in two colours; they are drawn on the map's own projection."""
    pieces = results.pieces
    to_degrees = Transformer.from_crs(results.ground.grid.crs, "EPSG:4326", always_xy=True)

    def project(xy: np.ndarray) -> np.ndarray:
        return sheet.base.project(*to_degrees.transform(xy[:, 0], xy[:, 1]))

    lines = np.array([shapely.transform(line, project) for line in pieces.shapes], dtype=object)
    seen = results.plan.planned.border_by >= results.plan.times
    for shown, color, words in ((~seen, BORDER_BLIND, "border not seen"), (seen, BORDER_SEEN, "border seen")):
        if shown.any():
            sheet.draw_lines(lines[shown], color, 2.2, zorder=11)
            sheet.add_line(color, words, 2.2)


def draw_posts(sheet: Sheet, results: WatchResults) -> None:
    """Mark posts by what becomes of them."""
    from abatis.show.watch_tables import list_states

    states = np.array(list_states(results), dtype=object)
    places = results.places
    for state, marker, color, words in POST_LOOKS:
        rows = results.options.place[states == state]
        if not len(rows):
            continue
        xy = sheet.base.project(places.lon[rows], places.lat[rows])
        sheet.axes.plot(
            xy[:, 0], xy[:, 1], marker, color=color, markersize=5.5, markeredgecolor="white",
            markeredgewidth=0.5, linestyle="none", zorder=18,
        )  # fmt: skip
        sheet.add_line(color, words, 0, marker=marker)
