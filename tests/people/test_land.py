"""Land account on hexagons that can be checked by eye."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import geopandas
import numpy as np
import pytest
import shapely
from hex_cases import cover_with, draw_disk, fill, find_edge, make_mesh
from people_cases import BELT, TRUST, write_table

from abatis.barrier.lines import find_echelon_lines
from abatis.barrier.options import list_options
from abatis.barrier.sites import Site, find_sites
from abatis.model.errors import InputError
from abatis.model.study import Study, read_study
from abatis.people.drainage import account_water, mark_drained_through, route_flow
from abatis.people.impact import assess_impact
from abatis.people.land import account_land, describe_land, list_land
from abatis.people.land_terms import account_notices, read_land_terms, read_owners
from abatis.people.nature import account_gain, account_peat_target, find_corridors
from abatis.people.nearness import CELLS, PARCELS, count_people_near, draw_works
from abatis.people.site_works import SiteWork, Taken, list_site_works, spread_ground

ROW = [(i, 0) for i in range(-2, 3)]
NOTHING = {"rewetted": 0.0, "planted": 0.0, "built": 0.0}


def make_site(edges: list[int], key: str = "s") -> Site:
    return Site(key, f"Site {key}", "line", 1, np.array(edges, np.int32), 0.0, 0, 0, 25.0, 54.9)


def make_work(edges: list[int], kind: str, key: str = "s", **taken: float) -> SiteWork:
    laid = np.array(edges, np.int32)
    return SiteWork(make_site(edges, key), laid, laid[:0], kind, 0.5 * len(edges), {**NOTHING, **taken})


def read_faults(ask, *arguments) -> list[str]:
    with pytest.raises(InputError) as caught:
        ask(*arguments)
    return [str(fault) for fault in caught.value.faults]


@pytest.fixture
def terms(lithuania):
    return read_land_terms(lithuania)


@pytest.fixture
def study(folder: Path) -> Study:
    """Two ways to close a site: a ditch of 2 ha per km, or wet ground of 40 ha per km."""
    ditch = {**BELT, "measure": "dig", "name": "Ditch", "law_kind": "ditch", "land_take_m2": 20000}
    wet = {**BELT, "measure": "wet", "name": "Wet ground", "law_kind": "wetland", "land_take_m2": 400000}
    write_table(folder, "measures", [ditch, wet], keep=True)
    options = [
        {"option": one, "name": one, "open_measure": one, "sites": "any", **TRUST} for one in ("dig", "wet")
    ]
    write_table(folder, "options", options)
    return read_study(folder)


def choose(study: Study, mesh, sites: list[Site], option: str):
    siting = SimpleNamespace(sites=tuple(sites), options=list_options(study, mesh, sites))
    chosen = tuple(SimpleNamespace(site=site.key, option=option) for site in sites)
    return siting, SimpleNamespace(name="hand", options=chosen)


class TestFlow:
    def test_a_slope_drains_row_by_row(self):
        spots = draw_disk(2)
        mesh, at = make_mesh(spots)
        mesh, at = make_mesh(spots, elevation_m=np.array([2.0 * i - j for i, j in at]))
        flow = route_flow(mesh)
        # Down the row j = 0 from (1, 0) to the rim at (-2, 0); the rim at (2, 0) keeps its water.
        assert [flow.upstream_km2[at[i, 0]] for i in (2, 1, 0, -1, -2)] == [1, 1, 2, 3, 4]
        assert flow.receiver[at[1, 0]] == at[0, 0]
        assert flow.receiver[at[-2, 0]] == -1
        through = mark_drained_through(mesh, flow, np.array([find_edge(mesh, at, (0, 0), (-1, 0))]))
        assert {spot for spot in at if through[at[spot]]} == {(0, 0), (1, 0)}

    def test_a_hollow_is_filled_to_its_lowest_rim_and_drains_there(self):
        spots = draw_disk(2)
        _, at = make_mesh(spots)
        heights = {spot: 9.0 for spot in spots if max(map(abs, (*spot, spot[0] - spot[1]))) == 2}
        heights |= {(2, 0): 5.0, (0, 0): 0.0}
        mesh, at = make_mesh(spots, elevation_m=fill(at, heights, rest=1.0))
        flow = route_flow(mesh)
        inner = [at[spot] for spot in draw_disk(1)]
        assert flow.level_m[inner].tolist() == [5.0] * 7
        assert flow.upstream_km2[at[2, 0]] == 8.0
        assert flow.upstream_km2.max() == 8.0

    def test_every_drop_leaves_over_the_rim_of_rough_ground(self):
        spots = draw_disk(9)
        random = np.random.default_rng(5)
        mesh, _ = make_mesh(spots, elevation_m=random.integers(0, 4, len(spots)).astype(float))
        flow = route_flow(mesh)
        rim = (mesh.neighbor < 0).any(axis=1)
        assert (flow.receiver[rim] == -1).all()
        assert (flow.receiver[~rim] >= 0).all()
        assert flow.upstream_km2[rim].sum() == mesh.cell_count
        inner = np.flatnonzero(~rim)
        assert (flow.level_m[flow.receiver[inner]] <= flow.level_m[inner]).all()

    def test_ground_without_heights_is_a_rim(self, terms):
        spots = draw_disk(3)
        mesh, at = make_mesh(spots)
        heights = np.array([2.0 * i - j for i, j in at])
        heights[at[0, 0]] = np.nan
        mesh, at = make_mesh(spots, elevation_m=heights)
        flow = route_flow(mesh)
        assert not flow.known[at[0, 0]] and flow.known.sum() == len(spots) - 1
        # Down the row j = 0: (2, 0) drains into (1, 0), and there the known ground ends; (-2, 0) starts anew.
        assert [flow.upstream_km2[at[i, 0]] for i in (2, 1, 0, -1, -2, -3)] == [1, 2, 1, 1, 1, 2]
        assert flow.receiver[[at[1, 0], at[0, 0], at[-1, 0]]].tolist() == [-1, -1, -1]
        assert np.isnan(flow.level_m[at[0, 0]])
        blind = make_work([find_edge(mesh, at, (0, 0), (-1, 0))], "wetland")
        seen = make_work([find_edge(mesh, at, (-2, 0), (-3, 0))], "wetland")
        found = account_water(mesh, [blind, seen], terms)
        assert np.isnan(found.sites[0].upstream_km2) and np.isnan(found.sites[0].backwater_ha.mode)
        assert found.known and found.sites[1].upstream_km2 == found.upstream_km2 == 1.0

    def test_flat_or_unknown_ground_says_nothing(self, terms):
        mesh, at = make_mesh(ROW)
        assert route_flow(mesh) is None
        work = make_work([find_edge(mesh, at, (0, 0), (1, 0))], "ditch")
        found = account_water(mesh, [work], terms)
        assert not found.known
        assert np.isnan(found.upstream_km2)
        assert found.sites[0].drained_ha.mode == pytest.approx(10.0)


class TestWater:
    @pytest.fixture
    def slope(self):
        spots = draw_disk(2)
        _, at = make_mesh(spots)
        return make_mesh(spots, elevation_m=np.array([0.4 * i - 0.2 * j for i, j in at]))

    def test_ditch(self, slope, terms):
        mesh, at = slope
        work = make_work([find_edge(mesh, at, (0, 0), (-1, 0))], "ditch")
        found = account_water(mesh, [work], terms)
        site = found.sites[0]
        assert site.upstream_km2 == found.upstream_km2 == 2.0
        assert site.flood_m3_s.mode == pytest.approx(0.3)
        # 100 m on each side of 500 m; none of it wet.
        assert (site.drained_ha.low, site.drained_ha.mode, site.drained_ha.high) == (5.0, 10.0, 20.0)
        assert site.drained_wet_ha.high == 0.0
        assert not site.must_check

    def test_upstream_ground_counts_once(self, slope, terms):
        mesh, at = slope
        works = [
            make_work([find_edge(mesh, at, (0, 0), (-1, 0))], "ditch", "low"),
            make_work([find_edge(mesh, at, (1, 0), (0, 0))], "ditch", "high"),
        ]
        found = account_water(mesh, works, terms)
        assert [one.upstream_km2 for one in found.sites] == [2.0, 1.0]
        assert found.upstream_km2 == 2.0

    def test_rewetting_backs_up_into_the_next_cell(self, slope, terms):
        mesh, at = slope
        work = make_work([find_edge(mesh, at, (0, 0), (-1, 0))], "wetland")
        backwater = account_water(mesh, [work], terms).sites[0].backwater_ha
        # Only (1, 0) drains straight into the two; it lies 0.4 m higher: above 0.3, below 0.5 and 1 m.
        assert (backwater.low, backwater.mode, backwater.high) == (0.0, 100.0, 100.0)
        # A sluice at a road does the same.
        laid = work.open_edges
        sluice = SiteWork(work.site, laid[:0], laid, "", 0.0, NOTHING, "water")
        assert account_water(mesh, [sluice], terms).sites[0].backwater_ha == backwater


class TestGround:
    def test_land_is_told_by_cover_owner_and_price(self, study, terms):
        mesh, at = make_mesh(ROW)
        cover = cover_with(5, at, {(0, 0): "grass"})
        mesh, at = make_mesh(ROW, cover=cover, protected=fill(at, {(0, 0): 1.0}))
        site = make_site([find_edge(mesh, at, (0, 0), (1, 0))])
        siting, plan = choose(study, mesh, [site], "dig")
        account = account_land(study, mesh, siting, plan)
        # 0.5 km of ditch takes 1 ha, half on grass and half on cropland.
        assert account.land_ha == pytest.approx(1.0)
        assert account.by_cover["grass"] == pytest.approx(0.5)
        assert account.by_owner["private"] == pytest.approx(0.77)
        assert account.by_owner["public"] == pytest.approx(0.23)
        assert account.owner_basis == "default"
        assert account.protected_ha == pytest.approx(0.5)
        assert account.acquisition.cost_eur.mode == pytest.approx(0.385 * 4000 + 0.385 * 5500)
        assert account.acquisition.plots.mode == pytest.approx(1 / 0.926)
        assert account.acquisition.months.mode == study.land_months
        impact = assess_impact(study, mesh, siting, plan)
        assert impact.land_take_ha == pytest.approx(account.by_cover)
        assert impact.protected_ha == pytest.approx(account.protected_ha)
        assert not account.notices.known
        json.dumps(describe_land(account), allow_nan=False)
        rows = {row["figure"]: row for row in list_land(account)}
        assert (rows["notices to owners"]["mode"], rows["notices to owners"]["tag"]) == (None, "")
        assert rows["purchase of private ground"]["tag"] == "G"

    def test_plan_of_another_study_is_refused(self, study):
        mesh, at = make_mesh(ROW)
        siting, plan = choose(study, mesh, [make_site([find_edge(mesh, at, (0, 0), (1, 0))])], "dig")
        plan.options = (SimpleNamespace(site="elsewhere", option="dig"),)
        assert "option 'dig' at site 'elsewhere'" in read_faults(account_land, study, mesh, siting, plan)[0]

    def test_the_more_exact_owner_row_wins(self, folder, terms):
        write_table(folder, "regions", [
            {"region": "west", "name": "West", "west": 24, "south": 54, "east": 25, "north": 55, **TRUST},
        ])  # fmt: skip
        write_table(folder, "owners", [
            {"region": "west", "cover": "grass", "private_share": 0.1, "state_share": 0.9, **TRUST},
            {"region": "west", "cover": "any", "private_share": 0.2, "municipal_share": 0.8, **TRUST},
            {"region": "any", "cover": "grass", "private_share": 0.3, "state_share": 0.7, **TRUST},
        ])  # fmt: skip
        lon, lat = np.array([24.5, 26.0]), np.array([54.5, 54.5])
        owners = read_owners(read_study(folder), lon, lat, terms["private"])
        assert owners.shares[:, 1, 0].tolist() == [0.1, 0.3]
        assert owners.shares[:, 0, 0].tolist() == [0.2, 0.77]
        assert owners.shares[0, 0].tolist() == [0.2, 0.0, 0.8, 0.0]
        assert owners.basis == "owners.csv, else default"
        assert np.allclose(owners.shares.sum(axis=2), 1.0)

    def test_faults_of_owners_come_together(self, folder, lithuania, terms):
        write_table(folder, "owners", [
            {"region": "nowhere", "cover": "grass", "private_share": 0.1, "state_share": 0.8, **TRUST},
            {"region": "any", "cover": "sea", "private_share": 2, **TRUST},
        ])  # fmt: skip
        faults = read_faults(read_owners, lithuania, np.zeros(1), np.zeros(1), terms["private"])
        for part in ("no region 'nowhere'", "add up to 0.9", "unknown word 'sea'", "at most 1"):
            assert any(part in fault for fault in faults), part

    def test_own_figures_replace_packaged_ones(self, folder, lithuania):
        row = {"term": "plot_ha", "low": 2, "mode": 2, "high": 2, "unit": "ha", "meaning": "own", **TRUST}
        write_table(folder, "land_terms", [row])
        assert read_land_terms(lithuania)["plot_ha"].value.mode == 2.0
        write_table(folder, "land_terms", [
            {**row, "term": "plott_ha"}, {**row, "unit": "m2"}, row,
            {**row, "term": "household", "unit": "persons", "low": 0}, {**row, "term": "owner_ha", "mode": 5},
            {**row, "term": "private", "unit": "share"},
        ])  # fmt: skip
        faults = read_faults(read_land_terms, lithuania)
        parts = (
            "did you mean 'plot_ha'",
            "is in m2",
            "is 0",
            "do not rise",
            "a share is at most 1",
            "already",
        )
        for part in parts:
            assert any(part in fault for fault in faults), part


class TestNotices:
    ROW = {"notice": "n1", "site": "s", "status": "paid", "date": "2026-01-20", "amount_eur": 4000, **TRUST}

    def test_counts_by_status(self, folder, lithuania):
        siting = SimpleNamespace(sites=[make_site([0], "s"), make_site([1], "t"), make_site([2], "u")])
        rows = [self.ROW, {**self.ROW, "notice": "n2"}, {**self.ROW, "notice": "n3", "site": "u"}]
        rows.append({"notice": "n4", "site": "s", "status": "planned", **TRUST})
        write_table(folder, "land_notices", rows)
        found = account_notices(lithuania, siting, ["s", "t"])
        assert (found.count["paid"], found.count["planned"], found.count["sent"]) == (3, 1, 0)
        assert found.amount_eur["paid"] == 12000.0
        assert found.sites_without == ("t",)
        assert found.beyond_plan == 1

    def test_faults_come_together(self, folder, lithuania):
        siting = SimpleNamespace(sites=[make_site([0], "s")])
        rows = [
            {**self.ROW, "site": "x"}, {**self.ROW}, {**self.ROW, "notice": "n3", "date": "2026-02-30"},
            {**self.ROW, "notice": "n4", "status": "sent", "date": ""},
            {**self.ROW, "notice": "n5", "amount_eur": ""}, {**self.ROW, "notice": "n6", "amount_eur": -1},
            {**self.ROW, "notice": "n7", "status": "lost"},
        ]  # fmt: skip
        write_table(folder, "land_notices", rows)
        faults = read_faults(account_notices, lithuania, siting, [])
        wanted = (
            "row 2, site: there is no site 'x'", "row 3, notice: 'n1' stands there already", "row 4, date",
            "row 5, date: is missing", "row 6, amount_eur: is missing", "row 7, amount_eur: is -1",
            "row 8, status: has the unknown word 'lost'",
        )  # fmt: skip
        for part in wanted:
            assert any(part in fault for fault in faults), part


class TestNearness:
    def test_everyone_in_reach_counts_once(self, terms):
        mesh, at = make_mesh(draw_disk(3))
        mesh, at = make_mesh(draw_disk(3), population=fill(at, {(0, 0): 40.0, (1, 0): 60.0, (3, 3): 7.0}))
        edge = find_edge(mesh, at, (0, 0), (1, 0))
        ground = draw_works(mesh, [make_work([edge], "ditch", "a"), make_work([edge], "ditch", "b")])
        everyone = np.ones(mesh.cell_count, bool)
        all_of_them = count_people_near(mesh, everyone, ground, 10_000.0)
        assert all_of_them.total == pytest.approx(107.0)
        assert all_of_them.by_site == pytest.approx([107.0, 107.0])
        near = count_people_near(mesh, everyone, ground, 500.0)
        # Both cells lie for the greater part within 500 m of their boundary, the far one not at all.
        assert 60.0 < near.total < 100.0
        assert near.by_site == pytest.approx([near.total, near.total])
        assert count_people_near(mesh, everyone & False, ground, 500.0).total == 0.0

    def test_share_of_a_cell_is_that_of_points_in_it(self):
        mesh, at = make_mesh(draw_disk(2))
        mesh, at = make_mesh(draw_disk(2), population=fill(at, {(0, 0): 1.0}))
        work = make_work([find_edge(mesh, at, (0, 0), (1, 0))], "ditch")
        ground = draw_works(mesh, [work])
        found = count_people_near(mesh, np.ones(mesh.cell_count, bool), ground, 500.0).total
        import h3.api.basic_int as h3

        ring = [(lon, lat) for lat, lon in h3.cell_to_boundary(int(mesh.cells[at[0, 0]]))]
        outline = shapely.Polygon(np.column_stack(ground.transformer.transform(*np.array(ring).T)))
        west, south, east, north = outline.bounds
        x, y = np.meshgrid(np.linspace(west, east, 200), np.linspace(south, north, 200))
        points = shapely.points(x.ravel(), y.ravel())
        points = points[shapely.contains(outline, points)]
        share = (shapely.distance(points, ground.lines[0]) <= 500.0).mean()
        assert found == pytest.approx(share, abs=0.01)

    def test_farms(self, study):
        folder = study.folder
        mesh, at = make_mesh(ROW)
        mesh, at = make_mesh(ROW, cover=cover_with(5, at, {(-2, 0): "dense_forest"}))
        edges = [find_edge(mesh, at, (0, 0), (1, 0)), find_edge(mesh, at, (-2, 0), (-1, 0))]
        siting, plan = choose(study, mesh, [make_site(edges)], "dig")
        farms = account_land(study, mesh, siting, plan).farms
        # Forest and cropland are no farm cut in two.
        assert (farms.basis, farms.count, farms.cropland_km) == (CELLS, 2, 0.5)
        a, b = at[0, 0], at[1, 0]
        lon, lat = (mesh.lon[a] + mesh.lon[b]) / 2, (mesh.lat[a] + mesh.lat[b]) / 2
        across = shapely.Point(lon, lat).buffer(0.002)
        beside = shapely.Point(mesh.lon[a], mesh.lat[a]).buffer(0.0005)
        geopandas.GeoDataFrame(geometry=[across, beside], crs=4326).to_file(
            folder / "sources" / "parcels.gpkg"
        )
        row = {"layer": "farm_parcels", "file": "parcels.gpkg", **TRUST}
        write_table(folder, "land_layers", [row])
        farms = account_land(study, mesh, siting, plan).farms
        assert (farms.basis, farms.count) == (PARCELS, 1)
        write_table(folder, "land_layers", [{**row, "file": "lost.gpkg"}, {**row, "layer": "sheep"}])
        faults = read_faults(account_land, study, mesh, siting, plan)
        assert any("'lost.gpkg' does not exist" in fault for fault in faults)
        assert any("unknown word 'sheep'" in fault for fault in faults)


class TestNature:
    WALK = [(i, 0) for i in range(6)]

    def make_walk(self, spots):
        """Protected ends, forest between them along the row j = 0."""
        _, at = make_mesh(spots)
        cover = cover_with(len(at), at, {}, rest="dense_forest")
        return make_mesh(spots, cover=cover, protected=fill(at, {(0, 0): 1.0, (5, 0): 1.0}))

    def test_a_ditch_cuts_the_only_forest_way(self, terms):
        mesh, at = self.make_walk(self.WALK)
        home = np.ones(mesh.cell_count, bool)
        edge = find_edge(mesh, at, (2, 0), (3, 0))
        found = find_corridors(mesh, home, [make_work([edge], "ditch")], terms)
        assert (found.patches, found.links, found.cut, found.lengthened) == (2, 1, 1, 0)
        assert found.crossed[0].sites == ("s",)
        assert found.crossed[0].length_km == pytest.approx(5.0)
        assert found.crossed[0].after_km == np.inf
        # Trees kept or felled along the way bar no animal.
        assert find_corridors(mesh, home, [make_work([edge], "forest")], terms).crossed == ()

    def test_a_way_round_keeps_the_link(self, terms):
        mesh, at = self.make_walk([*self.WALK, (2, 1), (3, 1), (4, 1)])
        edge = find_edge(mesh, at, (2, 0), (3, 0))
        found = find_corridors(mesh, np.ones(mesh.cell_count, bool), [make_work([edge], "fence")], terms)
        assert (len(found.crossed), found.cut, found.lengthened) == (1, 0, 0)
        assert found.crossed[0].after_km - found.crossed[0].length_km == pytest.approx(1.0)

    def test_ditch_through_a_patch(self, terms):
        mesh, at = self.make_walk(self.WALK)
        mesh, at = make_mesh(self.WALK, cover=mesh.cover, protected=fill(at, {(0, 0): 1.0, (1, 0): 0.5}))
        work = make_work([find_edge(mesh, at, (0, 0), (1, 0))], "ditch")
        found = find_corridors(mesh, np.ones(6, bool), [work], terms)
        assert (found.patches, found.links, found.patches_entered) == (1, 0, 1)

    def test_without_protected_ground_nothing_is_known(self, terms):
        mesh, _ = make_mesh(ROW)
        assert find_corridors(mesh, np.ones(5, bool), [], terms) is None

    def test_rewetted_peat_saves_by_cover(self, terms):
        mesh, at = make_mesh(ROW)
        soil = np.tile([0.5, 0.0, 0.0, 0.5], (5, 1))
        mesh, at = make_mesh(
            ROW, soil=soil, cover=cover_with(5, at, {(0, 0): "wetland", (1, 0): "dense_forest"})
        )
        ha = np.zeros((3, 3, 9))
        ha[0, 0, 0], ha[0, 1, 5] = 10.0, 4.0
        ha[1, 0, 0] = 2.0
        ha[2, 2, 4] = 3.0
        gain = account_gain(mesh, Taken(np.array([at[2, 0], at[0, 0], at[1, 0]]), ha), terms)
        # Wetland gains nothing; 10 ha x half peat x 20 t, and 2 ha planted x 6 t.
        assert gain.rewetted_ha == 10.0
        assert gain.rewetted_peat_ha == 5.0
        assert gain.saved_t_per_year.mode == pytest.approx(10 * 0.5 * 20 + 2 * 6)
        assert (gain.additional_ha.low, gain.additional_ha.mode) == (0.0, 10.0)
        assert gain.additional_t_per_year.low == pytest.approx(2 * 2)
        assert (gain.forest_cleared_ha, gain.cleared_t.mode) == (3.0, 900.0)
        # 3 cells of 100 ha cropland, half peat: 150 ha; 30 % of it, a quarter rewetted: 11.25 ha.
        target = account_peat_target(mesh, np.ones(5, bool), gain, terms)[0]
        assert (target.year, target.drained_farmed_ha) == (2030, 150.0)
        assert target.needed_ha == pytest.approx(11.25)
        assert target.share == pytest.approx(5 / 11.25)

    def test_wet_option_counts_as_rewetting(self, study):
        mesh, at = make_mesh(ROW, soil=np.tile([0.0, 0.0, 0.0, 1.0], (5, 1)))
        siting, plan = choose(study, mesh, [make_site([find_edge(mesh, at, (0, 0), (1, 0))])], "wet")
        account = account_land(study, mesh, siting, plan)
        assert account.gain.rewetted_peat_ha == pytest.approx(20.0)
        assert account.gain.saved_t_per_year.mode == pytest.approx(400.0)
        assert account.peat_targets[0].share == pytest.approx(20.0 / (500 * 0.3 * 0.25))
        assert spread_ground(mesh, list_site_works(study, mesh, siting, plan)).ha[0].sum() == pytest.approx(
            20.0
        )


@pytest.mark.slow
def test_lithuania(lithuania_built):
    """Every eighth line site dug: parts add up, figures agree with the impact page, and it is quick."""
    study, mesh = lithuania_built
    lines = find_echelon_lines(study, mesh)
    sites, _ = find_sites(study, mesh, lines, np.zeros(mesh.edge_count))
    picked = [site for site in sites if site.kind == "line"][::8]
    siting, plan = choose(study, mesh, picked, "ditch")
    account_land(study, mesh, siting, plan)
    start = time.process_time()
    account = account_land(study, mesh, siting, plan)
    assert time.process_time() - start < 5.0
    assert account.land_ha > 100.0
    for parts in (account.by_cover, account.by_owner):
        assert sum(parts.values()) == pytest.approx(account.land_ha)
    assert sum(one.land_ha for one in account.sites) == pytest.approx(account.land_ha)
    impact = assess_impact(study, mesh, siting, plan)
    assert impact.land_take_ha == pytest.approx(account.by_cover, rel=1e-6)
    assert impact.protected_ha == pytest.approx(account.protected_ha, rel=1e-6)
    assert 0 < account.persons_near < impact.people_near
    assert account.farms.basis == CELLS
    assert account.water.known
    # One of the sites closes a road only.
    assert len(account.water.sites) == sum(site.gap_km > 0 for site in picked) > 20
    assert account.peat_targets == ()
