"""Posts: tables and faults, what sensors see, where they may stand, and the choice with its bound."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace

import numpy as np
import post_cases as cases
import pytest
import shapely

from abatis.model.errors import InputError
from abatis.show.cli import main
from abatis.watch.candidates import list_candidates, locate_standing, mask_near_lines, pick_high_ground
from abatis.watch.catalogue import Posts, StandingPost, read_catalogue, read_terms
from abatis.watch.demand import measure_nearness, scale_row
from abatis.watch.masts import TallPoints, read_tall_points
from abatis.watch.posts import choose_posts, list_post_options, list_rivals, settle_rivals
from abatis.watch.seen import Outlook, combine_chances, count_seen_by, find_seen, look_from, make_view
from abatis.watch.sight import VISIBLE, build_relief

TERMS = read_terms()
NO_BORDER = cases.make_pieces([])


def make_post(sensor, lon=24.0, lat=54.0, renewal=2030, paid=False, key="one"):
    return StandingPost(key, key, lon, lat, sensor, 0.0, 360.0, 2020, renewal, paid, 2, "test", "G")


def look_around(ground, outlook, view):
    """One outlook on its own relief: upper left pixel of its window, and what it sees, bool[h, w]."""
    reach = math.ceil(min(view.range_m / ground.grid.pixel_m, max(ground.grid.shape))) + 1
    top, left = max(0, outlook.row - reach), max(0, outlook.column - reach)
    window = np.s_[top : outlook.row + reach + 1, left : outlook.column + reach + 1]
    pixel_m = ground.grid.pixel_m
    relief = build_relief(ground.elevation[window], pixel_m, pixel_m, ground.canopy[window])
    pixels = np.array([(outlook.row - top, outlook.column - left)], np.int64)
    corners, windows = look_from(relief, pixels, outlook.sensor.mast_height_m, view, True)
    return (top + int(corners[0, 0]), left + int(corners[0, 1])), windows[0] == VISIBLE


class TestTables:
    """What is wrong with sensors.csv, posts.csv and watch_terms.csv is named all at once."""

    @pytest.fixture
    def folder(self, tmp_path):
        assert main(["new", str(tmp_path / "study")]) == 0
        return tmp_path / "study"

    def read(self, folder):
        from abatis.model.study import read_study

        return read_study(folder)

    def test_template_and_packaged_terms_are_fine(self, folder):
        catalogue = read_catalogue(self.read(folder))
        assert [one.key for one in catalogue.sensors.items] == ["camera", "radar", "acoustic"]
        assert [one.key for one in catalogue.sensors.list_for("vehicle")] == ["camera", "radar"]
        assert catalogue.sensors.find("camera").chance == pytest.approx(0.9 * 0.7)
        assert {one.tag for one in catalogue.terms.values()} <= {"F", "F-", "D", "G"}

    def test_all_faults_of_all_tables_at_once(self, folder):
        sensors = folder / "tables" / "sensors.csv"
        text = sensors.read_text("utf-8")
        text = text.replace(",35,2000000,4000000,", ",-35,2000000,9000000,").replace(",12000,", ",0,")
        sensors.write_text(text.replace(",,,3500,", ",,,,"), "utf-8")
        (folder / "tables" / "posts.csv").write_text(
            "post,name,lon,lat,sensor,from_deg,to_deg,built_year,renewal_year,source,tag\n"
            "a,A,24.1,55.0,camra,,,2020,,s,G\nb,B,24.1,55.0,camera,10,,2020,2010,s,G\n"
            "b,B,24.1,55.0,camera,,,2020,,s,G\n",
            "utf-8",
        )
        (folder / "tables" / "watch_terms.csv").write_text(
            "term,value,unit,meaning,source,tag\nseen_shar,1,share,m,s,G\nborder_share,2,share,m,s,G\n"
            "height_person_m,-1,m,m,s,G\n",
            "utf-8",
        )
        with pytest.raises(InputError) as caught:
            read_catalogue(self.read(folder))
        told = str(caught.value)
        for words in (
            "row 2, mast_height_m: is -35 but must be at least 0",
            "row 3, range_vehicle_m: is 0 but must be at least 1",
            "row 2, cost_eur: low, likely and high do not rise",
            "row 4, range_vehicle_m: finds nothing",
            "posts.csv, row 2, sensor: 'camra' is not in tables/sensors.csv (did you mean 'camera'?)",
            "posts.csv, row 3, from_deg: is half a sector",
            "posts.csv, row 3, renewal_year: is 2010, before it was built in 2020",
            "posts.csv, row 4, post: 'b' stands",
            "watch_terms.csv, row 2, term: there is no term 'seen_shar' (did you mean 'seen_share'?)",
            "watch_terms.csv, row 3, value: is 2 (give 0 to 1)",
            "watch_terms.csv, row 4, value: is -1 (give at least 0)",
        ):
            assert words in told, words

    def test_a_study_without_sensors_is_told_so(self, folder):
        (folder / "tables" / "sensors.csv").unlink()
        with pytest.raises(InputError, match=r"sensors.csv: is missing"):
            read_catalogue(self.read(folder))

    def test_renewal_year_is_built_year_plus_life_when_empty(self, folder):
        (folder / "tables" / "posts.csv").write_text(
            "post,name,lon,lat,sensor,built_year,source,tag\na,A,24.1,55.0,camera,2020,s,G\n",
            "utf-8",
        )
        post = read_catalogue(self.read(folder)).posts.items[0]
        assert post.renewal_year == 2032
        assert (post.ages_by(2031), post.ages_by(2032)) == (False, True)
        assert not replace(post, renewal_paid=True).ages_by(2032)

    def test_own_terms_go_before_the_packaged_ones(self, folder):
        (folder / "tables" / "watch_terms.csv").write_text(
            "term,value,unit,meaning,source,tag\nseen_share,0.25,share,m,own,D\n", "utf-8"
        )
        terms = read_terms(self.read(folder))
        assert (terms["seen_share"].value, terms["seen_share"].source) == (0.25, "own")
        assert terms["border_share"].value == TERMS["border_share"].value


class TestSeen:
    """Ten pixels of 100 m in a row, two to a cell; the eye 10 m, the target 2.5 m above ground."""

    cell = np.repeat(np.arange(5), 2)[None, :]

    def see(self, ground, outlook, pieces=NO_BORDER, target="vehicle"):
        found = find_seen(ground, pieces, [outlook], target, TERMS)
        return found.cells.take(0).tolist(), found.border.take(0).tolist()

    def test_flat_ground_is_seen_as_far_as_the_range(self):
        ground = cases.make_ground(np.zeros((1, 10)), self.cell)
        assert self.see(ground, Outlook(0, 0, cases.make_sensor(reach_m=500.0)))[0] == [0, 1, 2]
        # At 600 m half of the fourth cell is in range: half of its land is enough.
        assert self.see(ground, Outlook(0, 0, cases.make_sensor(reach_m=600.0)))[0] == [0, 1, 2, 3]

    def test_a_hill_hides_what_is_behind_it_but_not_from_sound(self):
        heights = np.zeros((1, 10))
        heights[0, 4] = 50.0
        ground = cases.make_ground(heights, self.cell)
        assert self.see(ground, Outlook(0, 0, cases.make_sensor()))[0] == [0, 1, 2]
        sound = cases.make_sensor("sound", "acoustic")
        assert self.see(ground, Outlook(0, 0, sound))[0] == [0, 1, 2, 3, 4]

    def test_trees_hide_but_do_not_lift_the_mast(self):
        canopy = np.zeros((1, 10))
        canopy[0, 4:6] = 20.0
        ground = cases.make_ground(np.zeros((1, 10)), self.cell, canopy)
        assert self.see(ground, Outlook(0, 0, cases.make_sensor()))[0] == [0, 1]
        # From inside the wood a mast of 30 m looks out over it, one of 10 m sees its own pixel only.
        assert self.see(ground, Outlook(0, 4, cases.make_sensor(mast_m=30.0)))[0] == [0, 1, 2, 3, 4]
        assert 0 not in self.see(ground, Outlook(0, 5, cases.make_sensor(mast_m=10.0)))[0]

    def test_half_of_the_land_counts_and_water_does_not(self):
        heights = np.zeros((1, 10))
        heights[0, 3] = 50.0
        ground = cases.make_ground(heights, self.cell)
        # Cell 1 is seen up to the hill and on its slope; behind it nothing.
        assert self.see(ground, Outlook(0, 0, cases.make_sensor()))[0] == [0, 1]
        lake = np.zeros((1, 10), bool)
        lake[0, 5] = True
        wet = cases.make_ground(np.zeros((1, 10)), self.cell, water=lake)
        near = Outlook(0, 0, cases.make_sensor(reach_m=400.0))
        assert wet.cell_pixels.tolist() == [2, 2, 1, 2, 2]
        assert self.see(wet, near)[0] == [0, 1, 2]

    def test_a_sector_looks_one_way_only(self):
        ground = cases.make_ground(np.zeros((1, 10)), self.cell)
        east = Outlook(0, 5, cases.make_sensor(), 45.0, 135.0)
        west = Outlook(0, 5, cases.make_sensor(), 225.0, 315.0)
        assert self.see(ground, east)[0] == [2, 3, 4]
        assert self.see(ground, west)[0] == [0, 1, 2]
        sound = cases.make_sensor("sound", "acoustic")
        assert self.see(ground, Outlook(0, 5, sound, 45.0, 135.0))[0] == [2, 3, 4]

    def test_without_elevation_range_alone_counts_and_is_said(self):
        ground = cases.make_ground(None, self.cell)
        outlooks = [Outlook(0, 0, cases.make_sensor(reach_m=300.0)),
                    Outlook(0, 9, cases.make_sensor("sound", "acoustic", reach_m=300.0))]  # fmt: skip
        found = find_seen(ground, NO_BORDER, outlooks, "vehicle", TERMS)
        assert (found.by_range, found.cells.take(0).tolist(), found.cells.take(1).tolist()) == (
            1,
            [0, 1],
            [3, 4],
        )

    def test_voids_are_not_seen_and_hide_nothing(self):
        heights = np.zeros((1, 10))
        heights[0, 4:6] = np.nan
        ground = cases.make_ground(heights, self.cell)
        assert self.see(ground, Outlook(0, 0, cases.make_sensor()))[0] == [0, 1, 3, 4]

    def test_radar_sees_farther_over_the_curved_earth_than_a_camera(self):
        """From 10 m the sea hides 2.5 m at sqrt(2 R h / (1 - k)): cameras 18.2 km, radar 19.6 km in all."""
        columns = 250
        cell = np.arange(columns)[None, :]
        ground = cases.make_ground(np.zeros((1, columns)), cell)
        far = {
            kind: max(self.see(ground, Outlook(0, 0, cases.make_sensor("s", kind, reach_m=1e5)))[0]) * 0.1
            for kind in ("camera_tower", "ground_radar")
        }
        for kind, refraction in (("camera_tower", 0.13), ("ground_radar", 0.25)):
            horizon = sum(np.sqrt(2 * 6_378_137 * height / (1 - refraction)) for height in (10.0, 2.5)) / 1000
            assert far[kind] == pytest.approx(horizon, abs=0.1), kind
        assert far["camera_tower"] < far["ground_radar"]

    def test_border_pieces_count_from_half_of_their_samples(self):
        ground = cases.make_ground(np.zeros((1, 10)), self.cell)
        pieces = cases.make_pieces([[(0, c) for c in range(10)], [(0, 9)] * 6 + [(-1, -1)] * 4])
        assert self.see(ground, Outlook(0, 0, cases.make_sensor(reach_m=400.0)), pieces)[1] == [0]
        assert self.see(ground, Outlook(0, 0, cases.make_sensor(reach_m=300.0)), pieces)[1] == []
        assert self.see(ground, Outlook(0, 9, cases.make_sensor(reach_m=50.0)), pieces)[1] == [1]

    def test_many_at_once_see_what_each_sees_alone(self):
        import sight_cases

        random = np.random.default_rng(3)
        heights = sight_cases.make_hills(40, 60, 5)
        cell = np.arange(40 * 60).reshape(40, 60)
        ground = cases.make_ground(heights, cell, random.choice([0.0, 15.0], (40, 60)))
        sensors = [
            cases.make_sensor("a", reach_m=1_500.0),
            cases.make_sensor("b", "ground_radar", 25.0, 9_000.0),
        ]
        looks = [
            Outlook(int(random.integers(40)), int(random.integers(60)), sensors[n % 2], *sector)
            for n, sector in enumerate([(0.0, 360.0), (0.0, 360.0), (300.0, 20.0), (80.0, 300.0)] * 3)
        ]
        found = find_seen(ground, NO_BORDER, looks, "vehicle", TERMS)
        for number, look in enumerate(looks):
            corner, seen = look_around(ground, look, make_view(look, "vehicle", TERMS))
            whole = np.zeros(cell.shape, bool)
            whole[corner[0] : corner[0] + seen.shape[0], corner[1] : corner[1] + seen.shape[1]] = seen
            assert np.array_equal(np.flatnonzero(whole), found.cells.take(number))
        assert len(found.cells.point) > 100

    def test_a_sensor_that_does_not_find_the_target_is_refused(self):
        ground = cases.make_ground(np.zeros((1, 10)), self.cell)
        with pytest.raises(InputError, match="sensor 'camera' does not find low_air"):
            self.see(ground, Outlook(0, 0, cases.make_sensor()), target="low_air")

    def test_counts_and_chances(self):
        ground = cases.make_ground(np.zeros((1, 10)), self.cell)
        looks = [
            Outlook(0, 0, cases.make_sensor(reach_m=500.0)),
            Outlook(0, 9, cases.make_sensor(reach_m=500.0)),
        ]
        cells = find_seen(ground, NO_BORDER, looks, "vehicle", TERMS).cells
        assert count_seen_by(cells, np.ones(2, bool), 5).tolist() == [1, 1, 2, 1, 1]
        assert count_seen_by(cells, np.array([True, False]), 5).tolist() == [1, 1, 1, 0, 0]
        chance = combine_chances(cells, np.ones(2, bool), np.array([0.4, 0.5]), 5)
        assert chance.tolist() == pytest.approx([0.4, 0.4, 0.7, 0.5, 0.5])


class TestPlaces:
    """High ground near roads, masts, standing posts."""

    cell = np.zeros((6, 6), int)

    def place_lonlat(self, ground, row, column):
        lon, lat = ground.grid.place(np.array([row]), np.array([column]))
        return float(lon[0]), float(lat[0])

    def test_high_ground_must_be_near_a_line(self):
        ground = cases.make_ground(np.zeros((6, 6)), self.cell)
        a, b = self.place_lonlat(ground, 0, 2), self.place_lonlat(ground, 5, 2)
        near = mask_near_lines(np.array([shapely.LineString([a, b])], object), ground.grid, 100.0)
        assert near[0].tolist() == [False, True, True, True, False, False]
        assert mask_near_lines(np.array([], object), ground.grid, 100.0).all()
        worth = np.arange(36.0).reshape(6, 6)
        assert pick_high_ground(worth, near, ground.grid, 0.3) == [(2, 2), (2, 3), (5, 2), (5, 3)]

    def test_posts_outside_and_on_voids_are_named_together(self):
        heights = np.zeros((6, 6))
        heights[1, 1] = np.nan
        ground = cases.make_ground(heights, self.cell)
        sensor = cases.make_sensor()
        good, void = self.place_lonlat(ground, 4, 4), self.place_lonlat(ground, 1, 1)
        posts = Posts(
            (
                make_post(sensor, *good),
                make_post(sensor, *void, key="void"),
                make_post(sensor, 20.0, 50.0, key="far"),
            )
        )
        assert locate_standing(ground, Posts(posts.items[:1])) == [(4, 4)]
        with pytest.raises(InputError) as caught:
            locate_standing(ground, posts)
        told = str(caught.value)
        assert "post 'void' stands where no elevation is known" in told
        assert "post 'far' lies outside the ground of the study" in told
        assert len(caught.value.faults) == 2

    def test_standing_masts_and_high_ground_come_in_this_order(self):
        heights = np.zeros((6, 6))
        heights[2, 3] = 9.0
        ground = cases.make_ground(heights, self.cell)
        mast = self.place_lonlat(ground, 5, 5)
        tall = TallPoints(np.array([mast[0]]), np.array([mast[1]]))
        posts = Posts((make_post(cases.make_sensor(), *self.place_lonlat(ground, 0, 0)),))

        class Land:
            border_km = np.array([3.0])

            def mask_countries(self, _codes):
                return np.array([True])

        class Home:
            home = ("H",)

        places = list_candidates(Home(), Land(), ground, posts, np.array([], object), tall, TERMS)
        assert places.kind == ("standing", "mast", "high_ground")
        assert list(zip(places.row, places.column, strict=True)) == [(0, 0), (5, 5), (2, 3)]
        assert places.height_m.tolist() == [0.0, 0.0, 9.0]
        catalogue = read_catalogue_of(posts, [cases.make_sensor(), cases.make_sensor("r", "ground_radar")])
        options = list_post_options(catalogue, places, "vehicle", 2035)
        # The camera that stands is renewed for 60 %; on its mast only the radar is offered, for 70 %.
        offered = zip(options.place.tolist(), options.sensor, options.cost_eur.tolist(), strict=True)
        assert [(place, sensor.key, cost) for place, sensor, cost in offered] == [
            (0, "camera", 60.0), (0, "r", 70.0), (1, "camera", 70.0), (1, "r", 70.0), (2, "camera", 100.0),
            (2, "r", 100.0),
        ]  # fmt: skip
        assert options.fixed.tolist() == [False] * 6
        young = list_post_options(catalogue, places, "vehicle", 2029)
        assert (bool(young.fixed[0]), float(young.cost_eur[0])) == (True, 0.0)

    def test_masts_and_power_lines_are_read_from_openstreetmap(self, tmp_path):
        assert main(["new", str(tmp_path / "s")]) == 0
        nodes = [(1, 24.1, 55.0), (2, 24.2, 55.0), (3, 24.3, 55.0), (4, 24.301, 55.0), (5, 24.301, 55.001)]
        (tmp_path / "s" / "sources" / "a.osm").write_text(
            "<?xml version='1.0'?><osm version='0.6'>"
            + "".join(
                f"<node id='{n}' lon='{x}' lat='{y}' version='1'>"
                + (
                    "<tag k='man_made' v='mast'/>"
                    if n == 1
                    else "<tag k='man_made' v='pier'/>"
                    if n == 2
                    else ""
                )
                + "</node>"
                for n, x, y in nodes
            )
            + "<way id='1' version='1'><nd ref='1'/><nd ref='2'/><tag k='power' v='line'/></way>"
            "<way id='2' version='1'><nd ref='3'/><nd ref='4'/><nd ref='5'/><nd ref='3'/>"
            "<tag k='man_made' v='water_tower'/></way></osm>",
            "utf-8",
        )
        listed = tmp_path / "s" / "sources" / "sources.csv"
        header = listed.read_text("utf-8").splitlines()[0].split(",")
        row = {"layer": "osm", "file": "a.osm", "licence": "ODbL", "source": "test", "tag": "G"}
        with listed.open("a", encoding="utf-8") as file:
            file.write(",".join(row.get(column, "") for column in header) + "\n")
        from abatis.ground.sources import Area
        from abatis.model.study import read_study

        study = read_study(tmp_path / "s")
        tall = read_tall_points(study, Area(23.0, 54.0, 25.0, 56.0))
        assert tall.files == ("a.osm",)
        assert sorted(tall.lon.round(2)) == [24.1, 24.3]
        assert [line.length for line in tall.power_lines] == pytest.approx([0.1])
        assert len(read_tall_points(study, Area(10.0, 10.0, 11.0, 11.0)).lon) == 0


def read_catalogue_of(posts, sensors):
    from abatis.watch.catalogue import Catalogue, Sensors

    return Catalogue(Sensors(tuple(sensors)), posts, TERMS)


class TestChoice:
    """The choice against trying everything."""

    @pytest.mark.parametrize("times", [1, 2])
    @pytest.mark.parametrize("seed", range(6))
    def test_choice_is_the_best_of_all(self, seed, times):
        options, seen, weight = cases.make_choice(seed)
        plan = choose_posts(options, seen, weight, np.zeros(0), 12.0, times=times, gap=0.0)
        best = cases.try_all(options, seen.cells, weight, 12.0, times)
        assert plan.covered_weight == pytest.approx(best)
        assert plan.bound == pytest.approx(best)
        assert plan.cost_eur <= 12.0
        assert plan.chosen[options.fixed].all()
        for group in list_rivals(options):
            assert plan.chosen[group].sum() <= 1
        assert plan.planned.share == pytest.approx(best / weight.sum())
        assert plan.whole_weight == weight.sum()

    def test_some_of_these_choices_have_rivals_that_matter(self):
        """Otherwise the test above would not see a broken rule."""
        worth = []
        for seed in range(6):
            options, seen, weight = cases.make_choice(seed)
            free = replace(options, place=np.arange(options.count, dtype=np.int32))
            worth.append(
                cases.try_all(free, seen.cells, weight, 12.0, 2)
                - cases.try_all(options, seen.cells, weight, 12.0, 2)
            )
        assert max(worth) > 0

    def test_bound_holds_when_time_is_up_at_once(self):
        rivals = [np.array([0, 1])]
        calls = []

        def solve(banned):
            calls.append(banned.copy())
            return np.array([True, True, False]), 10.0

        best, bound, parts = settle_rivals(solve, lambda c: float(c.sum()), rivals, 3, 0.0, lambda: False)
        assert (parts, bound, best.sum()) == (1, 10.0, 1)

    def test_renewal_is_paid_when_it_is_worth_it_and_lost_otherwise(self):
        options, seen, weight = cases.make_choice(1)
        options = replace(options, fixed=np.zeros(options.count, bool))
        options.cost_eur[0] = 5.0
        plan = choose_posts(options, seen, weight, np.zeros(0), 0.0, gap=0.0)
        assert plan.today.share > 0 and plan.left_alone.share == plan.planned.share == 0.0
        rich = choose_posts(options, seen, weight, np.zeros(0), 1000.0, gap=0.0)
        assert rich.planned.share >= rich.today.share

    def test_border_and_cells_are_both_covered(self):
        options, seen, weight = cases.make_choice(2)
        swapped = replace(seen, cells=seen.border, border=seen.cells)
        one = choose_posts(options, seen, weight, np.zeros(0), 9.0, gap=0.0)
        other = choose_posts(options, swapped, np.zeros(0), weight, 9.0, gap=0.0)
        assert one.covered_weight == other.covered_weight
        assert (other.planned.border_by > 0).sum() == (one.planned.seen_by > 0).sum()

    def test_bad_settings_are_named_at_once(self):
        options, seen, weight = cases.make_choice(0)
        weight[3] = -1
        with pytest.raises(InputError) as caught:
            choose_posts(options, seen, weight, np.zeros(0), -5.0, times=3)
        assert len(caught.value.faults) == 3


def test_nearness_and_scaling():
    assert measure_nearness(np.array([2.0, 2.25, 2.5, np.nan]), 2.0, 0.25)[:3].tolist() == [1.0, 0.5, 0.0]
    assert scale_row(np.zeros(3), 1.0).tolist() == [0.0, 0.0, 0.0]


def test_template_tables_travel_with_a_new_study(tmp_path):
    assert main(["new", str(tmp_path / "s")]) == 0
    shutil.rmtree(tmp_path / "s" / "sources")
    assert (tmp_path / "s" / "tables" / "sensors.csv").is_file()
