"""How much of a study is assumed: rows of its tables with tag G."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from abatis.model.fields import read_table, table_names
from abatis.model.study import Study
from abatis.show.tables import Column, Table


def list_tagged(study: Study) -> dict[str, pd.DataFrame]:
    """Return every table of the study with tags, also those that only some commands read."""
    tables = {**study.tables, "sources": study.sources}
    for path in sorted((study.folder / "tables").glob("*.csv")):
        if path.stem not in tables and path.stem in table_names():
            tables[path.stem] = read_table(path, path.stem)[0]
    return {name: frame for name, frame in tables.items() if "tag" in frame.columns and not frame.empty}


def share_placeholders(study: Study) -> float:
    """Return the share of the rows of a study's tables that are placeholders, 0 to 1."""
    tags = [tag for frame in list_tagged(study).values() for tag in frame["tag"]]
    return tags.count("G") / len(tags) if tags else 0.0


def add_placeholders(tables: Mapping[str, Table], study: Study) -> dict[str, Table]:
    """Return tables and, last, how much of what they rest on is assumed; nothing more where nothing is."""
    share = share_placeholders(study)
    if not share:
        return dict(tables)
    row = {"share_percent": 100 * share, "meaning": "of the rows of the study's tables are assumed (tag G)"}
    columns = (Column("share_percent", "placeholders [%]", ",.0f"), Column("meaning", ""))
    note = "They have to be replaced before anybody decides: the report lists them by table."
    return {**tables, "placeholders": Table("What it rests on", columns, (row,), note)}
