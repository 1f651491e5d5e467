"""A layer of a GeoPackage as pygeoapi reads it: only the columns that the visitor may see are opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyogrio
import shapely
from pygeoapi.provider.base import (
    BaseProvider,
    ProviderInvalidQueryError,
    ProviderItemNotFoundError,
)

from abatis.show.interchange.layers import list_records

TYPES = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}
TRUTH = {"true": "1", "1": "1", "false": "0", "0": "0"}
# The largest row number that SQLite has.
LAST_ROW = 2**63 - 1


class LayerProvider(BaseProvider):
    """Answers pygeoapi's questions about one layer.

    Parameters
    ----------
    provider_def : pygeoapi's definition; its `data` names `file`, `layer` and `columns`.
    """

    _fields: dict[str, dict[str, str]]

    def __init__(self, provider_def: dict[str, Any]) -> None:
        super().__init__(provider_def)
        self.file = str(self.data["file"])
        self.layer = str(self.data["layer"])
        self.columns = tuple(self.data["columns"])
        self.get_fields()

    def get_fields(self) -> dict[str, dict[str, str]]:
        """Return the JSON type of every column that may be seen."""
        if not self._fields:
            about = pyogrio.read_info(self.file, layer=self.layer)
            kinds = dict(zip(about["fields"], about["dtypes"], strict=True))
            self._fields = {
                name: {"type": TYPES.get(np.dtype(kinds[name]).kind, "string")}
                for name in self.columns
                if name in kinds
            }
        return self._fields

    def query(
        self,
        offset: int = 0,
        limit: int = 100,
        resulttype: str = "results",
        bbox: Sequence[float] = (),
        properties: Sequence[tuple[str, str]] = (),
        sortby: Sequence[dict[str, str]] = (),
        select_properties: Sequence[str] = (),
        skip_geometry: bool = False,
        **others: Any,
    ) -> dict[str, Any]:
        """Return a page of features, GeoJSON in longitude and latitude.

        Parameters
        ----------
        offset, limit : which features, counted from 0.
        resulttype : results, or hits for the number alone.
        bbox : west, south, east, north; none for everywhere.
        properties : (column, text) that must be equal.
        sortby : columns with their order, + or -.
        select_properties : columns wanted; all when empty.
        skip_geometry : leave the shapes out.
        others : what pygeoapi passes beside these; a filter or a search text is refused.

        Raises
        ------
        ProviderInvalidQueryError : a value that its column cannot have, or a question that is not answered.
        """
        if others.get("filterq") is not None or others.get("q") is not None:
            raise ProviderInvalidQueryError(user_msg="filter and q are not offered")
        columns = [one for one in self.columns if not select_properties or one in select_properties]
        page: dict[str, Any]
        if len(bbox) or properties or sortby:
            rows = self._find_rows(bbox, properties, sortby)
            page, matched = {"fids": rows[offset : offset + limit]}, len(rows)
        else:
            # Nothing to choose by: the file itself turns the pages.
            page, matched = {"skip_features": offset, "max_features": limit}, self._count()
        wanted = resulttype != "hits" and offset < matched
        features = self._read(columns, skip_geometry, page) if wanted else []
        return {
            "type": "FeatureCollection",
            "features": features,
            "numberMatched": matched,
            "numberReturned": len(features),
        }

    def get(self, identifier: str, **others: Any) -> dict[str, Any]:
        """Return one feature.

        Raises
        ------
        ProviderItemNotFoundError : there is none with this number.
        """
        del others
        found = None
        if identifier.isascii() and identifier.isdigit() and 0 < int(identifier) <= LAST_ROW:
            rows = self._find_rows((), (), (), f"fid = {int(identifier)}")
            found = self._read(list(self.columns), False, {"fids": rows}) if len(rows) else []
        if not found:
            raise ProviderItemNotFoundError(user_msg="there is no such item")
        return found[0]

    def _find_rows(
        self,
        bbox: Sequence[float],
        properties: Sequence[tuple[str, str]],
        sortby: Sequence[dict[str, str]],
        where: str = "",
    ) -> np.ndarray:
        """Row numbers int64[] of the features asked for, in order."""
        asked = " AND ".join([*([where] if where else []), *(self._compare(*one) for one in properties)])
        wanted = [one["property"] for one in sortby]
        _, rows, _, values = pyogrio.raw.read(
            self.file,
            layer=self.layer,
            columns=list(dict.fromkeys(wanted)),
            read_geometry=False,
            where=asked or None,
            bbox=tuple(bbox) if len(bbox) else None,
            return_fids=True,
        )
        columns = dict(zip(dict.fromkeys(wanted), values, strict=False))
        order = np.argsort(rows, kind="stable")
        # Sorting by the last key first keeps the order of the keys before it.
        for one in reversed(list(sortby)):
            column = columns[one["property"]][order]
            _, ranks = np.unique(
                column.astype(str) if column.dtype.kind == "O" else column, return_inverse=True
            )
            order = order[np.argsort(-ranks if one["order"] == "-" else ranks, kind="stable")]
        return np.asarray(rows)[order]

    def _compare(self, column: str, text: str) -> str:
        """Condition that a column equals a value, quoted so that it can be nothing else."""
        name = '"' + column.replace('"', '""') + '"'
        kind = self._fields[column]["type"]
        if kind == "string":
            if "\x00" in text:
                raise ProviderInvalidQueryError(user_msg=f"{column} holds no such text")
            return f"{name} = '" + text.replace("'", "''") + "'"
        if kind == "boolean" and text.lower() in TRUTH:
            return f"{name} = {TRUTH[text.lower()]}"
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if kind == "boolean" or not np.isfinite(number):
            raise ProviderInvalidQueryError(user_msg=f"{column} is a {kind}, not '{text[:50]}'")
        return f"{name} = {number!r}"

    def _count(self) -> int:
        return int(pyogrio.read_info(self.file, layer=self.layer)["features"])

    def _read(self, columns: list[str], skip_geometry: bool, page: dict[str, Any]) -> list[dict[str, Any]]:
        """Features of a page: row numbers (`fids`), or `skip_features` and `max_features`."""
        frame = pyogrio.read_dataframe(
            self.file, layer=self.layer, columns=columns, fid_as_index=True, **page
        )
        shapes = shapely.transform(frame.geometry.to_numpy(), lambda points: np.round(points, 7))
        return [
            {
                "type": "Feature",
                "id": int(row),
                "geometry": None if skip_geometry else shape.__geo_interface__,
                "properties": record,
            }
            for row, shape, record in zip(frame.index, shapes, list_records(frame), strict=True)
        ]
