"""Placing labels on a map so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.transforms import Bbox

WHITE_HALO = (patheffects.withStroke(linewidth=2.4, foreground="white", alpha=0.9),)
_ANGLES = (0.0, 45.0, -45.0, 180.0, 135.0, -135.0, 90.0, -90.0)


@dataclass(frozen=True)
class Label:
    """One wanted label: text at a point in axes data units; higher `rank` is placed first.

    With `dot_pt` (radius in points) a dot is drawn with the label, and only with it; `over` lets that dot lie
    on ground that is taken.
    """

    text: str
    x: float
    y: float
    rank: float
    size: float = 8.0
    color: str = "#222222"
    weight: str = "normal"
    leader: bool = False
    box: str = ""
    dot_pt: float = 0.0
    over: bool = False


class LabelSpace:
    """The pixels of a map that are taken: marker, label, legend and scale-bar boxes, in display units.

    Parameters
    ----------
    frame : the box that all labels have to lie in.
    """

    def __init__(self, frame: Bbox) -> None:
        self.frame = frame
        self._taken = np.empty((64, 4))
        self._count = 0

    def take(self, box: Bbox) -> None:
        """Keep labels off a box from now on."""
        if self._count == len(self._taken):
            self._taken = np.concatenate([self._taken, np.empty_like(self._taken)])
        self._taken[self._count] = box.extents
        self._count += 1

    def is_free(self, box: Bbox) -> bool:
        """True when a box lies in the frame and touches no taken box."""
        x0, y0, x1, y1 = box.extents
        frame = self.frame
        if x0 < frame.x0 or x1 > frame.x1 or y0 < frame.y0 or y1 > frame.y1:
            return False
        taken = self._taken[: self._count]
        hit = (taken[:, 0] < x1) & (x0 < taken[:, 2]) & (taken[:, 1] < y1) & (y0 < taken[:, 3])
        return not hit.any()


def reserve_points(axes: Axes, space: LabelSpace, xy: np.ndarray, radius_pt: float) -> None:
    """Keep labels off point markers; `xy` float64[M, 2] in data units, `radius_pt` in points."""
    if len(xy) == 0:
        return
    radius = radius_pt * axes.figure.dpi / 72.0
    for x, y in axes.transData.transform(xy):
        if not space.frame.contains(x, y):
            continue
        space.take(Bbox.from_bounds(x - radius, y - radius, 2 * radius, 2 * radius))


def place_labels(
    axes: Axes, renderer: RendererAgg, space: LabelSpace, labels: Sequence[Label]
) -> list[tuple[str, Bbox]]:
    """Draw as many labels as fit; returns text and box (display units) of those drawn.

    In words: from the highest rank down, each label tries eight places around its point, then (with `leader`)
    eight places on each of growing circles with a thin line to the point; the first free place is taken; a
    label without a free place is left out.
    """
    scale = axes.figure.dpi / 72.0
    placed = []
    dots: list[Label] = []
    inside = [
        label for label in labels if space.frame.contains(*axes.transData.transform((label.x, label.y)))
    ]
    for label in sorted(inside, key=lambda one: (-one.rank, one.text, one.x)):
        artist = axes.text(
            label.x,
            label.y,
            label.text,
            fontsize=label.size,
            color=label.color,
            weight=label.weight,
            ha="left",
            va="bottom",
            zorder=30,
            path_effects=None if label.box else WHITE_HALO,
            bbox={"boxstyle": "round,pad=0.15", "fc": label.box, "ec": "none"} if label.box else None,
        )
        artist.update_bbox_position_size(renderer)
        patch = artist.get_bbox_patch()
        extent = patch.get_window_extent(renderer) if patch else artist.get_window_extent(renderer)
        anchor = axes.transData.transform((label.x, label.y))
        dot = _dot_box(anchor, label.dot_pt * scale)
        spot = None
        if not label.dot_pt or label.over or space.is_free(dot):
            spot = _find_spot(space, anchor, extent.width, extent.height, scale, label.leader)
        if spot is None:
            artist.remove()
            continue
        shift = np.array([spot.x0 - extent.x0, spot.y0 - extent.y0])
        where = axes.transData.inverted().transform(anchor + shift)
        artist.set_position((where[0], where[1]))
        if label.dot_pt:
            space.take(dot)
            dots.append(label)
        if label.leader:
            _draw_leader(axes, anchor, spot, scale, label.box or label.color)
        space.take(spot)
        placed.append((label.text, spot))
    _draw_dots(axes, dots)
    return placed


def _draw_dots(axes: Axes, labels: Sequence[Label]) -> None:
    for color, radius in dict.fromkeys((label.color, label.dot_pt) for label in labels):
        points = [(one.x, one.y) for one in labels if (one.color, one.dot_pt) == (color, radius)]
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            "o",
            markersize=2 * radius,
            color=color,
            markeredgecolor="white",
            markeredgewidth=0.5,
            zorder=28,
        )


def _dot_box(anchor: np.ndarray, radius: float) -> Bbox:
    return Bbox.from_bounds(anchor[0] - radius, anchor[1] - radius, 2 * radius, 2 * radius)


def _find_spot(
    space: LabelSpace, anchor: np.ndarray, width: float, height: float, scale: float, leader: bool
) -> Bbox | None:
    distances = (4.0, 7.0, 14.0, 22.0, 32.0, 44.0) if leader else (4.0, 7.0)
    for distance in distances:
        for angle in _ANGLES:
            ux, uy = np.cos(np.radians(angle)), np.sin(np.radians(angle))
            center_x = anchor[0] + ux * (distance * scale + width / 2)
            center_y = anchor[1] + uy * (distance * scale + height / 2)
            box = Bbox.from_bounds(center_x - width / 2, center_y - height / 2, width, height)
            if space.is_free(box):
                return box
    return None


def _draw_leader(axes: Axes, anchor: np.ndarray, spot: Bbox, scale: float, color: str) -> None:
    end = np.array([np.clip(anchor[0], spot.x0, spot.x1), np.clip(anchor[1], spot.y0, spot.y1)])
    if np.hypot(*(end - anchor)) < 8.0 * scale:
        return
    data = axes.transData.inverted().transform(np.array([anchor, end]))
    axes.plot(data[:, 0], data[:, 1], color=color, linewidth=0.5, zorder=29)
