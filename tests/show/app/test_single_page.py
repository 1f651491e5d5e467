"""The one-file page: what is recorded, that no text can break out of it, and that it opens in a browser."""

from __future__ import annotations

import base64
import gzip
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from abatis.model.mesh import read_mesh
from abatis.show.app import single_page
from abatis.show.app.single_page import (
    Bundle,
    PageSettings,
    fill_page,
    read_bundle,
    record_answers,
    round_hours,
    write_json,
    write_page,
)
from abatis.show.cli import main

NASTY = "</script><script>window.__stolen = 1</script><!-- \u2028 & <b>"
BUNDLE = Bundle(
    "<!doctype html>\n<html><head>\n    "
    '<script type="module" crossorigin src="./assets/index-1.js"></script>\n'
    '    <link rel="stylesheet" crossorigin href="./assets/index-1.css">\n  </head><body></body></html>',
    {
        "index-1.js": rb"const a = '</script>', b = /\1<!--/;",
        "index-1.css": b"body{color:red}",
        "worker-1.js": b"postMessage(1)",
    },
)


def say_nothing(_stage: str, _share: float) -> None:
    pass


@pytest.fixture(scope="module")
def folder(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(solved_folder, tmp_path_factory.mktemp("page") / "study"))


@pytest.fixture(scope="module")
def recorded(folder: Path) -> single_page.Recorder:
    return record_answers(folder, PageSettings(), say_nothing)


def read_hours(answer: dict) -> np.ndarray:
    table = pa.ipc.open_stream(io.BytesIO(gzip.decompress(base64.b64decode(answer["gzip"])))).read_all()
    return table.column(0).to_numpy()


def test_everything_the_page_asks_is_there(recorded, folder):
    answers = recorded.answers
    study = answers["/api/study"]
    (approach,) = study["approaches"]
    pair = f"approach={approach['key']}&vehicle={approach['vehicle']}&season={approach['season']}"
    wanted = {
        "/api/me", "/api/study", "/api/base", "/api/ground/cells.arrow", "/api/plans/base",
        "/api/plans/base/sites", "/api/plans/base/curve", "/api/ground/avenues?plan=base",
        f"/api/ground/times.arrow?{pair}", f"/api/ground/times.arrow?{pair}&plan=base", "/api/line?plan=base",
    }  # fmt: skip
    assert wanted <= set(answers)
    assert answers["/api/me"]["role"] == "viewer" and answers["/api/me"]["csrf"] == ""
    mesh = read_mesh(folder)
    low = read_hours(answers["/api/ground/cells.arrow"])
    assert np.array_equal(low, (mesh.cells & np.uint64(0xFFFFFFFF)).astype(np.uint32))
    hours = read_hours(answers[f"/api/ground/times.arrow?{pair}"])
    assert len(hours) == mesh.cell_count and np.isfinite(hours).any()


def test_the_civil_account_is_computed_when_asked_for(recorded, folder, tmp_path):
    assert recorded.answers["/api/people?plan=base"]["made"] is False
    copy = Path(shutil.copytree(folder, tmp_path / "study"))
    settings = PageSettings(("base",), people=True)
    found = record_answers(copy, settings, say_nothing).answers["/api/people?plan=base"]
    assert found["made"] is True and found["tables"]["places"]["rows"]
    kept = (copy / "plans" / "base" / "people_view.json").stat().st_mtime_ns
    record_answers(copy, settings, say_nothing)
    assert (copy / "plans" / "base" / "people_view.json").stat().st_mtime_ns == kept


def test_recording_leaves_nothing_in_the_study(recorded, folder, solved_folder):
    def names(place: Path) -> set[str]:
        return {str(path.relative_to(place)) for path in place.rglob("*")}

    new = names(folder) - names(solved_folder)
    assert all(name.startswith("views") or "/views" in name or name.endswith("_view.json") for name in new), (
        new
    )
    assert recorded.answers


def test_the_public_page_holds_only_what_the_public_sees(folder):
    answers = record_answers(folder, PageSettings(("base",), public=True), say_nothing).answers
    assert answers["/api/me"]["role"] == "public"
    assert answers["/api/study"]["plans"] == [] and answers["/api/study"]["approaches"] == []
    assert not [path for path in answers if "plan" in path or "ground" in path]
    text = json.dumps(answers)
    from abatis.show.app.loaded import LoadedStudy

    for site in LoadedStudy(folder).siting.sites:
        assert site.key not in text


def test_hours_are_rounded_to_seconds():
    hours = np.array([0.0, 1.23456, 7.0, np.inf], dtype=np.float32)
    sink = io.BytesIO()
    table = pa.table({"hours": hours}).replace_schema_metadata({"from_words": "x"})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    back = pa.ipc.open_stream(io.BytesIO(round_hours(sink.getvalue()))).read_all()
    assert back.schema.metadata[b"from_words"] == b"x"
    found = back["hours"].to_numpy()
    assert np.isinf(found[3]) and np.abs(found[:3] - hours[:3]).max() <= 1 / 1024


def test_no_text_of_the_study_can_end_the_script():
    html = fill_page(BUNDLE, {"/api/study": {"title": NASTY}})
    assert html.count("</script>") == html.count("<script") == 2
    assert NASTY not in html and "<!--" not in html
    start = html.index("window.__abatis = ") + len("window.__abatis = ")
    held, _ = json.JSONDecoder().raw_decode(html[start:])
    assert held["answers"]["/api/study"]["title"] == NASTY
    assert base64.b64decode(held["files"]["worker-1.js"]) == b"postMessage(1)"
    assert set(held["files"]) == {"worker-1.js"}
    # The bundle's own text is unchanged in meaning: a regular expression keeps its backslash.
    assert r"b = /\1<\!--/" in html and "body{color:red}" in html
    assert "src=" not in html and "href=" not in html
    assert "default-src 'none'" in html


def test_json_in_a_script_is_json_still():
    assert json.loads(write_json({"a": NASTY})) == {"a": NASTY}
    with pytest.raises(ValueError, match="JSON"):
        write_json(float("inf"))


def test_a_page_that_was_not_built_is_told(tmp_path):
    with pytest.raises(ValueError, match="not built"):
        read_bundle(tmp_path)


def test_an_unknown_plan_is_told(folder):
    with pytest.raises(ValueError, match="no plan 'nowhere'"):
        record_answers(folder, PageSettings(("nowhere",)), say_nothing)


def test_a_study_without_a_mesh_is_one_fault(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(single_page, "read_bundle", lambda _folder: BUNDLE)
    copy = Path(shutil.copytree(folder, tmp_path / "bare"))
    shutil.rmtree(copy / "mesh")
    assert main(["page", str(copy), "--write", str(tmp_path / "page.html")]) == 1
    told = capsys.readouterr().err
    assert "1 fault in the input" in told and "abatis build" in told
    assert "cannot be opened" not in told
    assert not (tmp_path / "page.html").exists()


def test_the_command_writes_the_file(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(single_page, "read_bundle", lambda _folder: BUNDLE)
    file = tmp_path / "page.html"
    assert main(["page", str(folder), "--plan", "base", "--public", "--write", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == file.stat().st_size and told["answers"] > 3


def test_the_built_page_opens_without_a_server(folder, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="the page is not opened in a browser")
    browser_path = Path("/usr/bin/chromium")
    if not browser_path.exists() or not (single_page.STATIC / "index.html").is_file():
        pytest.skip("no Chromium, or the page was not built: the file is not opened in a browser")
    file = tmp_path / "page.html"
    write_page(folder, file, PageSettings(), say_nothing)
    asked, errors = [], []
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=str(browser_path), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(file.as_uri())
        # The policy of the file forbids wait_for_function, which compiles text.
        for _ in range(120):
            if page.evaluate("!!window.__abatis_ready"):
                break
            page.wait_for_timeout(500)
        words = page.inner_text("body")
        browser.close()
    assert errors == []
    assert "My first study" in words
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
