"""Tables of land and shelter: figures, owners, own layers, notices, growth of trees; each checked whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import shapely

from abatis.barrier.sites import Siting
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import empty_table, read_table
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS
from abatis.people.clearance import Range, Term
from abatis.people.dates import FORM, parse_span
from abatis.people.treaties import read_packaged

OWNER_KINDS = ("private", "state", "municipal", "public")
NOTICE_STATUSES = ("planned", "sent", "agreed", "contested", "paid", "closed")
ANY = "any"


@dataclass(frozen=True)
class OwnerShares:
    """Shares of ground by owner kind for each place and cover, float64[P, covers, kinds], and where from."""

    shares: np.ndarray
    basis: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class LandLayer:
    """Shapes of an own layer in EPSG:4326 with its source and tag."""

    shapes: np.ndarray
    source: str
    tag: str


@dataclass(frozen=True)
class NoticeAccount:
    """How far the notices to owners are: counts and EUR by status, and sites of the plan without a notice.

    `known` is false when the study has no tables/land_notices.csv: then nothing may be said.
    """

    known: bool
    count: Mapping[str, int]
    amount_eur: Mapping[str, float]
    sites_without: tuple[str, ...]
    beyond_plan: int


@dataclass(frozen=True)
class Growth:
    """Share of its full cover that a tree row gives by years since planting, low, likely and high."""

    years: np.ndarray
    low: np.ndarray
    mode: np.ndarray
    high: np.ndarray

    def at(self, years: float) -> Range:
        """Return the share so many years after planting; straight lines between the rows, 0 before planting.

        Examples
        --------
        >>> line = np.array([0.0, 1.0])
        >>> Growth(np.array([0.0, 10.0]), 0 * line, line, line).at(4.0)
        Range(low=0.0, mode=0.4, high=0.4)
        """
        low, mode, high = (
            float(np.interp(years, self.years, one)) for one in (self.low, self.mode, self.high)
        )
        return Range(low, mode, high)


def find_worst_tag(tags: Iterable[str]) -> str:
    """Return the least sure of some tags, at best D: an account is derived.

    Examples
    --------
    >>> find_worst_tag(["F", "F"]), find_worst_tag(["F", "G", "D"])
    ('D', 'G')
    """
    return max(("D", *tags), key=["F", "D", "F-", "G"].index)


def read_land_terms(study: Study) -> dict[str, Term]:
    """Read the figures of land and shelter; rows of the study's own land_terms.csv replace packaged ones.

    Raises
    ------
    InputError : all faults of the study's rows: unknown figures, another unit, values that do not rise,
        figures that stand twice, and those that are divided by but not above 0.
    """
    frame = read_packaged("land_terms")
    units = dict(zip(frame["term"], frame["unit"], strict=True))
    own, faults = _read_own(study, "land_terms", ("term",))
    file = "tables/land_terms.csv"
    for number, row in own.iterrows():
        line, term = int(str(number)), str(row["term"])
        if term not in units:
            faults.append(
                Fault(f"'{term}' is an unknown figure", file, line, "term", nearest_word(term, units))
            )
        elif row["unit"] != units[term]:
            faults.append(Fault(f"is in {row['unit']}", file, line, "unit", f"give it in {units[term]}"))
        if not row["low"] <= row["mode"] <= row["high"]:
            faults.append(Fault("low, mode, high do not rise", file, line, "mode", "order the three values"))
        least = 0.0
        if term in ("plot_ha", "owner_ha", "household", "section_km", "screen_life_years", "near_m"):
            least = np.finfo(float).tiny
        if units.get(term) and row["low"] < least and not term.startswith(("rewet_", "plant_forest")):
            faults.append(Fault(f"is {row['low']:g}", file, line, "low", "give more than 0"))
        if units.get(term) == "share" and row["high"] > 1.0:
            faults.append(Fault(f"is {row['high']:g}", file, line, "high", "a share is at most 1"))
    if faults:
        raise InputError(faults)
    merged = pd.concat([frame[~frame["term"].isin(own["term"])], own]) if len(own) else frame
    return {
        str(row["term"]): Term(
            str(row["term"]),
            Range(float(row["low"]), float(row["mode"]), float(row["high"])),
            *(str(row[column]) for column in ("unit", "meaning", "source", "tag")),
        )
        for _, row in merged.iterrows()
    }


def read_growth(study: Study) -> tuple[Growth, tuple[str, ...]]:
    """Read how tree rows grow, and the tags of its rows; the study's own tree_growth.csv replaces all rows.

    Raises
    ------
    InputError : values that do not rise along the row, or fall with the years.
    """
    own, faults = _read_own(study, "tree_growth", ("years",))
    frame = (own if len(own) else read_packaged("tree_growth")).sort_values("years")
    file = "tables/tree_growth.csv"
    for number, row in frame.iterrows():
        if not row["low"] <= row["mode"] <= row["high"]:
            line = int(str(number))
            faults.append(Fault("low, mode, high do not rise", file, line, "mode", "order the three values"))
    if len(frame) and frame["years"].iloc[0] > 0:
        text = f"starts with {frame['years'].iloc[0]:g} years"
        faults.append(Fault(text, file, int(str(frame.index[0])), "years", "begin with the row of 0 years"))
    for column in ("low", "mode", "high"):
        for number in frame.index[1:][np.diff(frame[column]) < 0]:
            faults.append(Fault("falls with the years", file, int(str(number)), column, "trees only grow"))
    if faults:
        raise InputError(faults)
    growth = Growth(*(frame[column].to_numpy(float) for column in ("years", "low", "mode", "high")))
    return growth, tuple(sorted(set(frame["tag"])))


def read_owners(study: Study, lon: np.ndarray, lat: np.ndarray, private: Term) -> OwnerShares:
    """Read who owns the ground at some places by cover.

    Parameters
    ----------
    study : tables/owners.csv and regions.csv.
    lon, lat : float64[P], EPSG:4326, such as centres of cells.
    private : the share used where no row serves.

    In words: the row for region and cover wins, then region, then cover, then any; where none serves the
    private share is the default's and the rest is public ground of unknown level. A place lies in the
    first region whose box holds it.

    Raises
    ------
    InputError : unknown regions, shares that do not add up to 1, rows that stand twice.
    """
    own, faults = _read_own(study, "owners", ("region", "cover"))
    regions = study.tables["regions"].set_index("region")
    columns = [f"{kind}_share" for kind in OWNER_KINDS]
    file = "tables/owners.csv"
    for number, row in own.iterrows():
        line, total = int(str(number)), float(sum(row[column] for column in columns))
        if row["region"] not in (*regions.index, ANY):
            remedy = nearest_word(str(row["region"]), [*regions.index, ANY])
            faults.append(Fault(f"there is no region '{row['region']}'", file, line, "region", remedy))
        if not abs(total - 1.0) <= 1e-3:
            faults.append(Fault(f"the shares add up to {total:g}", file, line, columns[0], "make them 1"))
    if faults:
        raise InputError(faults)
    shares = np.zeros((len(lon), len(COVER_WORDS), len(OWNER_KINDS)))
    shares[:, :, 0] = private.value.mode
    shares[:, :, 3] = 1.0 - private.value.mode
    served = np.zeros(shares.shape[:2], bool)
    rank = (own["region"] != ANY).astype(int) * 2 + (own["cover"] != ANY).astype(int)
    for _, row in own.iloc[np.argsort(rank.to_numpy(), kind="stable")].iterrows():
        inside = np.ones(len(lon), bool)
        if row["region"] != ANY:
            inside = _find_region(lon, lat, regions, str(row["region"]))
        covers = [COVER_WORDS.index(row["cover"])] if row["cover"] != ANY else range(len(COVER_WORDS))
        for cover in covers:
            shares[inside, cover] = row[columns].to_numpy(float)
            served[inside, cover] = True
    basis = "owners.csv" if served.all() else "owners.csv, else default" if served.any() else "default"
    tags = set(own["tag"]) | (set() if served.all() else {private.tag})
    return OwnerShares(shares, basis, tuple(sorted(tags)))


def _find_region(lon: np.ndarray, lat: np.ndarray, regions: pd.DataFrame, name: str) -> np.ndarray:
    taken = np.zeros(len(lon), bool)
    for region, box in regions.iterrows():
        inside = (lon >= box["west"]) & (lon < box["east"])
        inside &= (lat >= box["south"]) & (lat < box["north"])
        if region == name:
            return inside & ~taken
        taken |= inside
    return np.zeros(len(lon), bool)


def read_land_layer(study: Study, layer: str) -> LandLayer | None:
    """Read the shapes of one own layer of tables/land_layers.csv in EPSG:4326; None when it has no row.

    Raises
    ------
    InputError : files that are missing, cannot be read, or hold no shape of the kind asked for.
    """
    own, faults = _read_own(study, "land_layers", ("layer", "file", "sublayer"))
    rows = own[own["layer"] == layer]
    wanted = ("Polygon", "MultiPolygon") if layer == "farm_parcels" else ("LineString", "MultiLineString")
    found = []
    for number, row in rows.iterrows():
        path = study.folder / "sources" / str(row["file"])
        problem = "" if path.is_file() else f"file '{row['file']}' does not exist"
        if not problem:
            try:
                frame = geopandas.read_file(path, layer=row["sublayer"] or None, columns=[])
                frame = frame.to_crs(4326) if frame.crs is not None else frame
                shapes = frame.geometry.to_numpy()
                shapes = shapes[
                    np.isin(shapely.get_type_id(shapes), [1, 5] if "Line" in wanted[0] else [3, 6])
                ]
                problem = "" if len(shapes) else f"holds no {wanted[0]}"
                if len(shapes) and not shapely.is_valid(shapes).all():
                    problem = f"holds {int((~shapely.is_valid(shapes)).sum())} shapes that cross themselves"
                found.append(shapes)
            except (OSError, ValueError, RuntimeError) as error:
                problem = f"cannot be read: {error}"
        if problem:
            line = int(str(number))
            faults.append(Fault(problem, "tables/land_layers.csv", line, "file", "mend or delete the row"))
    if faults:
        raise InputError(faults)
    if not found:
        return None
    source = "; ".join(dict.fromkeys(rows["source"]))
    return LandLayer(np.concatenate(found), source, find_worst_tag(rows["tag"]))


def account_notices(study: Study, siting: Siting, chosen: Sequence[str]) -> NoticeAccount:
    """Count the notices to owners of tables/land_notices.csv by status.

    Parameters
    ----------
    study, siting : the study and all sites that a notice may name.
    chosen : keys of the sites of the plan that take ground.

    Raises
    ------
    InputError : all faults at once: unknown sites, dates that are none or missing, amounts missing where
        agreed or paid, keys that stand twice, negative amounts.
    """
    file = "tables/land_notices.csv"
    if not (study.folder / file).exists():
        return NoticeAccount(False, {}, {}, (), 0)
    own, faults = _read_own(study, "land_notices", ("notice",))
    keys = {site.key for site in siting.sites}
    for number, row in own.iterrows():
        line = int(str(number))
        if row["site"] and row["site"] not in keys:
            remedy = nearest_word(str(row["site"]), sorted(keys)[:2000])
            faults.append(Fault(f"there is no site '{row['site']}'", file, line, "site", remedy))
        if not row["date"] and row["status"] != "planned":
            faults.append(Fault("is missing", file, line, "date", f"say since when it is {row['status']}"))
        elif row["date"]:
            try:
                parse_span(str(row["date"]))
            except ValueError as error:
                faults.append(Fault(str(error), file, line, "date", FORM))
        if row["status"] in ("agreed", "paid") and np.isnan(row["amount_eur"]):
            faults.append(Fault("is missing", file, line, "amount_eur", "give the compensation in EUR"))
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    groups = own.groupby("status")["amount_eur"]
    counts, sums = groups.size(), groups.sum()
    return NoticeAccount(
        True,
        {status: int(counts.get(status, 0)) for status in NOTICE_STATUSES},
        {status: float(sums.get(status, 0.0)) for status in NOTICE_STATUSES},
        tuple(key for key in chosen if key not in set(own["site"])),
        int((~own["site"].isin(chosen)).sum()),
    )


def _read_own(study: Study, table: str, keys: tuple[str, ...]) -> tuple[pd.DataFrame, list[Fault]]:
    """Rows of a table of the study and their faults, also rows that stand twice; no rows without the file."""
    path = Path(study.folder) / "tables" / f"{table}.csv"
    if not path.exists():
        return empty_table(table), []
    frame, faults = read_table(path, table, f"tables/{table}.csv")
    for number in frame.index[frame.duplicated(list(keys))]:
        words = " ".join(str(frame.loc[number, key]) for key in keys)
        line = int(str(number))
        faults.append(
            Fault(f"'{words}' stands there already", f"tables/{table}.csv", line, keys[0], "delete one")
        )
    return frame, faults
