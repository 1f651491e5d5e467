"""What the codes of fetched data mean, written into the study's tables/classes.csv beside the user's rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from abatis.ground.fetching.layers import OpenLayer, find_regions, read_classes
from abatis.ground.fetching.listing import append_rows
from abatis.model.study import Study


def merge_classes(study: Study, layers: Sequence[OpenLayer]) -> list[str]:
    """Add the packaged meaning of codes to tables/classes.csv; rows that are there stay.

    Parameters
    ----------
    study : the study, read after its files were listed.
    layers : open layers that were asked for.

    Returns
    -------
    Notes on what was added and what was left as it stands.

    Raises
    ------
    InputError : the table cannot be written.

    In words: a layer gets rows when files of it are listed, or when it must be got by hand. Nothing is added
    where the study has files of its own and no rows, since their codes are words already.
    """
    notes = []
    for layer in layers:
        rows = {row.code: row.word for row in read_classes(layer.layer)}
        if layer.kind == "borders":
            rows = _list_border_codes(study, layer)
        if rows:
            notes += _merge_layer(study, layer, rows)
    return notes


def _merge_layer(study: Study, layer: OpenLayer, rows: dict[str, str]) -> list[str]:
    kind = layer.kind
    table = study.tables["classes"]
    given = table[table["layer"] == kind]
    words = dict(zip(given["code"], given["word"], strict=True))
    own = _list_files(study, kind, fetched=False)
    if not layer.login:
        if _list_files(study, kind, fetched=True).empty:
            return []
        if given.empty and not own.empty:
            told = (
                f"no rows for {kind} were added to tables/classes.csv: sources.csv names {kind} files of "
                "your own whose codes are words already; delete those rows, or write all codes"
            )
            return [told]
    notes = []
    missing = [{"layer": kind, "code": code, "word": rows[code]} for code in rows if code not in words]
    if missing:
        append_rows(study.folder / "tables" / "classes.csv", "classes", missing)
        notes.append(
            f"{len(missing)} codes of {layer.title} were added to tables/classes.csv: choices of abatis, "
            "to be checked (tag G)"
        )
    other = [f"{code} = {words[code]}" for code in rows if code in words and words[code] != rows[code]]
    if other:
        shown = ", ".join(other[:6]) + (" ..." if len(other) > 6 else "")
        notes.append(f"tables/classes.csv has other words for {len(other)} codes of {kind}, kept: {shown}")
    return notes


def _list_files(study: Study, kind: str, fetched: bool) -> pd.DataFrame:
    rows = study.source_rows(kind)
    return rows[(rows["fetched"] != "") == fetched]


def _list_border_codes(study: Study, layer: OpenLayer) -> dict[str, str]:
    """Codes of the borders with the study's words, when the study writes a country in another way."""
    import pyogrio

    ways = {known.gisco: code for code in (*study.home, *study.hostile) for known in find_regions(code)[:1]}
    if all(code == word for code, word in ways.items()):
        return {}
    rows: dict[str, str] = {}
    for _, row in _list_files(study, "borders", fetched=True).iterrows():
        if row["class_column"] == layer.class_column and Path(row["file"]).is_file():
            frame = pyogrio.read_dataframe(row["file"], columns=[layer.class_column], read_geometry=False)
            codes = sorted(str(code) for code in frame[layer.class_column].dropna().unique())
            rows |= {code: ways.get(code, code) for code in codes}
    return rows
