"""Bad input over the wire: names that lead elsewhere, HTML, bombs, two at once, databases that go away."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import threading
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.show.app.clients import add_user, log_in, open_client

from abatis.programme.ledger.store import open_ledger
from abatis.show.app.context import NAME_PATTERN
from abatis.show.app.settings import Limits

ELSEWHERE = [
    "..",
    "../..",
    "../../study.toml",
    "..%2f..%2fstudy.toml",
    "base/../../..",
    "base\\..\\..",
    "/etc/passwd",
    "base\0",
    "base\n",
    ".",
    ".hidden",
    "-x",
    "con:",
    "~root",
    "a" * 300,
    "base/plan.json",
    "ba*",
    "\u202eesab",
    "<img src=x onerror=alert(1)>",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "'; DROP TABLE users; --",
]


def check_refused(answer) -> None:
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    faults = answer.json()["faults"]
    assert faults
    assert all(fault["what"] for fault in faults)
    assert answer.headers["content-type"].startswith("application/json")
    assert "root:" not in answer.text


@pytest.fixture(scope="module")
def shared_folder(solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small study for the questions here, none of which changes it."""
    return Path(shutil.copytree(solved_folder, tmp_path_factory.mktemp("bad") / "study"))


@pytest.fixture(scope="module")
def asked(shared_folder):
    """A client of that study."""
    with open_client(shared_folder, limits=Limits(calls={})) as client:
        client.headers["X-CSRF-Token"] = client.get("/api/me").json()["csrf"]
        yield client


def hide(name: str) -> str:
    """Write a name so that no client takes it apart; the server reads it back whole."""
    return quote(name, safe="").replace(".", "%2E")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_names_that_lead_elsewhere_are_refused(asked, shared_folder, name):
    before = sorted(path.name for path in shared_folder.parent.iterdir())
    for path in ("/api/plans/{}", "/api/plans/{}/sites", "/api/plans/{}/curve", "/api/plans/base/why/{}"):
        check_refused(asked.get(path.format(hide(name))))
    for path in ("/api/people", "/api/programme", "/api/line", "/api/watch"):
        answer = asked.get(path, params={"plan": name})
        assert answer.status_code < 500, answer.text
        assert "root:" not in answer.text
    check_refused(asked.put(f"/api/plans/{hide(name)}", json={"choices": {}, "against": "base"}))
    check_refused(asked.post("/api/jobs", json={"kind": "solve", "plan": name}))
    assert sorted(path.name for path in shared_folder.parent.iterdir()) == before
    assert sorted(path.name for path in (shared_folder / "plans").glob("*/")) == ["base"]


@pytest.mark.parametrize(
    "path",
    ["/assets/..%2f..%2fapplication.py", "/assets/%2e%2e/%2e%2e/application.py", "/..%2fapplication.py",
     "/assets/%00", "/assets//etc/passwd", "/assets/%2fetc%2fpasswd", "/.env", "/%2e%2e", "/assets/",
     "/assets/" + "a" * 5000, "/server.sqlite"],
)  # fmt: skip
def test_files_beside_the_page_are_out_of_reach(asked, path):
    check_refused(asked.get(path))


def test_names_of_plans_hold_no_html():
    import re

    for letter in "<>&\"'`/\\:;*?|{}[]$%#!@=~^\0\n\t":
        assert not re.fullmatch(NAME_PATTERN, f"a{letter}b"), letter
    for name in ("base", "Planas 2", "žalias_miškas", "v1.2", "a (old)", "x" * 80):
        assert re.fullmatch(NAME_PATTERN, name), name


def test_html_in_the_study_s_name_stays_text(make_client, study_copy):
    settings = study_copy / "study.toml"
    text = settings.read_text("utf-8")
    title = "<script>alert(1)</script>"
    lines = [f'title = "{title}"' if line.startswith("title") else line for line in text.splitlines()]
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    client = make_client(study_copy)
    answer = client.get("/api/study")
    assert answer.status_code in (200, 503)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = client.get("/")
    assert title not in page.text
    assert "script-src 'self';" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe\x00",
        b'{"kind": "solve", "plan": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b'{"kind": NaN}',
        b'{"kind": "solve", "plan": "x", "settings": {"budget_eur": 1e999}}',
        b'{"kind": "solve", "plan": "x", "settings": {"budget_eur": NaN}}',
        b'{"kind": "solve", "plan": "x", "settings": {"seed": ' + b"9" * 5000 + b"}}",
        b'{"kind": ["solve"], "plan": {"$ne": 1}}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_bodies_that_are_no_question_are_refused(asked, body):
    headers = {"content-type": "application/json"}
    for path in ("/api/jobs", "/api/login"):
        check_refused(asked.post(path, content=body, headers=headers))
    check_refused(asked.put("/api/plans/base", content=body, headers=headers))
    for path in ("/api/plans/base/switch", "/api/plans/base/routes"):
        # These read no word that they do not know.
        answer = asked.post(path, content=body, headers=headers)
        assert answer.status_code == 200 or check_refused(answer) is None
    assert asked.get("/api/jobs").json() == []


def test_compressed_bodies_are_not_taken(asked):
    bomb = gzip.compress(b" " * 20_000_000)
    assert len(bomb) < 32_000
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, gzip"):
        headers = {"content-type": "application/json", "content-encoding": coding}
        answer = asked.post("/api/jobs", content=bomb, headers=headers)
        assert answer.status_code == 415
        check_refused(answer)


def test_a_zip_bomb_is_refused_as_a_workbook(asked, shared_folder):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            for _ in range(300):
                sheet.write(bytes(1024 * 1024))
    assert len(packed.getvalue()) < 1024 * 1024
    answer = asked.post(
        "/api/ledger/import?form=xlsx",
        content=packed.getvalue(),
        headers={"content-type": "application/octet-stream"},
    )
    check_refused(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"\x00" * 1000,
        b"a,b\n1",
        b"kind\n",
        b"\xff" * 50,
        b'"' * 999,
        b"PK\x03\x04" + b"x" * 100,
        b"a\n" * 50_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_files_that_are_no_ledger_are_refused_whole(asked, shared_folder, body):
    for form in ("csv", "xlsx"):
        answer = asked.post(
            f"/api/ledger/import?form={form}", content=body, headers={"content-type": "text/csv"}
        )
        check_refused(answer)
    assert asked.get("/api/ledger/records").json()["total"] == 0


def test_two_planners_who_save_at_once_are_told_apart(study_copy):
    add_user(study_copy, "ona", "planner")
    add_user(study_copy, "jonas", "planner")
    with open_client(study_copy) as client:
        log_in(client, "ona")
        made = client.put("/api/plans/mine", json={"choices": {}, "title": "mine", "against": "base"})
        assert made.status_code == 200, made.text
        plans = client.get("/api/study").json()["plans"]
        version = next(one["version"] for one in plans if one["name"] == "mine")
        chosen = json.loads((study_copy / "plans" / "base" / "plan.json").read_text("utf-8"))["options"]
        headers = [dict(client.headers) | {"cookie": f"abatis_login={client.cookies['abatis_login']}"}]
        log_in(client, "jonas")
        headers.append(dict(client.headers) | {"cookie": f"abatis_login={client.cookies['abatis_login']}"})
        client.cookies.clear()
        answers: list = []
        barrier = threading.Barrier(2)

        def save(number: int) -> None:
            barrier.wait()
            asked = {"choices": {chosen[number]["site"]: None}, "version": version}
            answers.append(client.put("/api/plans/mine", json=asked, headers=headers[number]))

        savers = [threading.Thread(target=save, args=(number,)) for number in range(2)]
        for one in savers:
            one.start()
        for one in savers:
            one.join()
        answers.sort(key=lambda answer: answer.status_code)
        assert [answer.status_code for answer in answers] == [200, 409]
        assert "in the meantime" in answers[1].json()["faults"][0]["what"]
        kept = json.loads((study_copy / "plans" / "mine" / "plan.json").read_text("utf-8"))
        assert len(kept["options"]) == len(chosen) - 1


def test_a_ledger_that_goes_away_is_told_and_nothing_is_lost(make_client, study_copy):
    client = make_client(study_copy)
    rows = (
        "kind,key,on,country,line,stage,amount_eur,source,tag,access\n"
        "budget,k{0},2026-01-01,LT,total,planned,5,test,G,public\n"
    )

    def send(number: int):
        headers = {"content-type": "text/csv"}
        return client.post("/api/ledger/import", content=rows.format(number), headers=headers)

    assert send(1).status_code == 200
    file, away = study_copy / "ledger.sqlite", study_copy / "away.sqlite"
    file.rename(away)
    for _ in range(2):
        answer = send(2)
        assert answer.status_code == 503, answer.text
        assert "nothing was recorded" in answer.json()["faults"][0]["what"]
        # The second time another file stands in its place.
        file.touch()
    away.replace(file)
    assert send(3).status_code == 200
    with open_ledger(study_copy) as ledger:
        assert ledger.verify().sound
        keys = [record.key for record in ledger.read()]
    assert keys == ["k1", "k3"]


def test_a_study_that_was_broken_and_mended_on_disk_is_opened_again(make_client, study_copy):
    settings = study_copy / "study.toml"
    text = settings.read_text("utf-8")
    settings.write_text("name = [", encoding="utf-8")
    client = make_client(study_copy)
    answer = client.get("/api/study")
    assert answer.status_code == 503
    faults = answer.json()["faults"]
    assert any("study.toml" in fault["where"] for fault in faults), faults
    assert client.get("/api/health").json() == {**client.get("/api/health").json(), "study": "failed"}
    settings.write_text(text, encoding="utf-8")
    client.app.state.server.study._ended_s -= 10
    assert client.get("/api/study").status_code == 200
    assert json.loads(client.get("/api/health").text)["study"] == "ready"
