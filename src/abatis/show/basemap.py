"""Base map: projection, land, sea, water, forests, roads, borders, towns, scale bar and legend."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
from pyproj import Transformer
from shapely.geometry.polygon import orient

from abatis.ground.hexgrid import HexGrid, build_hexgrid, find_corners, label_points
from abatis.ground.sources import Area, Findings
from abatis.ground.sources.vectors import read_vector_layer
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.show.labels import Label, LabelSpace, place_labels

WIDTH_IN = 8.6
DPI = 150
PIXELS_ACROSS = 1200
MARGIN_SHARE = 0.05
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


@dataclass(frozen=True)
class BaseMap:
    """What all maps of one study share; coordinates are kilometres on a local equal-area projection.

    `extent_km` (west, east, south, north); `pixel_cell` int32[rows, columns] row of the cell under each pixel,
    -1 outside; `corner_km` float64[C, 2] and `cell_corner` int32[N, 6] as in ground/hexgrid;
    `edge_km` float64[E, 2, 2] ends of every edge.
    """

    study: Study
    mesh: Mesh
    grid: HexGrid
    transformer: Transformer
    extent_km: tuple[float, float, float, float]
    pixel_cell: np.ndarray
    edge_km: np.ndarray
    lands: tuple[tuple[str, np.ndarray], ...]
    layers: dict[str, np.ndarray]
    classes: dict[str, np.ndarray]

    def project(self, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """Return float64[M, 2] kilometres east and north of the map's centre."""
        east, north = self.transformer.transform(lon, lat)
        return np.column_stack([np.atleast_1d(east), np.atleast_1d(north)]) / 1000.0


def prepare_base_map(study: Study, mesh: Mesh) -> BaseMap:
    """Prepare what all maps share: projection, pixels, edges and background layers.

    Parameters
    ----------
    study, mesh : the study and its mesh.

    In words: a Lambert azimuthal equal-area projection is laid at the middle of the home country, so that a
    kilometre is the same in all directions within a per mille on a country's width; every pixel learns once which
    cell it lies in.
    """
    home = mesh.mask_countries(study.home)
    inside = home if home.any() else np.ones(mesh.cell_count, dtype=bool)
    center = (
        float(mesh.lon[inside].min() + mesh.lon[inside].max()) / 2,
        float(mesh.lat[inside].min() + mesh.lat[inside].max()) / 2,
    )
    local = f"+proj=laea +lon_0={center[0]:.4f} +lat_0={center[1]:.4f} +datum=WGS84 +units=m"
    transformer = Transformer.from_crs("EPSG:4326", local, always_xy=True)
    grid = build_hexgrid(np.asarray(mesh.cells))
    east, north = transformer.transform(mesh.lon[inside], mesh.lat[inside])
    extent = _choose_extent(np.asarray(east) / 1000.0, np.asarray(north) / 1000.0)
    corner_lonlat, cell_corner = find_corners(grid, np.asarray(mesh.neighbor))
    corner_km = np.column_stack(transformer.transform(corner_lonlat[:, 0], corner_lonlat[:, 1])) / 1000.0
    lands, layers, classes = _read_background(study, mesh, transformer, extent)
    return BaseMap(
        study=study,
        mesh=mesh,
        grid=grid,
        transformer=transformer,
        extent_km=extent,
        pixel_cell=_label_pixels(grid, transformer, extent),
        edge_km=corner_km[locate_edge_corners(mesh, cell_corner)],
        lands=lands,
        layers=layers,
        classes=classes,
    )


def locate_edge_corners(mesh: Mesh, cell_corner: np.ndarray) -> np.ndarray:
    """Return int32[E, 2], the two corner ids of every edge of the mesh.

    In words: corner k of a cell lies between its neighbours k and k + 1, so the edge to neighbour k runs from
    corner k - 1 to corner k.
    """
    found = np.zeros((mesh.edge_count, 2), dtype=np.int64)
    for side in range(6):
        rows = np.flatnonzero(mesh.edge[:, side] >= 0)
        edges = mesh.edge[rows, side]
        found[edges, 0] = cell_corner[rows, (side - 1) % 6]
        found[edges, 1] = cell_corner[rows, side]
    return found


def _choose_extent(east_km: np.ndarray, north_km: np.ndarray) -> tuple[float, float, float, float]:
    margin = MARGIN_SHARE * max(np.ptp(east_km), np.ptp(north_km)) + 2.0
    west, east = float(east_km.min()) - margin, float(east_km.max()) + margin
    south, north = float(north_km.min()) - margin, float(north_km.max()) + margin
    return _limit_aspect(west, east, south, north)


def _limit_aspect(west: float, east: float, south: float, north: float) -> tuple[float, float, float, float]:
    """Widen a very tall or very flat extent so that the figure stays readable (height 0.55..1.2 widths)."""
    width, height = east - west, north - south
    if height > 1.2 * width:
        extra = (height / 1.2 - width) / 2
        west, east = west - extra, east + extra
    elif height < 0.55 * width:
        extra = (0.55 * width - height) / 2
        south, north = south - extra, north + extra
    return west, east, south, north


def _label_pixels(
    grid: HexGrid, transformer: Transformer, extent: tuple[float, float, float, float]
) -> np.ndarray:
    west, east, south, north = extent
    columns = PIXELS_ACROSS
    rows = max(1, round(columns * (north - south) / (east - west)))
    x = west + (np.arange(columns) + 0.5) * (east - west) / columns
    y = north - (np.arange(rows) + 0.5) * (north - south) / rows
    grid_x, grid_y = np.meshgrid(x * 1000.0, y * 1000.0)
    lon, lat = transformer.transform(grid_x.ravel(), grid_y.ravel(), direction="INVERSE")
    return np.asarray(label_points(grid, np.asarray(lon), np.asarray(lat))).reshape(rows, columns)


def _read_background(
    study: Study, mesh: Mesh, transformer: Transformer, extent: tuple[float, float, float, float]
) -> tuple[tuple[tuple[str, np.ndarray], ...], dict[str, np.ndarray], dict[str, np.ndarray]]:
    window = shapely.box(extent[0], extent[2], extent[1], extent[3]).buffer(5.0)
    area = Area(
        float(mesh.lon.min()), float(mesh.lat.min()), float(mesh.lon.max()), float(mesh.lat.max())
    ).grow(0.5)
    findings = Findings()
    layers: dict[str, np.ndarray] = {}
    classes: dict[str, np.ndarray] = {}
    for name in ("borders", "water", "forest", "rivers", "roads"):
        layer = read_vector_layer(study, name, area, findings)
        shapes = shapely.force_2d(layer.geometry)
        words = layer.words
        if len(shapes):
            shapes = shapely.transform(
                shapes, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1])) / 1000.0
            )
            shapes = shapely.simplify(shapes, 0.12)
            keep = shapely.intersects(shapely.envelope(shapes), window)
            shapes, words = shapes[keep], words[keep]
        layers[name] = shapes
        classes[name] = words
    findings.raise_faults()
    lands = tuple(zip(classes["borders"].tolist(), layers["borders"], strict=True))
    return lands, layers, classes


class Sheet:
    """One map being drawn on the base map: axes, taken label space and legend entries."""

    def __init__(self, base: BaseMap, title: str) -> None:
        self.base = base
        self.title = title
        self.handles: list[Patch | Line2D] = []
        self.placed: list[tuple[str, Bbox]] = []
        west, east, south, north = base.extent_km
        self._map_in = WIDTH_IN * (north - south) / (east - west)
        self._below_in = 1.45
        self._above_in = 0.36
        self.figure = Figure(figsize=(WIDTH_IN, self._map_in + self._below_in + self._above_in), dpi=DPI)
        FigureCanvasAgg(self.figure)
        height = self._map_in + self._below_in + self._above_in
        self.axes: Axes = self.figure.add_axes(
            (0.0, self._below_in / height, 1.0, self._map_in / height), xlim=(west, east), ylim=(south, north)
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
            self.axes.add_patch(
                Rectangle(
                    (x + index * half, y), half, 0.007 * height, fc=color, ec="#222222", lw=0.6, zorder=31
                )
            )
        text = self.axes.text(x, y + 0.012 * height, f"{length:g} km", fontsize=8, zorder=31, va="bottom")
        renderer = self.figure.canvas.get_renderer()
        text_box = text.get_window_extent(renderer)
        bar = self.axes.transData.transform([(x, y), (x + length, y + 0.007 * height)])
        self.space.taken.append(
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
            note.update_bbox_position_size(renderer)
            patch = note.get_bbox_patch()
            assert patch is not None
            self.space.taken.append(patch.get_window_extent(renderer).padded(4))

    def draw_land(self, faint_forest: bool = True) -> None:
        """Fill land by home, neighbour and hostile countries, forests and water on top."""
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
            if kind in seen:
                self.add_patch(COLORS[kind], names[kind])
        self.add_patch(COLORS["outside"], "sea or outside the study")
        if faint_forest and len(self.base.layers["forest"]):
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
        """Draw country borders: the home country's stronger."""
        study = self.base.study
        shown = self.base.lands
        for code, shape in shown:
            home = code in study.home
            self.draw_lines([shape.boundary], COLORS["border"], 1.2 if home else 0.6, zorder=9 if home else 8)
        if shown:
            self.add_line(COLORS["border"], "border", 1.2)

    def draw_cells(self, class_of_cell: np.ndarray, colors: Sequence[str]) -> None:
        """Colour cells by class; `class_of_cell` int[N], -1 leaves a cell clear."""
        palette = np.array([_rgba(color) for color in colors] + [(0, 0, 0, 0)], dtype=np.uint8)
        cells = self.base.pixel_cell
        classes = np.where(cells >= 0, class_of_cell[np.maximum(cells, 0)], -1)
        self.axes.imshow(
            palette[classes], extent=self.base.extent_km, zorder=4, interpolation="nearest", aspect="equal"
        )

    def fill(self, shapes: Iterable[shapely.Geometry], color: str, zorder: float) -> None:
        """Fill polygons."""
        path = _path_of(shapes)
        if path is not None:
            self.axes.add_patch(PathPatch(path, fc=color, ec="none", lw=0, zorder=zorder))

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
            )
        )

    def draw_segments(
        self, segments: np.ndarray, color: str, width: float, zorder: float, style: str = "solid"
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
                )
            )

    def add_patch(self, color: str, text: str) -> None:
        """Add an area to the legend."""
        self.handles.append(Patch(fc=color, ec="#999999", lw=0.5, label=text))

    def add_line(self, color: str, text: str, width: float, style: str = "solid", marker: str = "") -> None:
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
                label=text,
            )
        )

    def place(self, labels: Sequence[Label]) -> None:
        """Place labels in what space is left."""
        self.placed += place_labels(self.axes, self.space, labels)

    def place_towns(self, size: float = 7.5) -> None:
        """Place towns, the largest first."""
        places = self.base.study.tables["places"]
        towns = places[places["kind"].isin(["city", "town", "village"])]
        if towns.empty:
            return
        xy = self.base.project(towns["lon"].to_numpy(), towns["lat"].to_numpy())
        labels = []
        for (_, town), (x, y) in zip(towns.iterrows(), xy, strict=True):
            big = town["kind"] == "city" or town["population"] >= 50_000
            home = town["country"] in self.base.study.home
            labels.append(
                Label(
                    text=town["name"],
                    x=x,
                    y=y,
                    rank=float(town["population"]) * (1.0 if home else 0.2),
                    size=size + 1.0 if big else size - 1.0,
                    weight="bold" if big and home else "normal",
                    color=COLORS["ink"] if home else "#666666",
                    dot_pt=2.0 if big else 1.2,
                )
            )
        self.place(labels)

    def finish(self, key: str, caption: str) -> MapImage:
        """Add legend and source note and return the finished image."""
        height = self.figure.get_figheight()
        self.figure.legend(
            handles=self.handles,
            loc="upper left",
            bbox_to_anchor=(0.0, (self._below_in - 0.02) / height),
            ncols=4,
            fontsize=7.8,
            frameon=False,
            handlelength=1.8,
            columnspacing=1.4,
            labelspacing=0.35,
        )
        self.figure.text(
            0.008,
            0.05 / height,
            describe_sources(self.base.study),
            fontsize=6.3,
            color="#555555",
            va="bottom",
        )
        png, size = _encode_png(self.figure)
        return MapImage(
            key=key,
            title=self.title,
            caption=caption,
            png=png,
            width_px=size[0],
            height_px=size[1],
            labels=tuple((text, (box.x0, box.y0, box.x1, box.y1)) for text, box in self.placed),
            legend=tuple(str(handle.get_label()) for handle in self.handles),
        )


def describe_sources(study: Study) -> str:
    """Return the source note of a map: who made the layers, under which licence."""
    makers = dict.fromkeys(
        f"{row['source']} ({row['licence']})" for _, row in study.sources.iterrows() if row["source"]
    )
    text = "; ".join(makers)
    shown = text if len(text) <= 150 else text[:147].rsplit(";", 1)[0] + "; ..."
    return f"Sources: {shown}. Local equal-area projection. Made with abatis."


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


def _encode_png(figure: Figure) -> tuple[bytes, tuple[int, int]]:
    raw = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(raw, format="png", dpi=DPI, metadata={"Software": None}, facecolor="white")
    image = Image.open(raw).convert("RGB")
    small = io.BytesIO()
    image.quantize(colors=224, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        small, format="PNG", optimize=True
    )
    return small.getvalue(), image.size
