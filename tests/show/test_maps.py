"""Maps: something is on them, labels do not cover each other, legends are whole."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from abatis.show import sitemaps
from abatis.show.basemap import find_common_borders
from abatis.show.labels import Label, LabelSpace, place_labels
from abatis.show.maps import HOUR_COLORS, HOUR_STEPS, choose_limits, name_class
from abatis.show.sheet import Sheet, reduce_colors
from abatis.show.sitemaps import color_echelon, draw_detail_maps, draw_sites_map

MAPS = ("sites", "gain", "hours", "routes", "ground", "avenues", "effects")


def overlap(first, second) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def find_overlaps(labels) -> list[tuple[str, str]]:
    return [
        (one, other)
        for index, (one, box) in enumerate(labels)
        for other, second in labels[index + 1 :]
        if overlap(box, second)
    ]


def test_all_maps_are_there(maps):
    assert [image.key for image in maps] == list(MAPS)


@pytest.mark.parametrize("key", MAPS)
def test_map_shows_something_and_fits_its_frame(maps, key):
    image = next(one for one in maps if one.key == key)
    picture = Image.open(io.BytesIO(image.png)).convert("RGB")
    assert picture.size == (image.width_px, image.height_px)
    pixels = np.asarray(picture).reshape(-1, 3)
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    assert len(colors) > 20
    assert counts.max() < 0.9 * len(pixels)
    assert image.labels
    assert find_overlaps(image.labels) == []
    for _, (x0, y0, x1, y1) in image.labels:
        assert 0 <= x0 < x1 <= image.width_px
        assert 0 <= y0 < y1 <= image.height_px
    assert len(image.legend) >= 3
    assert all(image.legend)
    assert len(set(image.legend)) == len(image.legend)


def test_every_chosen_site_is_labelled_on_the_map(maps, results):
    shown = {text for text, _ in maps[0].labels}
    assert {one.label for one in results.chosen} <= shown
    assert len({one.label for one in results.chosen}) == len(results.chosen)


def test_few_sites_need_no_details(maps, results, base_map):
    assert draw_detail_maps(results, base_map, maps[0]) == []
    assert "detail" not in maps[0].legend


def test_many_sites_are_labelled_on_framed_details(results, base_map, monkeypatch):
    monkeypatch.setattr(sitemaps, "MOST_ON_DETAIL", 2)
    overview = draw_sites_map(results, base_map)
    details = draw_detail_maps(results, base_map, overview)
    assert len(details) == 2
    assert len(results.chosen) == 4
    written = {text for text, _ in overview.labels}
    assert {"detail 1", "detail 2"} <= written
    assert "detail" in overview.legend
    for one in results.chosen:
        assert one.label not in written
        assert sum(one.label in {text for text, _ in image.labels} for image in details) == 1


def test_source_note_lies_inside_the_map_however_long_it_is(results, base_map):
    sources = pd.concat([results.study.sources] * 4, ignore_index=True)
    sources["licence"] = [f"licence {row}" for row in range(len(sources))]
    sources["source"] = [
        f"a rather long name of somebody who made layer {row}" for row in range(len(sources))
    ]
    wordy = replace(base_map, study=replace(base_map.study, sources=sources))
    image = draw_sites_map(results, wordy)
    text, (x0, y0, x1, y1) = image.note
    assert text.count("\n") >= 1
    assert "others: see the report" in " ".join(text.split())
    assert "Made with abatis" in " ".join(text.split())
    assert 0 <= x0 < x1 <= image.width_px
    assert 0 <= y0 < y1 <= image.height_px
    assert not any(overlap(image.note[1], box) for _, box in image.labels)


def test_borders_are_only_where_two_countries_meet():
    lands = [
        ("A", shapely.box(0, 0, 50, 100)),
        ("B", shapely.box(50, 0, 100, 60)),
        ("C", shapely.box(50, 60, 100, 100)),
    ]
    at_home, elsewhere = find_common_borders(lands, ["A"], 0.4)
    assert sum(shapely.length(line) for line in at_home) == pytest.approx(100, abs=2)
    assert sum(shapely.length(line) for line in elsewhere) == pytest.approx(50, abs=2)
    for line in at_home:
        assert np.allclose(shapely.get_coordinates(line)[:, 0], 50)
    assert find_common_borders(lands[:1], ["A"], 0.4) == ((), ())


def test_frame_holds_every_cell_of_the_mesh(base_map):
    west, east, south, north = base_map.extent_km
    x, y = base_map.project(base_map.mesh.lon, base_map.mesh.lat).T
    assert west < x.min() < x.max() < east
    assert south < y.min() < y.max() < north


@pytest.mark.parametrize(
    ("word", "width_km", "named"),
    [
        ("", 400.0, ["main road"]),
        ("main", 400.0, ["main road"]),
        ("regional", 400.0, []),
        ("regional", 200.0, ["regional road"]),
        ("local", 100.0, ["local road"]),
    ],
)
def test_roads_of_each_class_are_drawn_where_the_map_has_room(base_map, word, width_km, named):
    line = shapely.linestrings([[-5.0, 0.0], [5.0, 0.0]])
    base = replace(
        base_map,
        extent_km=(-width_km / 2, width_km / 2, -width_km / 2, width_km / 2),
        layers={**base_map.layers, "roads": np.array([line])},
        classes={**base_map.classes, "roads": np.array([word], dtype=object)},
    )
    sheet = Sheet(base, "A map")
    sheet.draw_roads()
    assert [handle.get_label() for handle in sheet.handles] == named


def test_line_and_chosen_site_of_an_echelon_share_their_colour(maps, results, base_map):
    sheet = Sheet(base_map, "A map")
    sitemaps._draw_lines(sheet, results)
    looks = {handle.get_label(): (handle.get_color(), handle.get_linewidth()) for handle in sheet.handles}
    chosen = [text for text in looks if text.endswith("chosen site")]
    assert chosen
    for text in chosen:
        line = next(one for one in looks if one.startswith(text.split(":")[0]) and one.endswith(": line"))
        assert looks[line][0] == looks[text][0]
        assert looks[line][1] < looks[text][1]
    assert {looks[text][0] for text in chosen} == {
        color_echelon(one.site.echelon) for one in results.chosen if one.site.kind == "line"
    }


def test_a_short_thin_line_keeps_its_colour_among_many_others():
    rows, columns = np.mgrid[0:300, 0:400]
    pixels = np.dstack([(rows * 255) // 300, (columns * 255) // 400, 150 + (rows + columns) % 40])
    pixels = pixels.astype(np.uint8)
    pixels[150:152, 100:130] = (0, 114, 178)
    reduced = np.asarray(reduce_colors(Image.fromarray(pixels)).convert("RGB")).astype(int)
    assert len(np.unique(reduced.reshape(-1, 3), axis=0)) <= 256
    assert np.abs(reduced[150:152, 100:130] - (0, 114, 178)).max() <= 2
    assert np.abs(reduced - pixels).mean() < 12


def test_legend_of_a_theme_names_each_class_that_occurs_and_no_other(maps, results):
    hours = results.border_before_h[results.mesh.mask_countries(results.study.home)]
    limits = choose_limits(hours, HOUR_STEPS, len(HOUR_COLORS))
    present = np.unique(np.digitize(hours[np.isfinite(hours)], limits))
    image = next(one for one in maps if one.key == "hours")
    named = [text for text in image.legend if text.endswith((" h", " min"))]
    assert named == [name_class(limits, index) for index in present]


def test_maps_say_schematic_only_when_the_study_is(base_map):
    drawn = Sheet(base_map, "A map")
    surveyed = Sheet(replace(base_map, study=replace(base_map.study, schematic=False)), "A map")
    said = [text.get_text() for text in drawn.axes.texts]
    assert any("schematic" in text for text in said)
    assert not any("schematic" in text.get_text() for text in surveyed.axes.texts)


def test_map_has_equal_scale_in_both_directions(base_map):
    west, east, south, north = base_map.extent_km
    rows, columns = base_map.pixel_cell.shape
    assert (east - west) / columns == pytest.approx((north - south) / rows, rel=2e-3)
    # Two points ten kilometres apart, east-west and north-south, on the ground and on the map.
    east_deg, north_deg = 10.0 / (111.32 * np.cos(np.radians(55.0))), 10.0 / 111.34
    xy = base_map.project(
        np.array([24.45, 24.45 + east_deg, 24.45]), np.array([55.0, 55.0, 55.0 + north_deg])
    )
    assert np.hypot(*(xy[1] - xy[0])) == pytest.approx(10.0, rel=0.004)
    assert np.hypot(*(xy[2] - xy[0])) == pytest.approx(10.0, rel=0.004)


def test_pixels_know_their_cells_as_h3_does(base_map):
    import h3

    rows, columns = base_map.pixel_cell.shape
    west, east, south, north = base_map.extent_km
    generator = np.random.default_rng(4)
    inside = 0
    for row, column in zip(
        generator.integers(0, rows, 200), generator.integers(0, columns, 200), strict=True
    ):
        x = west + (column + 0.5) * (east - west) / columns
        y = north - (row + 0.5) * (north - south) / rows
        lon, lat = base_map.transformer.transform(x * 1000.0, y * 1000.0, direction="INVERSE")
        cell = int(base_map.pixel_cell[row, column])
        expected = h3.str_to_int(h3.latlng_to_cell(lat, lon, base_map.study.resolution))
        if cell >= 0:
            inside += 1
            assert int(base_map.mesh.cells[cell]) == expected
        else:
            assert expected not in base_map.mesh.cells
    assert inside > 50


def test_edges_of_the_map_lie_between_their_cells(base_map):
    mesh = base_map.mesh
    middle = base_map.edge_km.mean(axis=1)
    a = base_map.project(mesh.lon[mesh.edge_a], mesh.lat[mesh.edge_a])
    b = base_map.project(mesh.lon[mesh.edge_b], mesh.lat[mesh.edge_b])
    assert np.abs(middle - (a + b) / 2).max() < 0.05
    length = np.hypot(*(base_map.edge_km[:, 1] - base_map.edge_km[:, 0]).T)
    assert length == pytest.approx(mesh.length_m / 1000.0, rel=0.01)


def test_crowded_labels_never_overlap_and_the_first_in_rank_stays():
    figure = Figure(figsize=(4, 4), dpi=100)
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 10), ylim=(0, 10))
    box = axes.get_window_extent()
    space = LabelSpace(Bbox.from_extents(box.x0, box.y0, box.x1, box.y1))
    generator = np.random.default_rng(7)
    labels = [
        Label(f"Town {number}", *generator.uniform(4, 6, 2), rank=float(number), dot_pt=1.5)
        for number in range(40)
    ]
    placed = place_labels(axes, renderer, space, labels)
    boxes = [(text, (one.x0, one.y0, one.x1, one.y1)) for text, one in placed]
    assert find_overlaps(boxes) == []
    assert placed[0][0] == "Town 39"
    assert 3 < len(placed) < 40
    outside = Label("Elsewhere", 50.0, 50.0, rank=99.0)
    assert place_labels(axes, renderer, space, [outside]) == []
