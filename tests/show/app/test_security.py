"""Logins, tokens, origins, hosts, rates, headers, the audit log: what keeps strangers out."""

from __future__ import annotations

import re
import sqlite3
import time

import pytest
import sqlalchemy as sql
from tests.show.app.clients import BASE, PASSWORD, add_user, log_in

from abatis.model.errors import InputError
from abatis.show.app.settings import Limits, Rate


def read_faults(answer) -> list[dict[str, str]]:
    faults = answer.json()["faults"]
    assert faults
    assert all(set(fault) == {"what", "where", "remedy"} and fault["what"] for fault in faults)
    return faults


@pytest.fixture
def guarded(make_client, bare_study):
    """A client of a server with one user of each role."""
    for role in ("viewer", "planner", "auditor", "admin"):
        add_user(bare_study, f"the {role}".replace(" ", "-"), role)
    return make_client(bare_study)


def set_clock(client, seconds: float) -> None:
    client.app.state.server.logins._clock = lambda: time.time() + seconds


def test_without_users_on_this_machine_nobody_logs_in(make_client, bare_study):
    me = make_client(bare_study).get("/api/me").json()
    assert (me["user"], me["role"], me["login_needed"]) == ("local", "admin", False)
    assert len(me["csrf"]) > 30


def test_with_users_a_login_is_needed(guarded):
    me = guarded.get("/api/me").json()
    assert me == {"user": "", "role": "anyone", "csrf": "", "login_needed": True, "public": False}
    assert read_faults(guarded.get("/api/study"))[0]["remedy"].startswith("log in")
    log_in(guarded, "the-viewer")
    me = guarded.get("/api/me").json()
    assert (me["user"], me["role"], me["login_needed"]) == ("the-viewer", "viewer", False)
    assert guarded.get("/api/jobs").status_code == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(guarded):
    answer = guarded.post("/api/login", json={"name": "the-viewer", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie
    assert "domain" not in cookie
    assert answer.headers["cache-control"] == "no-store"


def test_over_https_the_cookie_is_secure(make_client, bare_study):
    add_user(bare_study, "ona", "viewer")
    client = make_client(bare_study, https=True)
    answer = client.post("/api/login", json={"name": "ona", "password": PASSWORD})
    assert "; secure" in answer.headers["set-cookie"].lower()
    assert answer.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize(
    ("name", "password"),
    [("the-viewer", "wrong password"), ("nobody", PASSWORD), ("the-viewer", ""), ("' OR 1=1 --", "x")],
)
def test_wrong_names_and_passwords_are_told_alike(guarded, name, password):
    answer = guarded.post("/api/login", json={"name": name, "password": password})
    assert answer.status_code == 401
    assert read_faults(answer)[0]["what"] == "Name or password is wrong."
    assert "set-cookie" not in answer.headers


def test_tokens_that_are_wrong_open_nothing(guarded):
    log_in(guarded, "the-viewer")
    token = guarded.cookies["abatis_login"]
    for wrong in ("", "x", token[:-1], token + "x", token.swapcase(), "a" * 5000, "%00", '"', "\x7f"):
        guarded.cookies.clear()
        answer = guarded.get("/api/jobs", headers={"cookie": f"abatis_login={wrong}"})
        assert answer.status_code == 401, wrong
    answer = guarded.get("/api/jobs", headers={"cookie": f'bad="; ;;=; abatis_login={token}; x'})
    assert answer.status_code == 200


def test_only_the_hash_of_a_token_stands_on_disk(guarded, bare_study):
    log_in(guarded, "the-viewer")
    kept = b"".join(path.read_bytes() for path in bare_study.glob("server.sqlite*"))
    assert guarded.cookies["abatis_login"].encode() not in kept
    assert PASSWORD.encode() not in kept
    assert b"$argon2id$" in kept
    assert (bare_study / "server.sqlite").stat().st_mode & 0o077 == 0


def test_a_login_ends_when_it_is_not_used(guarded):
    log_in(guarded, "the-viewer")
    set_clock(guarded, 7.9 * 3600)
    assert guarded.get("/api/jobs").status_code == 200
    # Used at 7.9 h: it lasts another 8 h from there.
    set_clock(guarded, 15.8 * 3600)
    assert guarded.get("/api/jobs").status_code == 200
    set_clock(guarded, 24 * 3600)
    assert guarded.get("/api/jobs").status_code == 401


def test_a_login_ends_after_a_week_however_busy(guarded):
    log_in(guarded, "the-viewer")
    for hours in range(0, 7 * 24, 6):
        set_clock(guarded, hours * 3600)
        assert guarded.get("/api/jobs").status_code == 200, hours
    set_clock(guarded, 7 * 24 * 3600 + 10)
    assert guarded.get("/api/jobs").status_code == 401


def test_logging_out_ends_the_login_on_the_server(guarded):
    log_in(guarded, "the-viewer")
    token = guarded.cookies["abatis_login"]
    assert guarded.post("/api/logout").status_code == 204
    guarded.cookies.clear()
    answer = guarded.get("/api/jobs", headers={"cookie": f"abatis_login={token}"})
    assert answer.status_code == 401


def test_a_password_changes_together_with_the_end_of_the_logins(guarded):
    """Stopped before the logins are ended, the earlier password still holds."""
    users = guarded.app.state.server.users

    def fail(_connection, _cursor, statement, *_rest):
        if statement.startswith("DELETE"):
            raise KeyboardInterrupt

    engine = users._database.engine
    sql.event.listen(engine, "before_cursor_execute", fail)
    try:
        with pytest.raises(KeyboardInterrupt):
            users.set_password("the-viewer", "another password")
    finally:
        sql.event.remove(engine, "before_cursor_execute", fail)
    assert users.check("the-viewer", PASSWORD)
    assert not users.check("the-viewer", "another password")
    with pytest.raises(InputError, match="there is no user 'nobody'"):
        users.set_password("nobody", "another password")


def test_another_role_holds_at_once_and_a_removed_user_is_out(guarded):
    users = guarded.app.state.server.users
    log_in(guarded, "the-viewer")
    assert guarded.get("/api/audit").status_code == 403
    users.set_role("the-viewer", "auditor")
    assert guarded.get("/api/audit").status_code == 200
    users.set_password("the-viewer", "another password")
    assert guarded.get("/api/audit").status_code == 401
    log_in(guarded, "the-viewer", "another password")
    users.remove("the-viewer")
    assert guarded.get("/api/audit").status_code == 401


@pytest.mark.parametrize("token", [None, "", "wrong", "ä".encode()])
def test_changes_need_the_token_of_the_login(guarded, token):
    log_in(guarded, "the-planner")
    del guarded.headers["X-CSRF-Token"]
    headers = {} if token is None else {"X-CSRF-Token": token}
    answer = guarded.post("/api/jobs", json={"kind": "report", "plan": "base"}, headers=headers)
    assert answer.status_code == 403
    assert read_faults(answer)[0]["where"] == "header X-CSRF-Token"


def test_the_token_of_another_login_is_refused(make_client, bare_study):
    add_user(bare_study, "ona", "planner")
    client = make_client(bare_study)
    log_in(client, "ona")
    first = client.headers["X-CSRF-Token"]
    log_in(client, "ona")
    answer = client.post("/api/jobs", json={"kind": "report"}, headers={"X-CSRF-Token": first})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": BASE + "1"},
        {"origin": "http://127.0.0.1:8000.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_changes_asked_for_by_other_sites_are_refused(make_client, bare_study, headers):
    answer = make_client(bare_study).post("/api/jobs", json={"kind": "report"}, headers=headers)
    assert answer.status_code == 403
    assert read_faults(answer)[0]["what"] == "Another site asked for this."


def test_changes_asked_for_by_this_server_s_page_are_taken(make_client, bare_study):
    client = make_client(bare_study)
    for headers in ({"origin": BASE}, {"sec-fetch-site": "same-origin"}):
        assert client.post("/api/jobs", json={"kind": "nothing"}, headers=headers).status_code == 422


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_forms_of_other_sites_cannot_log_in(guarded, kind):
    body = '{"name": "the-viewer", "password": "long enough words"}'
    answer = guarded.post("/api/login", content=body, headers={"content-type": kind})
    assert answer.status_code == 422
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8000", "", "localhost.evil", "[::2]"]
)
def test_other_names_for_this_machine_are_refused(make_client, bare_study, host):
    answer = make_client(bare_study).get("/api/me", headers={"host": host})
    assert answer.status_code == 421
    assert "csrf" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_machine_are_taken(make_client, bare_study, host):
    assert make_client(bare_study).get("/api/me", headers={"host": host}).status_code == 200


def test_names_given_at_the_start_are_taken(make_client, bare_study):
    add_user(bare_study, "ona", "viewer")
    client = make_client(bare_study, host="0.0.0.0", names=("map.example", "127.0.0.1"))
    assert client.get("/api/health", headers={"host": "map.example:443"}).status_code == 200
    assert client.get("/api/health", headers={"host": "evil.example"}).status_code == 421


def test_a_proxy_before_an_open_server_is_refused(make_client, bare_study):
    client = make_client(bare_study)
    answer = client.get("/api/me", headers={"x-forwarded-for": "203.0.113.9"})
    assert answer.status_code == 403
    assert "--behind-proxy" in read_faults(answer)[0]["remedy"]


@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"public": True}, {"behind_proxy": True}])
def test_a_server_that_is_not_open_never_becomes_so(make_client, bare_study, settings):
    add_user(bare_study, "ona", "admin")
    client = make_client(bare_study, **settings)
    client.app.state.server.users.remove("ona")
    assert client.get("/api/users").status_code == 401
    assert client.get("/api/me").json()["role"] == "anyone"


def test_logins_are_slowed_down(make_client, bare_study):
    add_user(bare_study, "ona", "viewer")
    client = make_client(bare_study, limits=Limits(logins_per_name=Rate(3, 1 / 60)))
    codes = [
        client.post("/api/login", json={"name": "ona", "password": f"no {n}"}).status_code for n in range(5)
    ]
    assert codes == [401, 401, 401, 429, 429]
    answer = client.post("/api/login", json={"name": "ona", "password": PASSWORD})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 62
    # Another name from the same address is not kept out by it.
    assert client.post("/api/login", json={"name": "jonas", "password": "x"}).status_code == 401


def test_one_address_cannot_try_many_names(make_client, bare_study):
    add_user(bare_study, "ona", "viewer")
    client = make_client(bare_study, limits=Limits(logins_per_address=Rate(5, 0.01)))
    codes = [client.post("/api/login", json={"name": f"n{n}", "password": "x"}).status_code for n in range(7)]
    assert codes == [401] * 5 + [429] * 2


def test_costly_calls_are_slowed_down(make_client, bare_study):
    client = make_client(bare_study, limits=Limits(calls={"job": Rate(2, 0.01)}))
    codes = [client.post("/api/jobs", json={}).status_code for _ in range(4)]
    assert codes == [422, 422, 429, 429]
    assert client.get("/api/health").status_code == 200


def test_the_policy_of_the_page_is_strict(make_client, bare_study):
    client = make_client(bare_study)
    for path in ("/", "/api/me", "/api/nothing", "/api/openapi.json"):
        headers = client.get(path).headers
        policy = dict(
            part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["connect-src"] == "'self' blob: data:"
        assert policy["frame-ancestors"] == "'none'"
        assert "http" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_tiles_outside_are_allowed_only_when_named(make_client, bare_study):
    client = make_client(bare_study, tiles="https://tiles.example/{z}/{x}/{y}.png")
    policy = client.get("/").headers["content-security-policy"]
    assert "img-src 'self' data: blob: https://tiles.example;" in policy
    assert "script-src 'self';" in policy


def test_the_audit_log_tells_who_did_what(guarded):
    guarded.post("/api/login", json={"name": "the-viewer", "password": "a wrong one"})
    log_in(guarded, "the-viewer")
    guarded.post("/api/jobs", json={"kind": "report", "plan": "base"})
    guarded.post("/api/logout")
    log_in(guarded, "the-auditor")
    rows = guarded.get("/api/audit").json()["rows"][::-1]
    assert [(row["user"], row["action"], row["status"]) for row in rows] == [
        ("the-viewer", "POST /api/login", 401),
        ("the-viewer", "POST /api/login", 200),
        ("the-viewer", "POST /api/jobs", 403),
        ("the-viewer", "POST /api/logout", 204),
        ("the-auditor", "POST /api/login", 200),
    ]
    assert all(row["address"] == "127.0.0.1" for row in rows)
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5]
    first = guarded.get("/api/audit", params={"most": 2}).json()
    assert [row["number"] for row in first["rows"]] == [5, 4]
    assert first["next"] == 4


def test_passwords_and_tokens_never_reach_the_audit_log(guarded, bare_study):
    log_in(guarded, "the-admin")
    rows = guarded.get("/api/audit").text
    assert PASSWORD not in rows
    assert guarded.cookies["abatis_login"] not in rows
    assert guarded.headers["X-CSRF-Token"] not in rows


@pytest.mark.parametrize("change", ["UPDATE audit SET user = 'x'", "DELETE FROM audit"])
def test_the_audit_log_cannot_be_changed(guarded, bare_study, change):
    log_in(guarded, "the-admin")
    with sqlite3.connect(bare_study / "server.sqlite") as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(change)
    connection.close()


def test_a_database_that_goes_away_is_told_and_nobody_is_let_in(guarded, bare_study):
    log_in(guarded, "the-viewer")
    file = bare_study / "server.sqlite"
    file.rename(bare_study / "away")
    answer = guarded.get("/api/jobs")
    assert answer.status_code == 503
    assert "database" in read_faults(answer)[0]["what"]
    assert guarded.get("/api/health").status_code in (200, 503)
    file.touch()
    assert guarded.get("/api/jobs").status_code == 503, "an empty database in its place is not taken"
    (bare_study / "away").replace(file)
    assert guarded.get("/api/jobs").status_code == 200


def test_an_error_nobody_foresaw_shows_no_traceback(make_client, bare_study, monkeypatch, caplog):
    client = make_client(bare_study)

    def fail(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(client.app.state.server.audit, "read", fail)
    answer = client.get("/api/audit")
    assert answer.status_code == 500
    fault = read_faults(answer)[0]
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    number = re.fullmatch(r"error ([0-9a-f]{8})", fault["where"])[1]
    assert number in caplog.text
    assert "content-security-policy" in answer.headers


def test_a_route_that_takes_too_long_is_cut_off(make_client, bare_study, monkeypatch):
    client = make_client(bare_study, limits=Limits(answer_s=0.2))

    def dawdle(*_: object) -> list[object]:
        time.sleep(1.0)
        return []

    monkeypatch.setattr(client.app.state.server.users, "list_all", dawdle)
    started = time.monotonic()
    answer = client.get("/api/users")
    assert answer.status_code == 503
    assert read_faults(answer)[0]["what"] == "This took too long."
    assert time.monotonic() - started < 0.9


@pytest.mark.parametrize(
    ("name", "password", "role", "faults"),
    [("", "short", "king", 3), ("a/b", PASSWORD, "viewer", 1), ("<b>x</b>", PASSWORD, "viewer", 1)],
)
def test_users_are_checked_with_all_faults_at_once(bare_study, name, password, role, faults):
    from abatis.model.errors import InputError

    with pytest.raises(InputError) as found:
        add_user(bare_study, name, role, password)
    assert len(found.value.faults) == faults


def test_a_name_can_be_had_once(bare_study):
    from abatis.model.errors import InputError

    add_user(bare_study, "ona", "viewer")
    with pytest.raises(InputError, match="there is a user 'ona' already"):
        add_user(bare_study, "ona", "admin")


def test_a_map_program_may_send_name_and_password_to_read(guarded):
    assert guarded.get("/ogc/conformance").headers["www-authenticate"].startswith("Basic")
    for name, password, status in (
        ("the-viewer", PASSWORD, 503),
        ("the-viewer", "wrong", 401),
        ("no", "x", 401),
    ):
        # 503: let in, and the bare study cannot be opened.
        assert guarded.get("/ogc/conformance", auth=(name, password)).status_code == status
    assert guarded.get("/api/jobs", auth=("the-viewer", PASSWORD)).status_code == 401, "for maps only"
    answer = guarded.post("/ogc/conformance", auth=("the-viewer", PASSWORD))
    assert answer.status_code == 405
    guarded.app.state.server.users.set_password("the-viewer", "another password")
    assert guarded.get("/ogc/conformance", auth=("the-viewer", PASSWORD)).status_code == 401
    guarded.app.state.server.users.remove("the-viewer")
    assert guarded.get("/ogc/conformance", auth=("the-viewer", "another password")).status_code == 401
