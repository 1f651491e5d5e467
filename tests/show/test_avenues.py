"""The command `avenues`, its section in the report, its maps and its layers in plan.gpkg."""

from __future__ import annotations

import json
import re

import geopandas as gpd
import numpy as np
import pytest

from abatis.barrier.effects import EFFECTS
from abatis.ground.chokepoints import compute_betweenness
from abatis.ground.speeds import compute_edge_times
from abatis.show.avenue_maps import draw_avenue_maps, widen_shares
from abatis.show.avenue_tables import tabulate_effects, tabulate_findings
from abatis.show.cli import main


def read_json(capsys, *words):
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def package(solved_folder):
    return solved_folder / "plans" / "base" / "plan.gpkg"


class TestCommand:
    def test_without_a_plan(self, solved_folder, results, capsys):
        tables = read_json(capsys, "avenues", str(solved_folder))
        assert set(tables) == {"avenues", "shared", "chokepoints", "placeholders"}
        best = {row["approach"]: row for row in tables["avenues"] if row["avenue"] == 1}
        for one in results.plan.approaches:
            assert best[one.id]["hours"] == pytest.approx(one.before_h)
            assert best[one.id]["state"] == "before" and best[one.id]["delay_h"] is None
        assert all(row["length_km"] > 0 and row["start"] for row in tables["avenues"])

    def test_with_a_plan(self, solved_folder, results, capsys):
        tables = read_json(capsys, "avenues", str(solved_folder), "--plan", "base")
        best = {
            row["approach"]: row
            for row in tables["avenues"]
            if row["avenue"] == 1 and row["state"] == "after"
        }
        for one in results.plan.approaches:
            assert best[one.id]["hours"] == pytest.approx(one.after_h)
            assert best[one.id]["delay_h"] == pytest.approx(one.after_h - one.before_h)
            assert best[one.id]["moved_km"] >= 0
        assert {row["site"] for row in tables["effects"]} == {one.site for one in results.plan.options}
        assert {row["effect"] for row in tables["effects"]} <= set(EFFECTS)
        assert [row["effect"] for row in tables["definitions"]] == list(EFFECTS)
        assert sum(row["sites"] for row in tables["definitions"]) == len(results.plan.options)

    def test_shares_are_those_of_the_definition(self, solved_folder, results, capsys):
        """The table's share is counted again from the study's times, approach by approach."""
        tables = read_json(capsys, "avenues", str(solved_folder))
        mesh, problem = results.mesh, results.siting.problem
        total = np.zeros(mesh.cell_count)
        for index, key in enumerate(problem.approach_keys):
            row = results.study.find_row("approaches", key)
            times = compute_edge_times(results.study, mesh, row["vehicle"], row["season"])
            front, target = problem.approach_sources[index], int(problem.approach_targets[index][0])
            total += row["weight"] * compute_betweenness(mesh, times.time_h, front, target).cell
        total /= results.study.tables["approaches"]["weight"].sum()
        cells = [row for row in tables["chokepoints"] if row["kind"] == "cell"]
        assert cells
        for row in cells:
            place = int(np.searchsorted(mesh.cells, np.uint64(int(row["h3"][0], 16))))
            assert row["share"] == pytest.approx(total[place])
            assert row["lost_h"] is None or row["lost_h"] >= 0

    def test_one_approach_separate_and_in_words(self, solved_folder, results, capsys):
        key = results.plan.approaches[0].id
        words = ("avenues", str(solved_folder), "--approach", key, "--separate", "--corridor", "2")
        tables = read_json(capsys, *words, "--count", "2")
        assert {row["approach"] for row in tables["avenues"]} == {key}
        assert len(tables["avenues"]) <= 2
        assert main(list(words)) == 0
        shown = capsys.readouterr().out
        assert "no two avenues come closer than 2 km" in shown and "Chokepoints" in shown

    def test_limits_given_are_limits_used_and_printed(self, solved_folder, capsys):
        words = ("avenues", str(solved_folder), "--plan", "base")
        strict = read_json(capsys, *words, "--disrupt", "0.001", "--fix", "0.002", "--block", "0.003")
        loose = read_json(capsys, *words, "--disrupt", "90", "--fix", "95", "--block", "99")
        assert {row["effect"] for row in strict["effects"]} & {"block"}
        assert {row["effect"] for row in loose["effects"]} <= {"turn", "none"}
        assert "99 h" in loose["definitions"][0]["definition"]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--plan", "bsae"), "did you mean 'base'?"),
            (("--approach", "nowhere"), "there is no approach 'nowhere'"),
            (("--fix", "0.1"), "let them rise"),
            (("--corridor", "-3"), "--corridor: is -3.0 (give a positive number)"),
            (("--corridor", "nan", "--turn", "-1"), "2 faults"),
            (("--disrupt", "5", "--fix", "1"), "--disrupt --fix --block: limits of delay are 5, 1, 6 h"),
            (("--disrupt", "-1", "--fix", "9"), "--disrupt: is -1.0"),
            (("--disrupt", "-1", "--fix", "9"), "--fix --block: limits of delay are 9, 6 h"),
            (("--disrupt", "0", "--block", "nan"), "2 faults"),
        ],
    )
    def test_faults(self, solved_folder, capsys, options, words):
        assert main(["avenues", str(solved_folder), *options]) == 1
        assert words in capsys.readouterr().err

    def test_a_plan_of_another_study_is_refused(self, study_copy, capsys):
        settings = study_copy / "study.toml"
        settings.write_text(settings.read_text("utf-8").replace("seed = 1", "seed = 2"), "utf-8")
        assert main(["avenues", str(study_copy), "--plan", "base"]) == 1
        assert "another state of the study" in capsys.readouterr().err


class TestTables:
    def test_numbers_of_the_best_avenues_agree_with_the_plan(self, results):
        tables = tabulate_findings(results.study, results.mesh, results.avenues, results.siting)
        for one in results.plan.approaches:
            rows = [row for row in tables["avenues"].rows if row["approach"] == one.id and row["avenue"] == 1]
            assert [row["hours"] for row in rows] == pytest.approx([one.before_h, one.after_h])

    def test_effects_stand_under_the_labels_of_the_maps(self, results):
        table = tabulate_effects(results.siting, results.avenues.effects)
        assert [row["label"] for row in table.rows] == sorted(one.label for one in results.chosen)
        for row in table.rows:
            weights = {name: row[f"weight_{name}"] for name in EFFECTS[:-1]}
            if row["effect"] == "none":
                assert not any(weights.values()) and row["approach"] == ""
            else:
                assert weights[row["effect"]] == max(weights.values()) > 0
                assert f"{row['effect']} {weights[row['effect']]:.2f}" in row["weights"]
        counted = dict(re.findall(r"(\w+) (\d+)", table.note.split(":")[1]))
        assert sum(int(count) for count in counted.values()) == len(results.chosen)


class TestReportMapsAndLayers:
    def test_report_has_the_section_and_its_definitions(self, solved_folder, results):
        text = (solved_folder / "plans" / "base" / "report.html").read_text("utf-8")
        assert text.count('<section id="avenues"') == 1
        assert 'href="#avenues"' in text
        for key in ("avenues", "shared", "chokepoints", "definitions", "effects"):
            assert f'id="table-{key}"' in text
        assert 'id="map-avenues"' in text and 'id="map-effects"' in text
        section = text[text.index('id="table-effects"') :]
        for one in results.chosen:
            assert f"<td>{one.label}</td>" in section
        assert "6 h or more" in text

    def test_maps_show_what_the_tables_name(self, results, base_map):
        needs, effects = draw_avenue_maps(results, base_map)
        labels = {text for text, _ in needs.labels}
        assert labels & {one.label for one in results.avenues.chokepoints}
        assert "avenue 1" in needs.legend
        for name in EFFECTS:
            count = sum(one.effect == name for one in results.avenues.effects)
            assert any(text.startswith(f"{name} ({count} site") for text in effects.legend) == (count > 0)
        assert (needs.key, effects.key) == ("avenues", "effects")

    def test_a_narrow_way_is_drawn_with_its_neighbours(self, results):
        mesh = results.mesh
        share = np.zeros(mesh.cell_count)
        middle = int(np.flatnonzero((mesh.neighbor >= 0).all(axis=1))[0])
        share[middle] = 0.7
        wide = widen_shares(mesh, share)
        assert set(np.flatnonzero(wide == 0.7).tolist()) == {middle, *mesh.neighbor[middle].tolist()}

    def test_layers_carry_the_same_numbers(self, package, results):
        avenues = gpd.read_file(package, layer="avenues")
        for one in results.plan.approaches:
            mine = avenues[(avenues["approach"] == one.id) & (avenues["avenue"] == 1)].set_index("state")
            assert mine.loc["before", "hours"] == pytest.approx(one.before_h, abs=1e-4)
            assert mine.loc["after", "hours"] == pytest.approx(one.after_h, abs=1e-4)
        needed = gpd.read_file(package, layer="needed_cells").set_index("h3")
        mesh, share = results.mesh, results.avenues.share.cell
        for cell in np.argsort(-share)[:20]:
            assert needed.loc[f"{int(mesh.cells[cell]):x}", "share"] == pytest.approx(share[cell], abs=1e-4)
        points = gpd.read_file(package, layer="chokepoints")
        assert set(points["label"]) == {one.label for one in results.avenues.chokepoints}
        sites = gpd.read_file(package, layer="sites")
        chosen = sites[sites["chosen"].astype(bool)].set_index("site")["effect"].to_dict()
        assert chosen == {one.site: one.effect for one in results.avenues.effects}
