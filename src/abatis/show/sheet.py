"""One map sheet: land, water, borders, towns, labels, scale bar, legend and source note."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path as MplPath
from matplotlib.transforms import Bbox
from PIL import Image
from shapely.geometry.polygon import orient

from abatis.model.study import Study
from abatis.show.basemap import BaseMap
from abatis.show.labels import WHITE_HALO, Label, LabelSpace, place_labels

LineStyle = Literal["solid"] | tuple[float, tuple[float, float]]
WIDTH_IN = 8.6
DPI = 150
BELOW_IN = 2.6
ABOVE_IN = 0.36
COLORS = {
    "outside": "#e6eef4",
    "home": "#fbf9f3",
    "neighbor": "#ebe7de",
    "hostile": "#e3dcd3",
    "water": "#a9cbe1",
    "river": "#84b4d3",
    "forest": "#dce8d0",
    "road": "#c2a178",
    "border": "#5b5b5b",
    "ink": "#222222",
}


@dataclass(frozen=True)
class MapImage:
    """One finished map: PNG bytes, words about it, and what a test needs to look at it.

    `labels` are (text, (x0, y0, x1, y1)) in pixels from the lower left corner; `legend` its entries.
    """

    key: str
    title: str
    caption: str
    png: bytes
    width_px: int
    height_px: int
    labels: tuple[tuple[str, tuple[float, float, float, float]], ...]
    legend: tuple[str, ...]


class Sheet:
    """One map being drawn on the base map: axes, taken label space and legend entries."""

    def __init__(self, base: BaseMap, title: str, subtitle: str = "") -> None:
        self.base = base
        self.title = title
        self.handles: list[Patch | Line2D] = []
        self.placed: list[tuple[str, Bbox]] = []
        west, east, south, north = base.extent_km
        map_in = WIDTH_IN * (north - south) / (east - west)
        height = map_in + BELOW_IN + ABOVE_IN
        self.figure = Figure(figsize=(WIDTH_IN, height), dpi=DPI)
        self.renderer = FigureCanvasAgg(self.figure).get_renderer()
        self.axes: Axes = self.figure.add_axes(
            (0.0, BELOW_IN / height, 1.0, map_in / height), xlim=(west, east), ylim=(south, north)
        )
        self.axes.set_aspect("equal")
        self.axes.set_xticks([])
        self.axes.set_yticks([])
        for spine in self.axes.spines.values():
            spine.set_color("#888888")
            spine.set_linewidth(0.6)
        self.figure.text(
            0.006, 1 - 0.09 / height, title, fontsize=12, weight="bold", va="top", color=COLORS["ink"]
        )
        self.figure.text(
            0.994, 1 - 0.12 / height, subtitle, fontsize=8.5, va="top", ha="right", color="#555555"
        )
        box = self.axes.get_window_extent()
        self.space = LabelSpace(Bbox.from_extents(box.x0 + 4, box.y0 + 4, box.x1 - 4, box.y1 - 4))
        self.axes.set_facecolor(COLORS["outside"])
        self._draw_corner_items()

    def _draw_corner_items(self) -> None:
        west, east, south, north = self.base.extent_km
        width, height = east - west, north - south
        length = _nice_length(width * 0.2)
        x, y = west + 0.03 * width, south + 0.035 * height
        half = length / 2
        for index, color in enumerate(("#222222", "white")):
            self.axes.add_artist(
                Rectangle(
                    (x + index * half, y), half, 0.007 * height, fc=color, ec="#222222", lw=0.6, zorder=31
                )
            )
        text = self.axes.text(
            x,
            y + 0.012 * height,
            f"{length:g} km",
            fontsize=8,
            zorder=31,
            va="bottom",
            path_effects=WHITE_HALO,
        )
        text_box = text.get_window_extent(self.renderer)
        bar = self.axes.transData.transform([(x, y), (x + length, y + 0.007 * height)])
        self.space.take(
            Bbox.from_extents(bar[0][0] - 6, bar[0][1] - 6, max(bar[1][0], text_box.x1) + 6, text_box.y1 + 6)
        )
        if self.base.study.schematic:
            note = self.axes.text(
                0.012,
                0.985,
                "schematic: geography drawn by hand",
                transform=self.axes.transAxes,
                fontsize=8,
                va="top",
                style="italic",
                zorder=31,
                color="#7a2b00",
                bbox={"boxstyle": "round,pad=0.3", "fc": "white", "ec": "#c98d6a", "lw": 0.6},
            )
            note.update_bbox_position_size(self.renderer)
            patch = note.get_bbox_patch()
            assert patch is not None
            self.space.take(patch.get_window_extent(self.renderer).padded(4))

    def draw_land(self, forest: bool = True, named: Sequence[str] = ("home", "neighbor", "hostile")) -> None:
        """Fill land by kind of country, with forests; the kinds `named` enter the legend."""
        study = self.base.study
        names = {
            "home": "home country",
            "hostile": "neighbour where movement starts",
            "neighbor": "other neighbour",
        }
        seen = set()
        for code, shape in self.base.lands:
            kind = "home" if code in study.home else "hostile" if code in study.hostile else "neighbor"
            seen.add(kind)
            self.fill([shape], COLORS[kind], zorder=1)
        for kind in ("home", "neighbor", "hostile"):
            if kind in seen and kind in named:
                self.add_patch(COLORS[kind], names[kind])
        self.add_patch(COLORS["outside"], "sea or outside the study")
        if forest and len(self.base.layers["forest"]):
            self.fill(self.base.layers["forest"], COLORS["forest"], zorder=2)
            self.add_patch(COLORS["forest"], "forest")

    def draw_water(self) -> None:
        """Draw lakes and rivers above the theme."""
        if len(self.base.layers["water"]):
            self.fill(self.base.layers["water"], COLORS["water"], zorder=6)
            self.add_patch(COLORS["water"], "lake")
        rivers = self.base.layers["rivers"]
        if len(rivers):
            self.draw_lines(rivers, COLORS["river"], 0.7, zorder=6)
            self.add_line(COLORS["river"], "river", 1.0)

    def draw_roads(self) -> None:
        """Draw motorways and main roads thinly."""
        roads = self.base.layers["roads"]
        main = np.isin(self.base.classes["roads"], ["motorway", "main"])
        if main.any():
            self.draw_lines(roads[main], COLORS["road"], 0.8, zorder=7)
            self.add_line(COLORS["road"], "main road", 1.2)

    def draw_borders(self) -> None:
        """Draw the home country's outline strongly and the borders between others thinly."""
        home = [shapely.boundary(shape) for code, shape in self.base.lands if code in self.base.study.home]
        self.draw_lines(self.base.borders, COLORS["border"], 0.6, zorder=8)
        self.draw_lines(home, COLORS["border"], 1.2, zorder=9)
        if home:
            self.add_line(COLORS["border"], "border", 1.2)

    def draw_cells(self, class_of_cell: np.ndarray, colors: Sequence[str]) -> None:
        """Colour cells by class; `class_of_cell` int[N], -1 leaves a cell clear."""
        palette = np.array([_rgba(color) for color in colors] + [(0, 0, 0, 0)], dtype=np.uint8)
        cells = self.base.pixel_cell
        classes = np.where(cells >= 0, class_of_cell[np.maximum(cells, 0)], -1)
        self.axes.imshow(
            palette[classes], extent=self.base.extent_km, zorder=4, interpolation="nearest", aspect="equal"
        )

    def _touches(self, shape: shapely.Geometry) -> bool:
        west, south, east, north = shapely.bounds(shape)
        frame = self.base.extent_km
        return bool(west < frame[1] and east > frame[0] and south < frame[3] and north > frame[2])

    def fill(self, shapes: Iterable[shapely.Geometry], color: str, zorder: float) -> None:
        """Fill polygons."""
        path = _path_of(shape for shape in shapes if self._touches(shape))
        if path is not None:
            self.axes.add_artist(PathPatch(path, fc=color, ec="none", lw=0, zorder=zorder))

    def draw_lines(
        self,
        shapes: Iterable[shapely.Geometry],
        color: str,
        width: float,
        zorder: float,
        style: str = "solid",
    ) -> None:
        """Draw lines or outlines."""
        parts = [
            shapely.get_coordinates(part)
            for shape in shapes
            if self._touches(shape)
            for part in shapely.get_parts(shape)
            if part.geom_type in ("LineString", "LinearRing") and not part.is_empty
        ]
        self.axes.add_collection(
            LineCollection(
                parts,
                colors=color,
                linewidths=width,
                linestyles=style,
                zorder=zorder,
                capstyle="round" if style == "solid" else "butt",
            ),
            autolim=False,
        )

    def draw_segments(
        self, segments: np.ndarray, color: str, width: float, zorder: float, style: LineStyle = "solid"
    ) -> None:
        """Draw float64[M, 2, 2] segments in kilometres."""
        if len(segments):
            self.axes.add_collection(
                LineCollection(
                    list(segments),
                    colors=color,
                    linewidths=width,
                    linestyles=style,
                    zorder=zorder,
                    capstyle="round" if style == "solid" else "butt",
                ),
                autolim=False,
            )

    def add_patch(self, color: str, text: str) -> None:
        """Add an area to the legend."""
        self.handles.append(Patch(fc=color, ec="#999999", lw=0.5, label=text))

    def add_line(
        self,
        color: str,
        text: str,
        width: float,
        style: LineStyle = "solid",
        marker: str = "",
        fill: str = "",
    ) -> None:
        """Add a line or marker to the legend."""
        self.handles.append(
            Line2D(
                [],
                [],
                color=color,
                lw=width,
                linestyle="none" if marker else style,
                marker=marker or None,
                markersize=6,
                markerfacecolor=fill or color,
                label=text,
            )
        )

    def place(self, labels: Sequence[Label]) -> None:
        """Place labels in what space is left."""
        self.placed += place_labels(self.axes, self.renderer, self.space, labels)

    def place_towns(self, size: float = 7.5, named: Sequence[str] = ()) -> None:
        """Place towns, the largest first; places `named` have their label already."""
        places = self.base.study.tables["places"]
        towns = places[places["kind"].isin(["city", "town", "village"]) & ~places["place"].isin(named)]
        if towns.empty:
            return
        xy = self.base.project(towns["lon"].to_numpy(), towns["lat"].to_numpy())
        labels = []
        columns = towns[["name", "kind", "population", "country"]]
        for (name, kind, population, country), (x, y) in zip(
            columns.itertuples(index=False, name=None), xy, strict=True
        ):
            big = kind == "city" or population >= 50_000
            home = country in self.base.study.home
            labels.append(
                Label(
                    text=name,
                    x=x,
                    y=y,
                    rank=population * (1.0 if home else 0.2),
                    size=size + 1.0 if big else size - 1.0,
                    weight="bold" if big and home else "normal",
                    color=COLORS["ink"] if home else "#666666",
                    dot_pt=2.0 if big else 1.2,
                )
            )
        self.place(labels)

    def finish(self, key: str, caption: str) -> MapImage:
        """Add legend and source note, cut what is empty below and return the finished image."""
        bottom = self._draw_legend()
        height = self.figure.get_figheight()
        cut_in = bottom / DPI - 0.34
        self.figure.text(
            0.008,
            (cut_in + 0.05) / height,
            describe_sources(self.base.study),
            fontsize=6.3,
            color="#555555",
            va="bottom",
        )
        png, size = _encode_png(self.figure, cut_in)
        cut_px = round(cut_in * DPI)
        return MapImage(
            key=key,
            title=self.title,
            caption=caption,
            png=png,
            width_px=size[0],
            height_px=size[1],
            labels=tuple(
                (text, (box.x0, box.y0 - cut_px, box.x1, box.y1 - cut_px)) for text, box in self.placed
            ),
            legend=tuple(str(handle.get_label()) for handle in self.handles),
        )

    def _draw_legend(self) -> float:
        """Draw the legend in as many columns as fit; returns its lower end in pixels."""
        height = self.figure.get_figheight()
        for columns in (5, 4, 3, 2, 1):
            legend = self.figure.legend(
                handles=self.handles,
                loc="upper left",
                bbox_to_anchor=(0.0, (BELOW_IN - 0.02) / height),
                ncols=columns,
                fontsize=7.8,
                frameon=False,
                handlelength=1.8,
                columnspacing=1.4,
                labelspacing=0.35,
            )
            box = legend.get_window_extent(self.renderer)
            if box.x1 <= self.figure.bbox.x1 - 4 or columns == 1:
                break
            legend.remove()
        return float(box.y0)


def describe_sources(study: Study) -> str:
    """Return the source note of a map: who made the layers, under which licence."""
    makers = dict.fromkeys(
        f"{row['source']} ({row['licence']})" for _, row in study.sources.iterrows() if row["source"]
    )
    shown: list[str] = []
    for maker in makers:
        if len("; ".join([*shown, maker])) > 150:
            shown.append("others: see the report")
            break
        shown.append(maker)
    return f"Sources: {'; '.join(shown)}. Local equal-area projection. Made with abatis."


def _nice_length(limit: float) -> float:
    return max((step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if step <= limit), default=1)


def _rgba(color: str) -> tuple[int, int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16), 255


def _path_of(shapes: Iterable[shapely.Geometry]) -> MplPath | None:
    paths = []
    for shape in shapes:
        for part in shapely.get_parts(shape):
            if part.geom_type != "Polygon" or part.is_empty:
                continue
            turned = orient(part)  # holes wind the other way round, else they would be filled
            for ring in (turned.exterior, *turned.interiors):
                xy = shapely.get_coordinates(ring)
                codes = np.full(len(xy), MplPath.LINETO, dtype=np.uint8)
                codes[0], codes[-1] = MplPath.MOVETO, MplPath.CLOSEPOLY
                paths.append(MplPath(xy, codes))
    return MplPath.make_compound_path(*paths) if paths else None


def _encode_png(figure: Figure, cut_in: float) -> tuple[bytes, tuple[int, int]]:
    """Draw the figure without its lowest `cut_in` inches, in at most 256 colours."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    image = Image.fromarray(np.ascontiguousarray(pixels[: len(pixels) - round(cut_in * DPI)]))
    small = io.BytesIO()
    _reduce_colors(image).save(small, format="PNG", optimize=True)
    return small.getvalue(), image.size


def _reduce_colors(image: Image.Image) -> Image.Image:
    """Return the image in 256 colours: the 176 most frequent as they are, so that legends stay true."""
    pixels = np.asarray(image).astype(np.uint32)
    packed = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
    colors, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
    exact = np.argsort(-counts.astype(np.int64), kind="stable")[:176]
    rank = np.full(len(colors), -1)
    rank[exact] = np.arange(len(exact))
    index = rank[inverse].reshape(packed.shape)
    rest = image.quantize(colors=80, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    merged = Image.fromarray(np.where(index >= 0, index, len(exact) + np.asarray(rest)).astype(np.uint8), "P")
    channels = np.column_stack([colors[exact] >> 16, (colors[exact] >> 8) & 255, colors[exact] & 255])
    merged.putpalette(channels.ravel().tolist() + (rest.getpalette() or [])[: 3 * 80])
    return merged
