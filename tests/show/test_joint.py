"""`abatis joint` on two countries of the schematic Baltic case, coarse: tables, JSON, files, export."""

import json
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from PIL import Image

from abatis.examples.baltic import write_baltic
from abatis.show.cli import main


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Estonia and Latvia at resolution 7 with their meshes; not to be changed."""
    studies = write_baltic(tmp_path_factory.mktemp("baltic") / "all")[:2]
    for study in studies:
        settings = study / "study.toml"
        text = re.sub(r"resolution = \d", "resolution = 7", settings.read_text("utf-8"))
        settings.write_text(re.sub(r"pixel_m = \d+", "pixel_m = 250", text), "utf-8")
        assert main(["build", str(study)]) == 0
    return studies


@pytest.fixture(scope="module")
def answer(pair, tmp_path_factory) -> dict:
    import contextlib
    import io

    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert main(["joint", *map(str, pair), "--json"]) == 0
    return json.loads(shown.getvalue())


def test_json_keeps_its_contract_and_adds_up(answer):
    assert {"countries", "joint_points", "seams", "saving_eur"} <= set(answer)
    countries = {one["id"]: one for one in answer["countries"]}
    assert set(countries) == {"EE", "LV"}
    assert all({"alone_eur", "joint_eur", "shapley_eur"} <= set(one) for one in countries.values())
    total = sum(one["alone_eur"] for one in countries.values())
    assert answer["alone_eur"] == pytest.approx(total)
    assert answer["saving_eur"] == pytest.approx(total + answer["mending_eur"] - answer["joint_eur"])
    assert answer["saving_eur"] >= 0 and answer["joint_eur"] > 0
    for key in ("joint_eur", "shapley_eur"):
        assert sum(one[key] for one in countries.values()) == pytest.approx(answer["joint_eur"])
    value = {tuple(one["countries"]): one["eur"] for one in answer["coalitions"]}
    both = value["EE", "LV"]
    assert countries["EE"]["shapley_eur"] == pytest.approx((value["EE",] + both - value["LV",]) / 2)
    assert countries["EE"]["joint_minus_alone_eur"] == pytest.approx(
        countries["EE"]["joint_eur"] - countries["EE"]["alone_eur"]
    )


def test_joint_point_lies_on_the_common_border(answer):
    assert [point["between"] for point in answer["joint_points"]] == [["EE", "LV"]]
    point = answer["joint_points"][0]
    assert 26.5 < point["lon"] < 27.8 and 57.3 < point["lat"] < 57.9
    assert point["place"] and 0 <= point["place_km"] < 60
    for seam in answer["seams"]:
        assert seam["between"] == ["EE", "LV"] and seam["km"] >= seam["open_km"] >= 0
        assert seam["hours"] is not None and seam["hours"] >= 0


def test_tables_name_everything(pair, answer, capsys):
    assert main(["joint", *map(str, pair)]) == 0
    text = capsys.readouterr().out
    for words in ("fair share [EUR]", "Joint points", "Seams", "saving", f"{answer['saving_eur']:,.0f}"):
        assert words in text


def test_exports_give_the_same_answer(pair, answer, tmp_path, capsys):
    """Exports are written, then written anew with the neighbour's beside the study, then joined."""
    first = [tmp_path / "ee.json", tmp_path / "lv.json"]
    second = [tmp_path / "ee2.json", tmp_path / "lv2.json"]
    for study, file in zip(pair, first, strict=True):
        assert main(["joint", str(study), "--export", str(file)]) == 0
    for study, other, file in zip(pair, first[::-1], second, strict=True):
        assert main(["joint", str(study), str(other), "--export", str(file)]) == 0
    capsys.readouterr()
    for paths in ((second[0], second[1]), (second[0], pair[1])):
        assert main(["joint", *map(str, paths), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        for key in ("countries", "joint_points", "saving_eur", "joint_eur", "mending_eur", "coalitions"):
            assert found[key] == answer[key], key
        assert all(one["hours"] is None for one in found["seams"])
        assert any("export has no inner ground" in note for note in found["notes"])


def test_map_and_geopackage(pair, answer, tmp_path):
    chart, package = tmp_path / "map.png", tmp_path / "joint.gpkg"
    assert main(["joint", *map(str, pair), "--map", str(chart), "--geopackage", str(package)]) == 0
    with Image.open(chart) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert len(pixels) > 500_000
    for color in ((11, 79, 138), (224, 112, 27)):
        assert (np.abs(pixels.astype(int) - color).max(axis=1) < 6).sum() > 200
    lines = gpd.read_file(package, layer="lines")
    assert lines["line"].tolist() == ["joint", "alone", "alone"]
    assert lines["cost_eur"].iloc[0] == pytest.approx(answer["joint_eur"])
    points = gpd.read_file(package, layer="joint_points")
    assert points.geometry.iloc[0].x == pytest.approx(answer["joint_points"][0]["lon"])
    assert points.geometry.iloc[0].distance(lines.geometry.iloc[0]) < 1e-4
    seams = gpd.read_file(package, layer="seams").to_crs(3301)
    assert (seams.length / 1000).tolist() == pytest.approx([one["km"] for one in answer["seams"]], rel=0.01)


def test_faults_are_named(pair, tmp_path, capsys):
    study = str(pair[0])
    assert main(["joint", study]) == 1
    assert "give two or more" in capsys.readouterr().err
    assert main(["joint", study, study, study]) == 1
    told = capsys.readouterr().err
    assert "EE is given twice" in told and "give every country once" in told
    assert "overlap" not in told and told.count("twice") == 1
    assert main(["joint", study, str(tmp_path / "none")]) == 1
    assert "no study.toml" in capsys.readouterr().err
    bad = tmp_path / "bad.json"
    bad.write_text("{}", "utf-8")
    assert main(["joint", study, str(bad)]) == 1
    assert "no export of abatis joint" in capsys.readouterr().err
    assert main(["joint", str(bad), "--export", str(tmp_path / "x.json")]) == 1
    assert "study folder to export first" in capsys.readouterr().err
    assert main(["joint", *map(str, pair), "--depth", "5000"]) == 1
    assert "no ground of EE lies 5000 km" in capsys.readouterr().err


def test_the_report_says_what_the_joint_line_says(pair, tmp_path):
    from abatis.model.study import read_study
    from abatis.show.joint import describe_joint, join_paths
    from abatis.show.joint_map import write_joint_map
    from abatis.show.report.joint import build_joint_report

    found = join_paths(pair, None, lambda stage, share: None)
    write_joint_map(tmp_path / "map.png", found)
    page = build_joint_report(found, [read_study(one) for one in pair], (tmp_path / "map.png").read_bytes())
    shown = describe_joint(found)
    assert "Where the barriers of Estonia, Latvia meet" in page
    assert "schematic: it shows the method, not the ground" in page
    for point in shown["joint_points"]:
        assert f"{point['place_km']:.0f} km from {point['place']}" in page
    for one in shown["countries"]:
        assert f"{one['alone_eur']:,.0f}" in page
        assert f"{one['shapley_eur']:,.0f}" in page
    assert f"EUR {shown['saving_eur'] / 1e6:,.1f} million" in page
    assert "<script" not in page
    assert "<link" not in page


def test_an_unknown_case_of_the_demo_is_named(tmp_path, capsys):
    assert main(["demo", str(tmp_path / "x"), "--case", "balticum"]) == 1
    assert "there is no case 'balticum'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
