"""The table `layer_styles` of a GeoPackage: QGIS reads it and opens every layer styled."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

FIXED_TIME = "2000-01-01T00:00:00.000Z"


def write_layer_styles(path: Path, styles: Mapping[str, str], layers: Iterable[str]) -> None:
    """Write the styles of some layers into a GeoPackage, each as the default style of its layer.

    Parameters
    ----------
    path : a GeoPackage with these layers.
    styles : QML by layer.
    layers : names of the layers to style; each needs a style.

    In words: columns and names are those that QGIS itself writes. All times are the same fixed one, so the
    same layers give the same bytes.

    Source: QGIS, table `layer_styles` of its OGR provider.
    """
    connection = sqlite3.connect(path)
    try:
        connection.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
            "f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), "
            "f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT, "
            "useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), "
            "update_time DATETIME DEFAULT CURRENT_TIMESTAMP)"
        )
        connection.executemany(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
            "styleName, styleQML, styleSLD, useAsDefault, description, owner, ui, update_time) "
            "VALUES ('', '', ?, 'geom', ?, ?, '', 1, ?, '', NULL, ?)",
            [(name, f"abatis {name}", styles[name], f"abatis: {name}", FIXED_TIME) for name in layers],
        )
        connection.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?)",
            (FIXED_TIME,),
        )
        connection.execute("UPDATE gpkg_contents SET last_change = ?", (FIXED_TIME,))
        connection.commit()
    finally:
        connection.close()
