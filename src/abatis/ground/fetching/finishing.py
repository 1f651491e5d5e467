"""What happens to a file that has come: unpacked, freed of repeated features, compared with the ground."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from abatis.ground.fetching.download import describe_write_fault
from abatis.ground.fetching.planning import FetchFile, FetchPlan
from abatis.model.errors import Fault, InputError
from abatis.model.storage import write_text_whole

BLOCK_ROWS = 1024
COPY_BYTES = 1 << 20
NUMBER_KINDS = ("population", "clay")  # a raster of these that holds only nodata is a fault to the reader
TIFF_SUFFIXES = (".tif", ".tiff")


class Finisher:
    """Finishes the files of one plan; remembers which features each file of a layer holds."""

    def __init__(self, sources: Path, plan: FetchPlan) -> None:
        self._sources = sources
        self._plan = plan
        self._keys: dict[str, set[str]] = {}

    def unpack(self, file: FetchFile) -> None:
        """Take the raster out of a fetched archive and delete the archive.

        Raises
        ------
        InputError : the archive is damaged or does not hold one GeoTIFF; it is deleted. The disk is full.
        """
        archive = self._sources / file.archive
        if file.layer.format != "zip" or not archive.is_file():
            return
        target = self._sources / file.name
        part = target.with_name(target.name + ".unpacked")
        try:
            unpack_raster(archive, part)
            part.replace(target)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            archive.unlink(missing_ok=True)
            raise InputError(
                [Fault(f"is a damaged archive: {error}", archive.name, remedy="run the same command again")]
            ) from error
        except OSError as error:
            raise InputError([describe_write_fault(target, error)]) from error
        finally:
            part.unlink(missing_ok=True)
        archive.unlink()

    def drop_repeated(self, file: FetchFile) -> int:
        """Drop features that another file of the layer holds already; return how many are left, -1 uncounted.

        Raises
        ------
        InputError : the file is not GeoJSON.
        """
        if not file.layer.key:
            return -1
        path = self._sources / file.name
        collection = _load_collection(path)
        others: set[str] = set()
        for other in self._plan.files:
            if other.layer == file.layer and other.name != file.name:
                others |= self._list_keys(other)
        features = collection["features"]
        keys = [_find_key(feature, file.layer.key) for feature in features]
        kept, own = [], set(others)
        for feature, key in zip(features, keys, strict=True):
            if key not in own:
                kept.append(feature)
                own.add(key)
        if len(kept) < len(features):
            write_text_whole(path, json.dumps({**collection, "features": kept}, separators=(",", ":")))
        self._keys[file.name] = own - others
        return len(kept)

    def _list_keys(self, file: FetchFile) -> set[str]:
        path = self._sources / file.name
        if file.name not in self._keys:
            if not path.is_file():
                return set()
            features = _load_collection(path)["features"]
            self._keys[file.name] = {_find_key(feature, file.layer.key) for feature in features}
        return self._keys[file.name]

    def lies_beside(self, file: FetchFile) -> bool:
        """Say whether nothing of a file lies on the study's ground, so that reading it would be a fault.

        Raises
        ------
        InputError : the file cannot be read.
        """
        if self._plan.bounds is None:
            return False
        path, bounds = self._sources / file.name, self._plan.bounds
        if file.layer.kind in NUMBER_KINDS:
            return not _has_pixels(path, bounds)
        if file.layer.key:
            return not _has_features(path, bounds)
        if file.layer.format == "pbf":
            return not _has_box(path, bounds)
        return False


def unpack_raster(archive: Path, target: Path) -> None:
    """Write the one GeoTIFF of a ZIP archive to a path.

    Parameters
    ----------
    archive : the ZIP file; names inside it are not used as paths.
    target : file to be written.

    Raises
    ------
    BadZipFile : not an archive, a wrong checksum inside, or not exactly one GeoTIFF.
    zlib.error : what is packed is damaged.
    OSError : the disk is full.
    """
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name.lower().endswith(TIFF_SUFFIXES)]
        if len(names) != 1:
            raise zipfile.BadZipFile(f"holds {len(names)} GeoTIFF files instead of one")
        with opened.open(names[0]) as packed, target.open("wb") as file:
            while block := packed.read(COPY_BYTES):
                file.write(block)


def _describe_unreadable(path: Path, error: Exception) -> InputError:
    told = f"cannot be read: {error}"
    return InputError([Fault(told, f"sources/{path.name}", remedy="delete it to fetch it again")])


def _load_collection(path: Path) -> dict[str, Any]:
    try:
        collection = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _describe_unreadable(path, error) from error
    if not isinstance(collection, dict) or not isinstance(collection.get("features"), list):
        raise InputError(
            [Fault("holds no list of features", f"sources/{path.name}", remedy="delete it to fetch it again")]
        )
    return collection


def _find_key(feature: dict[str, Any], key: str) -> str:
    """Value of the key attribute; the geometry itself where a feature has none."""
    value = (feature.get("properties") or {}).get(key)
    return f"{key}={value}" if value else json.dumps(feature.get("geometry"), sort_keys=True)


def _has_features(path: Path, bounds: tuple[float, float, float, float]) -> bool:
    import shapely

    shapes = [one["geometry"] for one in _load_collection(path)["features"] if one.get("geometry")]
    geometry = shapely.from_geojson([json.dumps(shape) for shape in shapes])
    return bool(shapely.intersects(geometry, shapely.box(*bounds)).any())


def _has_box(path: Path, bounds: tuple[float, float, float, float]) -> bool:
    """Compare with the box that an OpenStreetMap extract names; without one it is taken to be right."""
    import osmium

    try:
        with osmium.io.Reader(str(path), osmium.osm.osm_entity_bits.NOTHING) as reader:
            box = reader.header().box()
    except RuntimeError as error:
        raise _describe_unreadable(path, error) from error
    if not box.valid():
        return True
    low, high = box.bottom_left, box.top_right
    west, south, east, north = bounds
    return bool(low.lon <= east and high.lon >= west and low.lat <= north and high.lat >= south)


def _has_pixels(path: Path, bounds: tuple[float, float, float, float]) -> bool:
    import rasterio
    import rasterio.warp
    from rasterio.windows import Window, from_bounds

    try:
        with rasterio.open(path) as raster:
            if raster.crs is None:
                return True  # the reader says what is wrong
            box = rasterio.warp.transform_bounds("EPSG:4326", raster.crs, *bounds, densify_pts=21)
            window = from_bounds(*box, transform=raster.transform).round_offsets().round_lengths()
            top, left = max(0, int(window.row_off)), max(0, int(window.col_off))
            bottom = min(raster.height, int(window.row_off + window.height) + 1)
            width = min(raster.width, int(window.col_off + window.width) + 1) - left
            if width <= 0:
                return False
            return any(
                raster.read_masks(1, window=Window(left, row, width, min(BLOCK_ROWS, bottom - row))).any()
                for row in range(top, bottom, BLOCK_ROWS)
            )
    except (rasterio.errors.RasterioError, OSError) as error:
        raise _describe_unreadable(path, error) from error
