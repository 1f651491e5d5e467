"""Trees in sight lines that rules keep: area, reasons, sites, and that clearing them is enough."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from air_cases import TERMS, make_ground, make_hilly, make_sensor

from abatis.model.errors import InputError
from abatis.watch.clearing import find_conflict, find_kept_cells, mask_wood
from abatis.watch.seen import Outlook
from abatis.watch.sight import Post, View, build_relief, trace_cells


def make_cells(count: int, half: int | None = None) -> SimpleNamespace:
    """What a conflict needs of a mesh: two countries, the second from row `half` on."""
    country = (np.arange(count) >= (count if half is None else half)).astype(int)
    return SimpleNamespace(
        cell_count=count, country_codes=("LT", "LV"),
        mask_countries=lambda codes: np.isin(country, [("LT", "LV").index(code) for code in codes]),
    )  # fmt: skip


def make_camera(**changes):
    return make_sensor("camera_tower", range_m={"vehicle": 3000.0}, **changes)


def plant(ground, pixels: np.ndarray):
    """Dense forest of 20 m on some pixels."""
    ground.canopy[pixels] = 20.0
    return ground


def test_a_strip_of_wood_in_flat_ground():
    """A camera at 10 m, a strip 20 m high at 1 km: all behind it is lost, and gained without it."""
    ground = make_ground(np.zeros((30, 60)))
    strip = np.zeros((30, 60), bool)
    strip[:, 25] = True
    plant(ground, strip)
    mesh = make_cells(18, 9)
    kept = {"protected": np.arange(18) % 6 == 2}
    outlooks = [Outlook(15, 5, make_camera())]
    # Only cell 10 (rows 10-19, columns 40-49) is wanted, but the strip stands in cells 2, 8 and 14.
    demand = np.arange(18) == 10
    found = find_conflict(mesh, ground, outlooks, "vehicle", TERMS, demand, kept)
    assert found.seen_with_km2 == 0.0
    assert found.seen_without_km2 == pytest.approx(100 * 0.05**2)
    assert found.demand_km2 == found.seen_without_km2
    # Lines to rows 10..19 at columns 40..49 cross column 25 between rows 12 and 17.3.
    rows = np.flatnonzero(found.marks.any(axis=1))
    assert np.flatnonzero(found.marks.any(axis=0)).tolist() == [25]
    assert (rows.min(), rows.max()) == (12, 18)
    assert found.clearing_ha == pytest.approx(len(rows) * 0.25)
    assert found.by_reason == {"protected": found.clearing_ha}
    assert found.by_country == {"LT": found.clearing_ha}
    assert found.by_owner is None
    assert [(one.cell, one.reasons) for one in found.cells] == [(8, ("protected",))]


def test_trees_that_no_rule_keeps_are_no_conflict():
    ground = make_ground(np.zeros((30, 60)))
    strip = np.zeros((30, 60), bool)
    strip[:, 25] = True
    plant(ground, strip)
    demand = np.arange(18) == 10
    kept = {"protected": np.zeros(18, bool), "site s1": np.arange(18) == 0}
    found = find_conflict(
        make_cells(18), ground, [Outlook(15, 5, make_camera())], "vehicle", TERMS, demand, kept
    )
    assert (found.clearing_ha, found.sites, found.cells) == (0.0, (), ())
    assert found.seen_with_km2 == found.seen_without_km2 == 0.0


def test_sites_owners_and_reasons_add_up():
    ground = make_ground(np.zeros((30, 60)))
    strip = np.zeros((30, 60), bool)
    strip[:, 25] = True
    plant(ground, strip)
    all_cells = np.ones(18, bool)
    kept = {"protected": np.arange(18) == 2, "site a": np.arange(18) == 8, "site b": np.arange(18) == 17}
    owners = {"state": np.arange(18) < 6, "private": np.arange(18) >= 6}
    found = find_conflict(
        make_cells(18), ground, [Outlook(15, 5, make_camera())], "vehicle", TERMS, all_cells, kept, owners
    )
    assert set(found.by_reason) == {"protected", "site a"}
    assert found.sites == ("a",)
    assert sum(found.by_reason.values()) == pytest.approx(found.clearing_ha)
    assert sum(found.by_owner.values()) == pytest.approx(found.clearing_ha)
    assert found.by_owner["state"] == pytest.approx(found.by_reason["protected"])
    assert sum(one.clearing_ha for one in found.cells) == pytest.approx(found.clearing_ha)
    # A second post behind the strip sees most of it: less is left to gain.
    two = [Outlook(15, 5, make_camera()), Outlook(15, 50, make_camera())]
    less = find_conflict(make_cells(18), ground, two, "vehicle", TERMS, np.arange(18) == 10, kept)
    assert less.clearing_ha == 0.0
    assert less.seen_with_km2 > 0


@pytest.mark.parametrize("seed", range(4))
def test_clearing_the_marked_trees_is_enough_and_needed(seed):
    """By exact lines: without the marked trees everything that could be gained is seen."""
    random = np.random.default_rng(seed)
    ground = make_ground(make_hilly(seed)[:60, :60])
    plant(ground, random.random((60, 60)) < 0.15)
    kept_cells = random.random(36) < 0.6
    demand = random.random(36) < 0.5
    posts = [(15, 20), (40, 45)]
    outlooks = [Outlook(*post, make_camera(mast_height_m=15.0)) for post in posts]
    found = find_conflict(
        make_cells(36), ground, outlooks, "vehicle", TERMS, demand, {"protected": kept_cells}
    )
    wood = (ground.canopy == 20.0) & kept_cells[ground.cell]
    view = View(TERMS["height_vehicle_m"].value, refraction=0.13)
    y, x = np.mgrid[:60, :60]
    pixels = np.column_stack([y.ravel(), x.ravel()])

    def see(canopy: np.ndarray) -> np.ndarray:
        relief = build_relief(ground.elevation, 50.0, 50.0, canopy)
        seen = np.zeros((60, 60), bool)
        for row, column in posts:
            near = np.hypot(y - row, x - column) * 50.0 <= 3000.0
            seen |= trace_cells(relief, Post(row, column, 15.0), view, pixels).reshape(60, 60) & near
        return seen & demand[ground.cell]

    full, bare = see(ground.canopy), see(np.where(wood, 0, ground.canopy))
    cleared = see(np.where(found.marks, 0, ground.canopy))
    assert found.seen_with_km2 == pytest.approx(full.sum() * 0.0025)
    assert found.seen_without_km2 == pytest.approx(bare.sum() * 0.0025)
    assert np.array_equal(cleared, bare)
    assert bare.sum() > full.sum()
    assert not (found.marks & ~wood).any()
    assert found.marks.sum() < wood.sum()


def test_kept_cells_of_a_mesh():
    mesh = SimpleNamespace(
        cell_count=4, protected=np.array([0.5, 0.49, 0, 1]), edge_a=np.array([0, 1]), edge_b=np.array([1, 2])
    )
    kept = find_kept_cells(mesh, {"k": np.array([1])})
    assert kept["protected"].tolist() == [True, False, False, True]
    assert kept["site k"].tolist() == [False, True, True, False]


def test_no_elevation_and_houses_as_high_as_trees_are_named():
    ground = make_ground(np.zeros((20, 20)), elevation=False)
    with pytest.raises(InputError, match="no elevation"):
        find_conflict(make_cells(4), ground, [], "vehicle", TERMS, np.ones(4, bool), {"p": np.ones(4, bool)})
    terms = dict(TERMS)
    terms["canopy_built_up_m"] = TERMS["canopy_dense_forest_m"]
    with pytest.raises(InputError, match="canopy_built_up_m"):
        mask_wood(ground, terms)
