"""One map sheet: land, water, borders, towns, labels, scale bar, legend and source note."""

from __future__ import annotations

import io
import textwrap
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

from abatis.ground.layers import DEFAULT_ROAD
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS
from abatis.show.basemap import BaseMap
from abatis.show.labels import WHITE_HALO, Label, LabelSpace, place_labels

LineStyle = Literal["solid"] | tuple[float, tuple[float, float]]
WIDTH_IN = 8.6
DPI = 150
BELOW_IN = 2.9
ABOVE_IN = 0.36
MOST_TOWNS = 60
EXACT_COLORS = 96
MOST_NOTE = 330
COLORS = {
    "outside": "#e6eef4",
    "home": "#fbf9f3",
    "neighbor": "#ebe7de",
    "hostile": "#e3dcd3",
    "water": "#a9cbe1",
    "river": "#84b4d3",
    "forest": "#dce8d0",
    "border": "#5b5b5b",
    "ink": "#222222",
}
# colour, legend, width in points, classes, widest map in km on which they are drawn; drawn in this order
ROAD_LOOKS = (
    ("#dccdb6", "track", 0.4, ("track",), 40.0),
    ("#d3bd9d", "local road", 0.5, ("local",), 120.0),
    ("#c9ad86", "regional road", 0.6, ("regional",), 250.0),
    ("#bd9a6f", "main road", 1.0, ("motorway", "main"), np.inf),
)


@dataclass(frozen=True)
class MapImage:
    """One finished map: PNG bytes, words about it, and what a test needs to look at it.

    `labels` are (text, (x0, y0, x1, y1)) in pixels from the lower left corner; `legend` its entries;
    `note` the source note, like a label.
    """

    key: str
    title: str
    caption: str
    png: bytes
    width_px: int
    height_px: int
    labels: tuple[tuple[str, tuple[float, float, float, float]], ...]
    legend: tuple[str, ...]
    note: tuple[str, tuple[float, float, float, float]]


class Sheet:
    """One map being drawn on the base map: axes, taken label space and legend entries."""

    def __init__(self, base: BaseMap, title: str, subtitle: str = "") -> None:
        self.base = base
        self.title = title
        self.handles: list[Patch | Line2D] = []
        self.placed: list[tuple[str, Bbox]] = []
        west, east, south, north = base.extent_km
        self.frame = shapely.box(west, south, east, north)
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
                "schematic: shows the method, not the ground",
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
            if self.shows([shape]):
                seen.add(kind)
            self.fill([shape], COLORS[kind], zorder=1)
        for kind in ("home", "neighbor", "hostile"):
            if kind in seen and kind in named:
                self.add_patch(COLORS[kind], names[kind])
        if not shapely.contains(shapely.unary_union([shape for _, shape in self.base.lands]), self.frame):
            self.add_patch(COLORS["outside"], "sea or outside the study")
        if forest and self.shows(self.base.layers["forest"]):
            self.fill(self.base.layers["forest"], COLORS["forest"], zorder=2)
            self.add_patch(COLORS["forest"], "forest")

    def draw_water(self) -> None:
        """Draw water and rivers above the theme; without a layer of water, cells that water covers most."""
        if not len(self.base.layers["water"]):
            cells = np.argmax(self.base.mesh.cover, axis=1) == COVER_WORDS.index("water")
            if cells.any():
                self.draw_cells(np.where(cells, 0, -1), [COLORS["water"]])
                self.add_patch(COLORS["water"], "water")
        if self.shows(self.base.layers["water"]):
            self.fill(self.base.layers["water"], COLORS["water"], zorder=6)
            self.add_patch(COLORS["water"], "water")
        rivers = self.base.layers["rivers"]
        if self.shows(rivers):
            self.draw_lines(rivers, COLORS["river"], 0.7, zorder=6)
            self.add_line(COLORS["river"], "river", 1.0)

    def draw_roads(self) -> None:
        """Draw motorways and main roads; lesser roads too, more thinly, where the map has room for them.

        In words: a road without a class is drawn as the class that the mesh takes it for.
        """
        roads, words = self.base.layers["roads"], self.base.classes["roads"]
        words = np.where(words == "", DEFAULT_ROAD, words)
        west, east, _, _ = self.base.extent_km
        for color, text, width, members, widest_km in ROAD_LOOKS:
            shown = np.isin(words, members)
            if east - west <= widest_km and self.shows(roads[shown]):
                self.draw_lines(roads[shown], color, width, zorder=7)
                self.add_line(color, text, width + 0.4)

    def draw_borders(self) -> None:
        """Draw the lines where two countries meet, those of home strongly."""
        self.draw_lines(self.base.borders, COLORS["border"], 0.6, zorder=8)
        self.draw_lines(self.base.home_borders, COLORS["border"], 1.3, zorder=9)
        if self.shows([*self.base.home_borders, *self.base.borders]):
            self.add_line(COLORS["border"], "border", 1.3)

    def draw_cells(self, class_of_cell: np.ndarray, colors: Sequence[str]) -> None:
        """Colour cells by class; `class_of_cell` int[N], -1 leaves a cell clear."""
        palette = np.array([_rgba(color) for color in colors] + [(0, 0, 0, 0)], dtype=np.uint8)
        cells = self.base.pixel_cell
        classes = np.where(cells >= 0, class_of_cell[np.maximum(cells, 0)], -1)
        self.axes.imshow(
            palette[classes], extent=self.base.extent_km, zorder=4, interpolation="nearest", aspect="equal"
        )

    def shows(self, shapes: Sequence[shapely.Geometry] | np.ndarray) -> bool:
        """True when any of the shapes lies on this map."""
        return bool(np.any(shapely.intersects(np.asarray(shapes, dtype=object), self.frame)))

    def shows_segments(self, segments: np.ndarray) -> bool:
        """True when the middle of any of float64[M, 2, 2] segments lies on this map."""
        west, east, south, north = self.base.extent_km
        x, y = segments.mean(axis=1).T
        return bool(np.any((west < x) & (x < east) & (south < y) & (y < north)))

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
        """Add an area to the legend, once."""
        if any(handle.get_label() == text for handle in self.handles):
            return
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
        """Place towns, the largest first and no more than read well; places `named` have a label already."""
        places = self.base.study.tables["places"]
        towns = places[places["kind"].isin(["city", "town", "village"]) & ~places["place"].isin(named)]
        if towns.empty:
            return
        xy = self.base.project(towns["lon"].to_numpy(), towns["lat"].to_numpy())
        inside = [self.space.frame.contains(*self.axes.transData.transform(point)) for point in xy]
        towns, xy = towns[inside], xy[inside]
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
                    leader=big and home,
                    over=big and home,
                )
            )
        labels.sort(key=lambda label: -label.rank)
        self.place(labels[:MOST_TOWNS])

    def finish(self, key: str, caption: str) -> MapImage:
        """Add legend and source note, cut what is empty below and return the finished image."""
        note, note_box = self._draw_note(self._draw_legend())
        cut_in = max(note_box.y0 / DPI - 0.05, 0.0)
        png, size = _encode_png(self.figure, cut_in)
        cut_px = round(cut_in * DPI)
        return MapImage(
            key=key,
            title=self.title,
            caption=caption,
            png=png,
            width_px=size[0],
            height_px=size[1],
            labels=tuple((text, _move_box(box, cut_px)) for text, box in self.placed),
            legend=tuple(str(handle.get_label()) for handle in self.handles),
            note=(note, _move_box(note_box, cut_px)),
        )

    def _draw_note(self, top: float) -> tuple[str, Bbox]:
        """Write the source note under the legend, in lines of like length; returns it and its box."""
        height, width = self.figure.get_figheight(), self.figure.bbox.width
        words = describe_sources(self.base.study)
        for letters in (190, 175, 160, 145, 130, 100, 70):
            lines = len(textwrap.wrap(words, letters))
            even = min(one for one in range(30, letters + 1) if len(textwrap.wrap(words, one)) == lines)
            note = self.figure.text(
                0.008,
                (top / DPI - 0.06) / height,
                textwrap.fill(words, even),
                fontsize=6.3,
                color="#555555",
                va="top",
                linespacing=1.25,
            )
            box = note.get_window_extent(self.renderer)
            if box.x1 <= width - 6:
                break
            note.remove()
        return note.get_text(), box

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
    makers: dict[str, list[str]] = {}
    for _, row in study.sources.iterrows():
        if row["source"] and row["source"] not in makers.setdefault(row["licence"], []):
            makers[row["licence"]].append(row["source"])
    shown: list[str] = []
    for licence, names in makers.items():
        maker = f"{'; '.join(names)} [{licence or 'no licence named'}]"
        if shown and len("; ".join([*shown, maker])) > MOST_NOTE:
            shown.append("others: see the report")
            break
        shown.append(maker)
    return f"Sources: {'; '.join(shown)}. Local equal-area projection. Made with abatis."


def _move_box(box: Bbox, down_px: float) -> tuple[float, float, float, float]:
    return float(box.x0), float(box.y0) - down_px, float(box.x1), float(box.y1) - down_px


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
    reduce_colors(image).save(small, format="PNG", compress_level=7)
    return small.getvalue(), image.size


def reduce_colors(image: Image.Image) -> Image.Image:
    """Return the image in 256 colours: the most frequent as they are, so that maps and legends stay true.

    In words: the rare colours, most of them soft rims of lines and letters, are cut into boxes by their
    spread and not by how often they occur; so a thin line keeps its hue however short it is.
    """
    pixels = np.asarray(image).astype(np.uint32)
    packed = ((pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]).ravel()
    colors, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    exact, rare = order[:EXACT_COLORS], order[EXACT_COLORS:]
    channels = np.column_stack([colors >> 16, (colors >> 8) & 255, colors & 255]).astype(np.uint8)
    index = np.empty(len(colors), dtype=np.uint8)
    index[exact] = np.arange(len(exact))
    palette = channels[exact].ravel().tolist()
    if len(rare):
        rest = Image.fromarray(channels[rare][None]).quantize(
            colors=256 - EXACT_COLORS, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE
        )
        index[rare] = len(exact) + np.asarray(rest)[0]
        palette += (rest.getpalette() or [])[: 3 * (256 - EXACT_COLORS)]
    reduced = Image.fromarray(index[inverse].reshape(pixels.shape[:2]), "P")
    reduced.putpalette(palette)
    return reduced
