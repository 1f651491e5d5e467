"""The map of a joint line: national lines, seams, joint line and numbered joint points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import Bbox
from pyproj import Transformer

from abatis.barrier.joint_ground import Ground
from abatis.ground.hexgrid import build_hexgrid, label_points
from abatis.model.storage import write_whole
from abatis.show.labels import Label, LabelSpace, place_labels, reserve_points
from abatis.show.sheet import COLORS

if TYPE_CHECKING:
    from abatis.show.joint import JointAnswer

WIDTH_IN = 8.6
DPI = 150
MOST_HEIGHT_IN = 11.0
BELOW_IN = 1.9
ABOVE_IN = 0.4
PIXELS_ACROSS = 1100
MOST_TOWNS = 36
LANDS = ("#fbf9f3", "#eef1e4", "#f5ecdf", "#efe6f0", "#f3e9ee")
PROTECTED_SHADE = 0.93
JOINT, ALONE, SEAM = "#0b4f8a", "#4d4d4d", "#e0701b"


def write_joint_map(path: Path, answer: JointAnswer) -> None:
    """Draw the joint line, the lines alone, their seams and the joint points, and write the map as PNG.

    Raises
    ------
    InputError : when the file cannot be written.
    """
    from abatis.show.joint import list_joint_layers

    layers = list_joint_layers(answer)
    grounds = [one for one in answer.joint.grounds if one is not None]
    shapes = np.concatenate([frame.geometry.to_numpy() for frame in layers.values()])
    project = _choose_projection(grounds, shapes)
    extent = _choose_extent(grounds, shapes, project)
    figure, axes, canvas = _start_figure(extent)
    _paint_ground(axes, grounds, project, extent)
    for shape, color, width, style, order in _list_strokes(layers):
        for part in shapely.get_parts(shape):
            xy = _move(part, project)
            axes.plot(
                xy[:, 0], xy[:, 1], color=color, lw=width, ls=style, zorder=order, solid_capstyle="round"
            )
    _write_names(canvas, axes, answer, grounds, project)
    _draw_scale(axes, extent)
    _write_words(figure, answer, grounds)
    with write_whole(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _choose_projection(grounds: Sequence[Ground], shapes: np.ndarray) -> Transformer:
    west, south, east, north = shapely.total_bounds(shapes)
    for ground in grounds:
        lon, lat = ground.mesh.lon[ground.home], ground.mesh.lat[ground.home]
        west, east = min(west, lon.min()), max(east, lon.max())
        south, north = min(south, lat.min()), max(north, lat.max())
    local = (
        f"+proj=laea +lon_0={(west + east) / 2:.3f} +lat_0={(south + north) / 2:.3f} +datum=WGS84 +units=km"
    )
    return Transformer.from_crs("EPSG:4326", local, always_xy=True)


def _move(shape: shapely.Geometry, project: Transformer) -> np.ndarray:
    points = shapely.get_coordinates(shape)
    return np.column_stack(project.transform(points[:, 0], points[:, 1]))


def _choose_extent(
    grounds: Sequence[Ground], shapes: np.ndarray, project: Transformer
) -> tuple[float, float, float, float]:
    xy = [_move(shape, project) for shape in shapes]
    for ground in grounds:
        shown = ground.home | ground.hostile
        xy.append(np.column_stack(project.transform(ground.mesh.lon[shown], ground.mesh.lat[shown])))
    points = np.concatenate(xy)
    (west, south), (east, north) = points.min(axis=0), points.max(axis=0)
    margin = 0.02 * max(east - west, north - south) + 1.0
    return float(west - margin), float(east + margin), float(south - margin), float(north + margin)


def _start_figure(extent: tuple[float, float, float, float]) -> tuple[Figure, Axes, FigureCanvasAgg]:
    west, east, south, north = extent
    map_in = min(WIDTH_IN * (north - south) / (east - west), MOST_HEIGHT_IN)
    width = map_in * (east - west) / (north - south)
    height = map_in + BELOW_IN + ABOVE_IN
    figure = Figure(figsize=(max(width, 6.0), height), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    left = (1 - width / max(width, 6.0)) / 2
    axes = figure.add_axes(
        (left, BELOW_IN / height, 1 - 2 * left, map_in / height), xlim=(west, east), ylim=(south, north)
    )
    axes.set_facecolor(COLORS["outside"])
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#888888")
        spine.set_linewidth(0.6)
    return figure, axes, canvas


def _paint_ground(
    axes: Axes, grounds: Sequence[Ground], project: Transformer, extent: tuple[float, float, float, float]
) -> None:
    """Colour each pixel by country; protected ground is a little darker, hostile ground grey."""
    west, east, south, north = extent
    columns = PIXELS_ACROSS
    rows = max(1, round(columns * (north - south) / (east - west)))
    x = west + (np.arange(columns) + 0.5) * (east - west) / columns
    y = north - (np.arange(rows) + 0.5) * (north - south) / rows
    x, y = np.meshgrid(x, y)
    lon, lat = project.transform(x.ravel(), y.ravel(), direction="INVERSE")
    image = np.zeros((rows * columns, 4))
    for number, ground in enumerate(grounds):
        cell = label_points(build_hexgrid(np.asarray(ground.mesh.cells)), lon, lat)
        land = np.array([int(LANDS[number % len(LANDS)][place : place + 2], 16) for place in (1, 3, 5)]) / 255
        grey = np.array([int(COLORS["hostile"][place : place + 2], 16) for place in (1, 3, 5)]) / 255
        held = cell >= 0
        for mask, color in (
            (ground.hostile, grey * 0.93),
            (ground.home & ~ground.target, land),
            (ground.home & ground.target, land * PROTECTED_SHADE),
        ):
            pixels = held & mask[np.maximum(cell, 0)]
            image[pixels, :3], image[pixels, 3] = color, 1.0
    axes.imshow(
        image.reshape(rows, columns, 4), extent=extent, interpolation="nearest", zorder=1, aspect="auto"
    )


def _list_strokes(layers: dict) -> list[tuple[shapely.Geometry, str, float, Any, float]]:
    strokes: list[tuple[shapely.Geometry, str, float, Any, float]] = []
    for kind, shape in zip(layers["lines"]["line"], layers["lines"].geometry, strict=True):
        if kind == "joint":
            strokes.append((shape, "white", 4.2, "-", 9.0))
            strokes.append((shape, JOINT, 2.6, "-", 10.0))
        else:
            strokes.append((shape, ALONE, 1.1, (0, (3, 1.5)), 11.0))
    strokes += [(shape, SEAM, 3.4, "-", 8.0) for shape in layers["seams"].geometry]
    return strokes


def _write_names(
    canvas: FigureCanvasAgg, axes: Axes, answer: JointAnswer, grounds: Sequence[Ground], project: Transformer
) -> None:
    """Number the joint points, then name towns where there is room."""
    box = axes.get_window_extent()
    space = LabelSpace(Bbox.from_extents(box.x0 + 4, box.y0 + 4, box.x1 - 4, box.y1 - 4))
    points = answer.joint.points
    if points:
        x, y = project.transform([one.lon for one in points], [one.lat for one in points])
        axes.plot(x, y, "o", ms=12, mfc="white", mec=JOINT, mew=1.8, zorder=20, ls="none")
        for number, (east, north) in enumerate(zip(x, y, strict=True), start=1):
            axes.text(
                east, north, str(number), ha="center", va="center_baseline", fontsize=8, weight="bold",
                color=JOINT, zorder=21,
            )  # fmt: skip
        reserve_points(axes, space, np.column_stack([x, y]), 8.0)
    labels = []
    for ground in grounds:
        places = ground.study.tables["places"]
        places = places[places["country"].isin(ground.study.home) & places["kind"].isin(["city", "town"])]
        for _, row in places.iterrows():
            east, north = project.transform(row["lon"], row["lat"])
            labels.append(
                Label(row["name"], east, north, rank=float(row["population"]), size=7.0, dot_pt=1.4)
            )
    labels.sort(key=lambda one: -one.rank)
    place_labels(axes, canvas.get_renderer(), space, labels[:MOST_TOWNS])


def _draw_scale(axes: Axes, extent: tuple[float, float, float, float]) -> None:
    west, east, south, north = extent
    steps = (5, 10, 20, 50, 100, 200)
    length = max((one for one in steps if one <= 0.25 * (east - west)), default=steps[0])
    x, y = west + 0.03 * (east - west), south + 0.03 * (north - south)
    axes.plot([x, x + length], [y, y], color=COLORS["ink"], lw=2.0, zorder=30, solid_capstyle="butt")
    axes.text(x, y + 0.008 * (north - south), f"{length} km", fontsize=7.5, zorder=30)


def _write_words(figure: Figure, answer: JointAnswer, grounds: Sequence[Ground]) -> None:
    height = figure.get_figheight()
    names = ", ".join(one.key for one in answer.joint.territories)
    figure.text(0.012, 1 - 0.1 / height, f"The joint line of {names}", fontsize=12, weight="bold", va="top")
    if any(ground.study.schematic for ground in grounds):
        figure.text(
            0.988, 1 - 0.13 / height, "schematic", fontsize=8.5, va="top", ha="right", color="#555555"
        )
    handles = [
        Line2D([], [], color=JOINT, lw=2.6, label="joint line"),
        Line2D([], [], color=ALONE, lw=1.1, ls=(0, (3, 1.5)), label="line of one country alone"),
        Line2D([], [], color=SEAM, lw=3.4, label="seam: the lines alone leave the border open"),
        Line2D([], [], marker="o", ls="none", ms=8, mfc="white", mec=JOINT, mew=1.6, label="joint point"),
        Patch(fc="#eeece6", ec="#bbbbbb", lw=0.5, label="protected ground (darker)"),
        Patch(fc=COLORS["hostile"], ec="#bbbbbb", lw=0.5, label="hostile ground"),
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.006, (BELOW_IN - 0.05) / height), ncols=1,
        fontsize=7.8, frameon=False, borderaxespad=0.0, labelspacing=0.35,
    )  # fmt: skip
    rows = [
        f"{number}  {' - '.join(point.between)}: {point.lon:.3f} E, {point.lat:.3f} N"
        + (f", {point.place_km:.0f} km from {point.place}" if point.place else "")
        for number, point in enumerate(answer.joint.points, start=1)
    ]
    rows.append(
        f"joint line {answer.joint.joint_eur / 1e6:,.1f} M EUR, "
        f"saving {answer.joint.saving_eur / 1e6:,.1f} M EUR"
    )
    figure.text(
        0.47, (BELOW_IN - 0.08) / height, "\n".join(rows), fontsize=7.8, va="top", linespacing=1.5,
        color=COLORS["ink"],
    )  # fmt: skip
