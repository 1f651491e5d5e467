"""Several countries' meshes as one, and what their studies must agree on before they are joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import h3.api.basic_int as h3
import numpy as np
from scipy.spatial import cKDTree

from abatis.barrier.joint_ground import Ground, Territory, measure_km
from abatis.ground.hexgrid import build_hexgrid, find_neighbors, number_edges
from abatis.model.errors import Fault, InputError
from abatis.model.facilities import Facilities
from abatis.model.mesh import Mesh, freeze_mesh
from abatis.model.study import Study


def settle_borders(
    studies: Sequence[Study], meshes: Sequence[Mesh]
) -> tuple[tuple[Mesh, ...], tuple[str, ...]]:
    """Make studies agree on whose each shared cell is, where they differ by single cells along a border.

    Parameters
    ----------
    studies, meshes : the countries to join.

    Returns
    -------
    The meshes, and one note in words for each border where cells were settled.

    In words: a cell that lies half here and half there is counted by each study for itself. Where only one of
    them calls it home, it is that one's; where both or none do, it goes to the first of their keys in the
    alphabet, if it touches ground that both leave to the one and ground that both leave to the other.

    Raises
    ------
    InputError : different resolutions; countries that overlap, with the place.
    """
    _check_resolution(
        [
            (study.name, h3.get_resolution(int(mesh.cells[0])))
            for study, mesh in zip(studies, meshes, strict=True)
        ]
    )
    country = [np.array(mesh.country) for mesh in meshes]
    faults: list[Fault] = []
    notes: list[str] = []
    for one in range(len(studies)):
        for two in range(one + 1, len(studies)):
            settled, wrong = _settle_pair(studies, meshes, country, one, two)
            if wrong:
                faults.append(wrong)
            elif settled:
                names = f"{studies[one].title} and {studies[two].title}"
                notes.append(
                    f"{names} differ on whose {settled} cells of their border are; they were settled"
                )
    if faults:
        raise InputError(faults)
    return tuple(
        freeze_mesh(dataclasses.replace(mesh, country=own)) for mesh, own in zip(meshes, country, strict=True)
    ), tuple(notes)


def settle_with_exports(
    study: Study, mesh: Mesh, exports: Sequence[Territory], fixed: bool
) -> tuple[Mesh, int]:
    """Make a study agree with exports of its neighbours on whose the cells along the border are.

    Parameters
    ----------
    study, mesh : the country.
    exports : of its neighbours; their claims are read from their border cells.
    fixed : true to take the exports as they are; false to share out as `settle_borders` does, so that two
        countries that write their exports anew, each with the other's beside it, come to the same border.

    Returns
    -------
    The mesh, and the number of cells that changed hands.
    """
    country = np.array(mesh.country)
    own = [mesh.country_codes.index(code) for code in study.home if code in mesh.country_codes]
    changed = 0
    for one in exports:
        theirs = [mesh.country_codes.index(code) for code in one.codes if code in mesh.country_codes]
        mine_first = not fixed and "+".join(study.home) < one.key
        if not theirs or not own:
            continue
        given = np.isin(one.sides.code, [one.allies.index(code) for code in study.home if code in one.allies])
        for cells, now, then, keep in (
            (np.unique(one.sides.cell), own, theirs, mine_first),
            (np.unique(one.sides.other[given]), theirs, own, not mine_first and not fixed),
        ):
            rows = _find_rows(mesh.cells, cells)
            rows = rows[rows >= 0]
            moved = np.isin(mesh.country[rows], now)
            if now is own:
                # Ground that this study takes for a third country's is theirs, as they call it home.
                moved = (moved & (not keep)) | ~np.isin(mesh.country[rows], [*own, *theirs])
            elif keep:
                continue
            country[rows[moved]] = then[0]
            changed += int(moved.sum())
    return freeze_mesh(dataclasses.replace(mesh, country=country)), changed


def _check_resolution(found: Sequence[tuple[str, int]]) -> None:
    if len({resolution for _, resolution in found}) > 1:
        raise InputError(
            [
                Fault(
                    f"has H3 resolution {resolution}",
                    name,
                    column="resolution",
                    remedy="build all countries at the same resolution",
                )
                for name, resolution in found
            ]
        )


def _settle_pair(
    studies: Sequence[Study], meshes: Sequence[Mesh], country: list[np.ndarray], one: int, two: int
) -> tuple[int, Fault | None]:
    """Settle the cells two studies differ on; returns their number, or the fault that they overlap."""
    first, second = meshes[one], meshes[two]
    _, here, there = np.intersect1d(first.cells, second.cells, assume_unique=True, return_indices=True)
    home = [
        np.isin(own, [mesh.country_codes.index(code) for code in study.home if code in mesh.country_codes])
        for own, mesh, study in ((country[one], first, studies[one]), (country[two], second, studies[two]))
    ]
    mine = home[0][here], _read_codes(second, country[two], there, studies[one].home)
    yours = _read_codes(first, country[one], here, studies[two].home), home[1][there]
    differ = (mine[0] != mine[1]) | (yours[0] != yours[1])
    both, none = differ & mine[0] & yours[1], differ & mine[1] & yours[0]
    rows = np.flatnonzero(both | none)
    lone = _touch(first, here, mine[0] & mine[1], rows) & _touch(first, here, yours[0] & yours[1], rows)
    if not lone.all():
        cell = here[rows[~lone][0]]
        return 0, Fault(
            f"{studies[one].title} and {studies[two].title} overlap: {int((~lone).sum())} cells are claimed "
            f"by both or left by both, first at {first.lon[cell]:.4f} E, {first.lat[cell]:.4f} N",
            column="borders",
            remedy="use the same border in both studies",
        )
    owner = one if "+".join(studies[one].home) < "+".join(studies[two].home) else two
    code = studies[owner].home[0]
    # What only one of them calls its own is that one's in the other's mesh too.
    for number, mesh, at in ((one, first, here), (two, second, there)):
        if len(rows):
            country[number][at[rows]] = mesh.country_codes.index(code)
    for mask, other, mesh, at, study in (
        (mine[0] & ~mine[1] & ~both & ~none, two, second, there, studies[one]),
        (yours[1] & ~yours[0] & ~both & ~none, one, first, here, studies[two]),
    ):
        if mask.any() and study.home[0] in mesh.country_codes:
            country[other][at[mask]] = mesh.country_codes.index(study.home[0])
    return int(differ.sum()), None


def _read_codes(mesh: Mesh, country: np.ndarray, rows: np.ndarray, codes: tuple[str, ...]) -> np.ndarray:
    wanted = [index for index, code in enumerate(mesh.country_codes) if code in codes]
    return np.asarray(np.isin(country[rows], wanted))


def _touch(mesh: Mesh, shared: np.ndarray, agreed: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return bool per row of `rows`: one of its neighbours is agreed ground."""
    marked = np.zeros(mesh.cell_count, bool)
    marked[shared[agreed]] = True
    near = mesh.neighbor[shared[rows]]
    return np.asarray((marked[near] & (near >= 0)).any(axis=1))


def match_sides(territories: Sequence[Territory]) -> dict[tuple[int, int], np.ndarray]:
    """Match the sides of every two countries on their common border: int64[K, 2], rows of both lists.

    Raises
    ------
    InputError : different resolutions, the same country twice, countries that overlap, a border that only one
        side knows, or countries whose borders do not touch; each with the place.
    """
    _check_resolution([(one.key, one.resolution) for one in territories])
    faults: list[Fault] = []
    pairs: dict[tuple[int, int], np.ndarray] = {}
    index = [
        {
            key: row
            for row, key in enumerate(zip(one.sides.cell.tolist(), one.sides.other.tolist(), strict=True))
        }
        for one in territories
    ]
    for first, here in enumerate(territories):
        for second in range(first + 1, len(territories)):
            there = territories[second]
            twice = np.intersect1d(here.sides.cell, there.sides.cell)
            if set(here.codes) & set(there.codes) or len(twice):
                faults.append(_describe_overlap(here, there, twice))
                continue
            rows = [
                (row, index[second][other, cell])
                for (cell, other), row in index[first].items()
                if (other, cell) in index[second]
            ]
            faults += _check_mutual(here, there, len(rows)) + _check_mutual(there, here, len(rows))
            if rows:
                pairs[first, second] = np.array(rows, np.int64)
    if not faults:
        faults += _check_touch(territories, pairs)
    if faults:
        # A country given three times is one fault, not one for each pair.
        raise InputError(list(dict.fromkeys(faults)))
    return pairs


def _describe_overlap(here: Territory, there: Territory, twice: np.ndarray) -> Fault:
    if here.key == there.key:
        return Fault(
            f"{here.key} is given twice",
            column="STUDY",
            remedy="give every country once, as its study or as its export",
        )
    at = f", first at {_locate_cell(int(twice[0]))}" if len(twice) else ""
    return Fault(
        f"{here.key} and {there.key} overlap: {len(twice)} border cells are claimed by both{at}",
        column="borders",
        remedy="give every country once; write exports anew with the neighbour's export beside the study",
    )


def _locate_cell(cell: int) -> str:
    lat, lon = h3.cell_to_latlng(cell)
    return f"{lon:.4f} E, {lat:.4f} N"


def _check_mutual(here: Territory, there: Territory, matched: int) -> list[Fault]:
    codes = [number for number, code in enumerate(here.allies) if code in there.codes]
    mine = np.flatnonzero(np.isin(here.sides.code, codes))
    if len(mine) == matched:
        return []
    known = set(zip(there.sides.other.tolist(), there.sides.cell.tolist(), strict=True))
    lost = next(
        int(one)
        for row, one in enumerate(here.sides.cell.tolist())
        if row in set(mine.tolist()) and (one, int(here.sides.other[row])) not in known
    )
    return [
        Fault(
            f"{here.key} and {there.key} do not agree on their border: {len(mine) - matched} sides of cells "
            f"are known to {here.key} only, first at {_locate_cell(lost)}",
            column="borders",
            remedy=f"write both anew: abatis joint STUDY EXPORT_OF_{there.key} --export FILE",
        )
    ]


def _check_touch(territories: Sequence[Territory], pairs: dict[tuple[int, int], np.ndarray]) -> list[Fault]:
    reached = {0}
    for _ in territories:
        reached |= {one for pair in pairs for one in pair if reached & set(pair)}
    faults = []
    for number, here in enumerate(territories):
        if number in reached:
            continue
        near = _find_nearest(here, [territories[one] for one in sorted(reached)])
        faults.append(
            Fault(
                f"the border of {here.key} touches none of the others{near}",
                column="borders",
                remedy="add the country in between; strip_km must be above 0 to have the border in the mesh",
            )
        )
    return faults


def _find_nearest(here: Territory, others: Sequence[Territory]) -> str:
    cells = np.unique(here.sides.cell)
    there = np.unique(np.concatenate([other.sides.cell for other in others]))
    if not len(cells) or not len(there):
        return ""
    one, two = (np.array([h3.cell_to_latlng(cell) for cell in rows.tolist()]) for rows in (cells, there))
    scale = np.array([1.0, np.cos(np.radians(one[0, 0]))])
    away, nearest = cKDTree(two * scale).query(one * scale)
    row = int(np.argmin(away))
    a, b = one[row], two[nearest[row]]
    km = float(measure_km(np.array(a[1]), np.array(a[0]), np.array(b[1]), np.array(b[0])))
    return f": it comes nearest at {a[1]:.4f} E, {a[0]:.4f} N, {km:.1f} km away"


def merge_meshes(grounds: Sequence[Ground]) -> tuple[Mesh, tuple[np.ndarray, ...]]:
    """Merge the home ground of all countries and all their hostile ground into one mesh.

    Returns
    -------
    The mesh, without facilities, and per country int32[E]: the row of each of its edges in the country's own
    mesh, -1 where that has none. A cell comes from the country whose home it is, hostile ground and edges
    between two countries from the first that has them; `country` 0 is hostile, 1, 2, ... the countries.
    """
    cells = np.unique(np.concatenate([one.mesh.cells[one.home | one.hostile] for one in grounds]))
    neighbor = find_neighbors(build_hexgrid(cells))
    edge, edge_a, edge_b = number_edges(neighbor)
    rows = [_find_rows(one.mesh.cells, cells) for one in grounds]
    country = np.zeros(len(cells), np.int8)
    owner = np.full(len(cells), -1, np.int64)
    for number, (one, row) in enumerate(zip(grounds, rows, strict=True)):
        held = row >= 0
        mine = held & one.home[row]
        country[mine] = number + 1
        owner[mine] = number
        owner[held & (owner < 0) & one.hostile[row]] = number
    edge_rows = tuple(
        _find_edges(one.mesh, row[edge_a], row[edge_b]) for one, row in zip(grounds, rows, strict=True)
    )
    edge_owner = choose_edge_owner(edge_rows, owner[edge_a], owner[edge_b])
    values: dict[str, Any] = {}
    first = grounds[0].mesh
    for name in (field.name for field in dataclasses.fields(Mesh)):
        array = getattr(first, name)
        if not isinstance(array, np.ndarray):
            continue
        by_edge = name.startswith("edge_") or len(array) == first.edge_count != first.cell_count
        picked = np.zeros((len(edge_a) if by_edge else len(cells), *array.shape[1:]), array.dtype)
        for number, one in enumerate(grounds):
            mask = (edge_owner if by_edge else owner) == number
            own = edge_rows[number] if by_edge else rows[number]
            picked[mask] = getattr(one.mesh, name)[own[mask]]
        values[name] = picked
    values |= {"cells": cells, "country": country, "neighbor": neighbor, "edge": edge}
    values |= {"edge_a": edge_a, "edge_b": edge_b}
    values |= {
        "road_name": np.full(len(edge_a), -1, np.int32),
        "bridge_name": np.full(len(edge_a), -1, np.int32),
    }
    codes = ("hostile", *(one.territory.key for one in grounds))
    words: dict[str, Any] = {"road_names": (), "bridge_names": (), "assumptions": (), "study_hash": ""}
    mesh = dataclasses.replace(
        first,
        **values,
        **words,
        country_codes=codes,
        facilities=Facilities.empty(),
    )
    return freeze_mesh(mesh), edge_rows


def choose_edge_owner(
    edge_rows: Sequence[np.ndarray], owner_a: np.ndarray, owner_b: np.ndarray
) -> np.ndarray:
    """Return int64[E], which country describes each edge: the owner of a cell that has it, else the first."""
    chosen = np.full(len(owner_a), -1, np.int64)
    for wanted in ((owner_a == owner_b), np.ones(len(owner_a), bool)):
        for number, rows in enumerate(edge_rows):
            mine = (rows >= 0) & ((owner_a == number) | (owner_b == number)) & wanted & (chosen < 0)
            chosen[mine] = number
    for number, rows in enumerate(edge_rows):
        chosen[(chosen < 0) & (rows >= 0)] = number
    return chosen


def _find_rows(known: np.ndarray, cells: np.ndarray) -> np.ndarray:
    place = np.searchsorted(known, cells)
    place = np.minimum(place, len(known) - 1)
    return np.where(known[place] == cells, place, -1)


def _find_edges(mesh: Mesh, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return int32[K], the edge between each two rows of a mesh, -1 where there is none."""
    found = np.full(len(first), -1, np.int32)
    both = np.flatnonzero((first >= 0) & (second >= 0))
    match = mesh.neighbor[first[both]] == second[both, None]
    side = match.argmax(axis=1)
    found[both] = np.where(match.any(axis=1), mesh.edge[first[both], side], -1)
    return found
