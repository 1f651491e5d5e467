"""Where posts may stand: posts that stand, masts and towers, and high ground near roads and power lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from pyproj import Transformer
from rasterio.features import rasterize
from scipy.ndimage import distance_transform_edt

from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.watch.catalogue import POSTS, Posts, WatchTerms
from abatis.watch.ground_raster import WatchGrid, WatchGround, move_shapes
from abatis.watch.masts import TallPoints


@dataclass(frozen=True)
class Places:
    """Places for posts (P): those of standing posts first, then masts, then high ground.

    `kind` P words: standing, mast or high_ground; `lon`, `lat` float64[P]; `row`, `column` int64[P], pixel;
    `height_m` float64[P], ground above the sea, NaN where unknown.
    """

    key: tuple[str, ...]
    name: tuple[str, ...]
    kind: tuple[str, ...]
    lon: np.ndarray
    lat: np.ndarray
    row: np.ndarray
    column: np.ndarray
    height_m: np.ndarray

    @property
    def count(self) -> int:
        """Number of places."""
        return len(self.key)


def locate_standing(ground: WatchGround, posts: Posts) -> list[tuple[int, int]]:
    """Find the pixels of the posts that stand.

    Raises
    ------
    InputError : every post outside the raster, outside the mesh, or where no height is known.
    """
    grid, faults, found = ground.grid, [], []
    to_metres = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
    for post in posts.items:
        pixel = grid.locate(*to_metres.transform(post.lon, post.lat))
        name = f"post '{post.key}'"
        if pixel is None or ground.cell[pixel] < 0:
            text = f"{name} lies outside the ground of the study"
            faults.append(Fault(text, POSTS, post.row, "lon", "check lon and lat"))
        elif ground.elevation is not None and np.isnan(ground.elevation[pixel]):
            text = f"{name} stands where no elevation is known"
            faults.append(Fault(text, POSTS, post.row, "lon", "move it, or give the missing elevation"))
        found.append(pixel or (-1, -1))
    if faults:
        raise InputError(faults)
    return found


def list_candidates(
    study: Study,
    mesh: Mesh,
    ground: WatchGround,
    posts: Posts,
    roads: np.ndarray,
    tall: TallPoints,
    terms: WatchTerms,
) -> Places:
    """List the places where posts stand or may stand.

    Parameters
    ----------
    study, mesh : home ground; distance of cells to the hostile border.
    ground : pixels.
    posts : posts that stand.
    roads : lines of roads in EPSG:4326 [R].
    tall : masts and towers, and power lines.
    terms : candidate_depth_km, candidate_spacing_km, access_m.

    In words: new places lie on home ground no deeper than candidate_depth_km behind the hostile border. All
    masts and towers there are places. Besides, the ground is cut into squares of candidate_spacing_km, and in
    each the highest dry pixel with a road or a power line within access_m is a place. Without elevation it is
    the pixel nearest to the border. Without any road or power line every dry pixel will do, and is so noted
    by the caller.

    Raises
    ------
    InputError : posts outside the study, or where no height is known.
    """
    standing = locate_standing(ground, posts)
    allowed = mask_allowed(study, mesh, ground, terms["candidate_depth_km"].value)
    masts = [pixel for pixel in _find_pixels(ground.grid, tall.lon, tall.lat) if pixel and allowed[pixel]]
    masts = list(dict.fromkeys(masts))
    lines = np.concatenate([np.asarray(roads, object), np.asarray(tall.power_lines, object)])
    near = mask_near_lines(lines, ground.grid, terms["access_m"].value)
    depth = mesh.border_km[np.maximum(ground.cell, 0)]
    worth = -depth if ground.elevation is None else ground.elevation
    high = pick_high_ground(worth, allowed & near, ground.grid, terms["candidate_spacing_km"].value)
    taken = set(standing) | set(masts)
    high = [pixel for pixel in high if pixel not in taken]
    pixels = np.array([*standing, *masts, *high], np.int64).reshape(-1, 2)
    lon, lat = ground.grid.place(pixels[:, 0], pixels[:, 1])
    kinds = ["standing"] * len(standing) + ["mast"] * len(masts) + ["high_ground"] * len(high)
    keys = [post.key for post in posts.items] + _number("mast", len(masts)) + _number("high", len(high))
    names = [post.name for post in posts.items] + _name("mast or tower", masts) + _name("high ground", high)
    height = np.full(len(pixels), np.nan)
    if ground.elevation is not None and len(pixels):
        height = ground.elevation[pixels[:, 0], pixels[:, 1]].astype(np.float64)
    return Places(tuple(keys), tuple(names), tuple(kinds), lon, lat, pixels[:, 0], pixels[:, 1], height)


def mask_allowed(study: Study, mesh: Mesh, ground: WatchGround, depth_km: float) -> np.ndarray:
    """Pixels where new posts may stand, bool[rows, columns]: home, near the border, dry, height known."""
    deep = mesh.mask_countries(study.home) & (mesh.border_km <= depth_km)
    allowed = (ground.cell >= 0) & deep[np.maximum(ground.cell, 0)] & ground.counted
    if ground.elevation is not None:
        allowed &= np.isfinite(ground.elevation)
    return np.asarray(allowed)


def mask_near_lines(lines: np.ndarray, grid: WatchGrid, access_m: float) -> np.ndarray:
    """Pixels within `access_m` of a line, bool[rows, columns]; all of them when there is no line."""
    if len(lines) == 0:
        return np.ones(grid.shape, bool)
    shapes = [shape for shape in move_shapes(lines, grid.crs) if not shapely.is_empty(shape)]
    burnt = rasterize(shapes, out_shape=grid.shape, transform=grid.transform, all_touched=True, dtype="uint8")
    if not burnt.any():
        return np.ones(grid.shape, bool)
    # A line may pass anywhere in its pixel, half a pixel from its centre.
    away = distance_transform_edt(burnt == 0) - 0.5
    return np.asarray(away * grid.pixel_m <= access_m)


def pick_high_ground(
    worth: np.ndarray, allowed: np.ndarray, grid: WatchGrid, spacing_km: float
) -> list[tuple[int, int]]:
    """Pick the pixel of most worth in each square of `spacing_km` that has an allowed one, row by row.

    Examples
    --------
    >>> from pyproj import CRS
    >>> grid = WatchGrid(CRS.from_epsg(3346), 0.0, 0.0, 1000.0, 2, 4)
    >>> worth = np.array([[1.0, 5.0, 2.0, 2.0], [3.0, 9.0, 1.0, 4.0]])
    >>> pick_high_ground(worth, worth < 9, grid, 2.0)
    [(0, 1), (1, 3)]
    """
    side = max(1, round(spacing_km * 1000.0 / grid.pixel_m))
    found = []
    for top in range(0, grid.rows, side):
        for left in range(0, grid.columns, side):
            part = np.s_[top : top + side, left : left + side]
            if not allowed[part].any():
                continue
            best = int(np.argmax(np.where(allowed[part], worth[part], -np.inf)))
            row, column = divmod(best, allowed[part].shape[1])
            found.append((top + row, left + column))
    return found


def _find_pixels(grid: WatchGrid, lon: np.ndarray, lat: np.ndarray) -> list[tuple[int, int] | None]:
    if len(lon) == 0:
        return []
    x, y = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(lon, lat)
    return [grid.locate(float(east), float(north)) for east, north in zip(x, y, strict=True)]


def _number(word: str, count: int) -> list[str]:
    digits = max(3, len(str(count)))
    return [f"{word}_{number:0{digits}d}" for number in range(1, count + 1)]


def _name(word: str, pixels: Sequence[tuple[int, int]]) -> list[str]:
    return [f"{word} {number}" for number in range(1, len(pixels) + 1)]
