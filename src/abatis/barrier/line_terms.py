"""Terms of a line: where it must pass, where it may not run, what stands already, and what it leans on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import shapely

from abatis.barrier.drawn import cover_cells, cross_edges, read_shapes
from abatis.barrier.options import EARTH_RADIUS_KM, find_cell
from abatis.model.errors import Fault, InputError
from abatis.model.fields import empty_table
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS

TABLE = "tables/line_terms.csv"
LEAN_WORDS = {
    "lean_lake": ("water",),
    "lean_bog": ("wetland",),
    "lean_forest": ("dense_forest", "open_forest"),
}
DEFAULT_SHARE = 0.5
MOST_PLACES = 6


@dataclass(frozen=True)
class Terms:
    """What is asked of a line; E edges.

    `cost_eur` float64[E] is what has to be paid (inf where nothing may be built); `choice_eur` float64[E] is
    what the search makes least: the cost, less what leaning takes off, plus the price of length; `shared`
    bool[E] edges that several lines may have in common (nothing is built there); `must_pass` names and
    bool[E], the line has one of these edges; `turn_eur` per turn; `count` lines.
    """

    cost_eur: np.ndarray
    choice_eur: np.ndarray
    shared: np.ndarray
    must_pass: tuple[tuple[str, np.ndarray], ...] = ()
    turn_eur: float = 0.0
    count: int = 1

    @property
    def is_plain(self) -> bool:
        """True when the cheapest cut is all that is asked."""
        return not self.must_pass and self.turn_eur == 0 and self.count == 1


def make_terms(cost_eur: np.ndarray) -> Terms:
    """Return terms that ask for nothing but the least cost, float64[E]."""
    return Terms(cost_eur, cost_eur, cost_eur == 0)


def read_terms(study: Study, mesh: Mesh, cost_eur: np.ndarray, echelon: int) -> Terms:
    """Read the terms of one echelon from tables/line_terms.csv.

    Parameters
    ----------
    study : the study; without rows the terms ask for nothing.
    mesh : the mesh; E edges.
    cost_eur : EUR to close each edge, float64[E]; inf where it cannot be closed.
    echelon : number of the echelon, from 1.

    Formula: choice = cost x (1 - share) where the edge leans on something, + EUR per km x length.
    In words: what stands already is cheaper (value 0: free); next to barred ground nothing may be built, but
    ground that nature closes still counts; an edge leans on a river that it crosses, or on a lake, bog or
    forest that covers half of its two cells. Where an edge leans on several, the largest share counts.

    Raises
    ------
    InputError : all faults at once: a place off the mesh or in a lake, a file that cannot be read, a value
        that is missing.

    Source: public descriptions of the programme name swamps, lakes, rivers and forests as part of the line.
    """
    terms = make_terms(np.array(cost_eur, np.float64))
    rows = study.tables.get("line_terms", empty_table("line_terms"))
    faults: list[Fault] = []
    lean = np.zeros(mesh.edge_count)
    per_km_eur = 0.0
    own = rows[rows["echelon"].isin([0, echelon])]
    # What stands already is free before anything is barred: the order of the rows must not matter.
    for number, row in own.iloc[np.argsort(own["kind"] != "existing", kind="stable")].iterrows():
        try:
            kind = str(row["kind"])
            if kind.startswith("lean_"):
                lean = np.maximum(lean, _weigh_leaning(mesh, row))
            elif kind == "km_cost":
                per_km_eur += _read_value(row)
            else:
                terms = _add_term(study, mesh, terms, row)
        except InputError as error:
            faults += [replace(one, file=TABLE, row=int(str(number))) for one in error.faults]
    if len(terms.must_pass) > MOST_PLACES:
        faults.append(Fault(f"has {len(terms.must_pass)} places to pass, at most {MOST_PLACES}", TABLE))
    if terms.count > 1 and (terms.must_pass or terms.turn_eur > 0):
        faults.append(
            Fault("line_count stands beside must_pass or turn_cost", TABLE, remedy="ask for one of them")
        )
    if faults:
        raise InputError(faults)
    choice = terms.cost_eur * (1.0 - lean) + per_km_eur * mesh.length_m.astype(np.float64) / 1000.0
    return replace(terms, choice_eur=choice, shared=terms.cost_eur == 0)


def _weigh_leaning(mesh: Mesh, row: pd.Series) -> np.ndarray:
    share = _read_value(row)
    if not share <= 1:
        raise InputError([Fault(f"is {share:g} but must be 0 to 1", column="value", remedy="give a share")])
    return np.where(find_leaning(mesh, str(row["kind"])), share, 0.0)


def find_leaning(mesh: Mesh, kind: str) -> np.ndarray:
    """Return bool[E]: edges that lean on one kind of nature, lean_ river, lake, bog or forest."""
    if kind == "lean_river":
        return np.asarray(mesh.river_m > 0)
    columns = [COVER_WORDS.index(word) for word in LEAN_WORDS[kind]]
    share = mesh.cover[:, columns].sum(axis=1)
    return np.asarray((share[mesh.edge_a] + share[mesh.edge_b]) / 2.0 >= 0.5)


def _read_value(row: pd.Series, default: float | None = None) -> float:
    value = float(row["value"])
    if not np.isnan(value):
        return value
    if default is None:
        raise InputError([Fault("is missing", column="value", remedy=f"{row['kind']} needs a number")])
    return default


def _bar_cells(mesh: Mesh, terms: Terms, cells: np.ndarray) -> Terms:
    """Nothing may be built beside these cells bool[N]; what costs nothing stays."""
    beside = cells[mesh.edge_a] | cells[mesh.edge_b]
    return replace(terms, cost_eur=np.where(beside & (terms.cost_eur > 0), np.inf, terms.cost_eur))


def _add_term(study: Study, mesh: Mesh, terms: Terms, row: pd.Series) -> Terms:
    kind = row["kind"]
    if kind == "existing":
        return _add_existing(study, mesh, terms, row)
    if kind == "must_pass":
        return _add_place(study, mesh, terms, row)
    if kind == "turn_cost":
        return replace(terms, turn_eur=terms.turn_eur + _read_value(row))
    if kind == "line_count":
        return _set_count(terms, row)
    if kind == "no_go":
        barred, _ = _locate(study, mesh, row)
    elif kind == "no_go_border":
        barred = mesh.mask_countries(study.home) & (mesh.border_km < _read_value(row))
    elif kind == "no_go_protected":
        barred = mesh.protected > _read_value(row, DEFAULT_SHARE)
    else:
        barred = mesh.cover[:, COVER_WORDS.index("built_up")] > _read_value(row, DEFAULT_SHARE)
    return _bar_cells(mesh, terms, barred)


def _add_existing(study: Study, mesh: Mesh, terms: Terms, row: pd.Series) -> Terms:
    share = _read_value(row, 0.0)
    if not share <= 1:
        raise InputError([Fault(f"is {share:g} but must be 0 to 1", column="value", remedy="give a share")])
    _, edges = _locate(study, mesh, row)
    scale = np.where(edges & np.isfinite(terms.cost_eur), share, 1.0)
    return replace(terms, cost_eur=terms.cost_eur * scale)


def _add_place(study: Study, mesh: Mesh, terms: Terms, row: pd.Series) -> Terms:
    cells, edges = _locate(study, mesh, row)
    wet = mesh.cover[:, COVER_WORDS.index("water")] > 0.5
    if cells.any() and wet[cells].all():
        raise InputError(
            [
                Fault(
                    f"'{row['name']}' at {row['lon']:.4f} E, {row['lat']:.4f} N lies in a lake",
                    column="lon",
                    remedy="move it to the shore, or drop the term: the lake closes itself",
                )
            ]
        )
    return replace(terms, must_pass=(*terms.must_pass, (str(row["name"]), edges)))


def _set_count(terms: Terms, row: pd.Series) -> Terms:
    count = _read_value(row)
    if count != int(count) or not 1 <= count <= 20:
        raise InputError([Fault(f"is {count:g}", column="value", remedy="give a whole number from 1 to 20")])
    return replace(terms, count=int(count))


def _locate(study: Study, mesh: Mesh, row: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells bool[N] and edges bool[E] of a row's place or file."""
    if row["file"]:
        return _locate_file(study, mesh, row)
    lon, lat = float(row["lon"]), float(row["lat"])
    if np.isnan(lon) or np.isnan(lat):
        raise InputError([Fault("has neither a place nor a file", column="lon", remedy="give lon and lat")])
    cell = find_cell(mesh, lon, lat)
    if cell < 0:
        problem = f"'{row['name']}' at {lon:.4f} E, {lat:.4f} N lies outside the mesh"
        raise InputError([Fault(problem, column="lon", remedy="check lon and lat")])
    cells = np.zeros(mesh.cell_count, bool)
    radius_km = float(row["radius_km"]) if not np.isnan(row["radius_km"]) else 0.0
    if radius_km > 0:
        scale = np.pi / 180 * EARTH_RADIUS_KM
        away = np.hypot((mesh.lon - lon) * scale * np.cos(np.radians(lat)), (mesh.lat - lat) * scale)
        cells[away <= radius_km] = True
    cells[cell] = True
    return cells, cells[mesh.edge_a] | cells[mesh.edge_b]


def _locate_file(study: Study, mesh: Mesh, row: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    shapes = read_shapes(study.folder / "sources" / row["file"])
    kinds = shapely.get_dimensions(shapes)
    if (kinds == 0).any():
        problem = f"'{row['file']}' holds points"
        raise InputError([Fault(problem, column="file", remedy="give lines or areas, or points as rows")])
    cells = cover_cells(mesh, shapes[kinds == 2])
    edges = cross_edges(mesh, shapes[kinds == 1])
    touched = np.zeros(mesh.cell_count, bool)
    touched[mesh.edge_a[edges]] = True
    touched[mesh.edge_b[edges]] = True
    edges |= cells[mesh.edge_a] | cells[mesh.edge_b]
    if not edges.any():
        problem = f"nothing in '{row['file']}' lies on the mesh"
        raise InputError([Fault(problem, column="file", remedy="check its place and CRS")])
    return cells | touched, edges
