"""A planner at work: a site switched off, a plan solved and stopped, logins and what each role sees."""

from __future__ import annotations

import json
import time

import pytest
from tests.show.app.clients import PASSWORD

from abatis.barrier.arrivals import measure_arrivals
from abatis.barrier.sites import site_study
from abatis.model.plan import add_delays, read_plan
from abatis.programme.ledger.store import open_ledger
from abatis.show.results import find_option_rows, label_sites
from abatis.show.workflow import load_study

PUBLIC_VIEWS = ["ground", "monitor", "law"]


def measure_hours(problem, rows):
    """Arrival time of every approach by scipy's Dijkstra, knowing nothing of the server."""
    return measure_arrivals(problem, *add_delays(problem, rows))


@pytest.fixture(scope="session")
def telling_site(built_study):
    """Label of the chosen site whose loss changes the first arrival most, hours with and without it."""
    study, mesh = load_study(built_study)
    siting = site_study(study, mesh)
    plan = read_plan(built_study / "plans" / "base")
    rows = find_option_rows(siting, plan)
    whole = measure_hours(siting.problem, rows)
    assert whole == pytest.approx([one.after_h for one in plan.approaches])
    without = {row: measure_hours(siting.problem, [one for one in rows if one != row]) for row in rows}
    best = max(rows, key=lambda row: abs(without[row][0] - whole[0]))
    assert abs(without[best][0] - whole[0]) > 0.05
    return label_sites(siting)[siting.options[best].site], whole[0], without[best][0]


def switch_off(window, label):
    page = window.page
    page.fill("main input[type=search]", label)
    page.locator("main ul button", has=page.locator(f"b:text-is('{label}')")).first.click()
    page.locator("section.card input[type=radio]").first.click()
    page.wait_for_selector("text=/computed in/")
    window.wait()


def test_a_site_switched_off_changes_the_hours_on_the_screen(served, visit, telling_site):
    label, with_h, without_h = telling_site
    window = visit(served[0])
    window.open("view=plan&plan=base")
    page = window.page
    table = page.locator("main table").first
    assert f"{with_h:.2f}" in table.inner_text()
    assert "now" not in table.inner_text()
    switch_off(window, label)
    assert "now" in table.inner_text()
    shown = table.locator("tbody tr").first.locator("td b").inner_text()
    assert shown == f"{without_h:.2f}"
    told = page.inner_text("text=/computed in/")
    assert 0 <= float(told.split("in ")[1].split(" ms")[0]) < 5000
    window.keep("plan-switched")
    # Back to what was planned, by the keyboard: the option below in the same card.
    page.locator("section.card label", has_text="as planned").locator("input").check()
    window.wait()
    window.wait_for("!document.querySelector('main table').innerText.includes('now')")
    assert f"{with_h:.2f}" in table.inner_text()
    window.check()


def fill_solve(page, name, seconds):
    page.click("summary:has-text('Solve a new plan')")
    form = page.locator("details .form")
    form.locator("input").nth(0).fill(name)
    form.locator("input").nth(2).fill(str(seconds))
    return form


def read_jobs(address, page):
    found = page.evaluate("fetch('/api/jobs').then((one) => one.json())")
    return found["jobs"] if isinstance(found, dict) else found


def test_a_solve_is_stopped_and_another_one_is_finished(served, visit):
    address, folder = served
    window = visit(address)
    window.open("view=plan&plan=base")
    page = window.page
    form = fill_solve(page, "stopped", 3600)
    form.locator("button", has_text="Solve").click()
    form.locator("button", has_text="Stop").click()
    form.locator("[role=status]", has_text="stopped").wait_for()
    window.keep("solve-stopped")
    newest = read_jobs(address, page)[0]
    assert (newest["kind"], newest["state"]) == ("solve", "cancelled")
    assert not (folder / "plans" / "stopped").exists()

    form.locator("input").nth(0).fill("finished")
    form.locator("input").nth(2).fill("20")
    form.locator("button", has_text="Solve").click()
    window.wait_for("new URLSearchParams(location.hash.slice(1)).get('plan') === 'finished'")
    window.wait()
    plan = json.loads((folder / "plans" / "finished" / "plan.json").read_text("utf-8"))
    assert f"{plan['approaches'][0]['after_h']:.2f}" in page.inner_text("main table")
    assert "finished" in page.locator("main select").first.inner_text()
    window.keep("solve-finished")
    window.check()


def list_views(page):
    return page.eval_on_selector_all("nav [data-view]", "all => all.map((one) => one.dataset.view)")


def log_in(window, name, password=PASSWORD):
    page = window.page
    if not page.locator("dialog").is_visible():
        page.click("header button:has-text('Log in')")
    page.fill("dialog input[autocomplete=username]", name)
    page.fill("dialog input[type=password]", password)
    page.click("dialog button[type=submit]")


def test_everyone_sees_what_the_role_allows(guarded, visit):
    address, _ = guarded
    window = visit(address)
    page = window.page
    window.open("view=plan")
    if page.locator("dialog").is_visible():
        page.keyboard.press("Escape")
    assert list_views(page) == PUBLIC_VIEWS
    window.keep("public")

    log_in(window, "ona", "not the password")
    page.wait_for_selector("dialog [role=alert]")
    assert list_views(page) == PUBLIC_VIEWS

    log_in(window, "ona")
    page.wait_for_selector("nav [data-view=plan]")
    window.wait()
    assert len(list_views(page)) == 9
    window.choose("plan")
    page.click("summary:has-text('Solve a new plan')")
    assert page.locator("details .form button", has_text="Solve").is_disabled()
    window.keep("viewer")

    page.click("header button:has-text('Log out')")
    page.wait_for_selector("header button:has-text('Log in')")
    window.wait_for("document.querySelectorAll('nav [data-view]').length > 0")
    assert list_views(page) == PUBLIC_VIEWS

    log_in(window, "jonas")
    page.wait_for_selector("nav [data-view=plan]")
    window.wait()
    window.choose("plan")
    page.click("summary:has-text('Solve a new plan')")
    assert page.locator("details .form button", has_text="Solve").is_enabled()
    window.check("401 /api/login")


def test_nothing_restricted_reaches_a_visitor_without_a_login(guarded, visit):
    address, folder = guarded
    plan = json.loads((folder / "plans" / "base" / "plan.json").read_text("utf-8"))
    secret = {one["site"] for one in plan["options"]} | {one["name"] for one in plan["options"]}
    assert len(secret) > 4
    window = visit(address)
    answers = []

    # A method of a list itself is nothing that Playwright takes.
    def note(response):
        answers.append(response)

    window.page.on("response", note)
    window.open()
    for view in PUBLIC_VIEWS:
        window.choose(view)
        time.sleep(0.3)
    bodies = [(one.url, one.body()) for one in answers if "/api/" in one.url and one.status == 200]
    assert len(bodies) >= 3
    for url, body in bodies:
        assert not [word for word in secret if word.encode() in body], url
    window.check()


def test_a_figure_leads_to_its_record_and_source_in_three_clicks(served, visit):
    """Actual cost: the figure, one of its records, and on it the source; held against the ledger itself."""
    address, folder = served
    ledger = open_ledger(folder)
    records = {one.seq: one for one in ledger.read(current=False)}
    ledger.close()
    window = visit(address)
    window.open("view=monitor&plan=base")
    page = window.page
    page.locator("main .figure", has_text="Actual cost (AC)").locator("button").click()
    panel = page.locator(".trace-panel")
    links = panel.locator("ul.records button")
    links.first.wait_for()
    numbers = [int(text.split()[-1]) for text in links.all_inner_texts()]
    assert numbers
    window.keep("trace-figure")
    links.first.click()
    record = records[numbers[0]]
    panel.locator("h2", has_text=f"Record {record.seq}").wait_for()
    panel.locator("code").first.wait_for()
    told = panel.inner_text()
    assert record.source in told
    assert record.hash in told
    window.keep("trace-record")
    page.keyboard.press("Escape")
    panel.wait_for(state="detached")
    window.check()


def save(window, name):
    window.page.click("main button:has-text('Save as a new plan')")
    window.page.locator("dialog input").first.fill(name)
    window.page.click("dialog button[type=submit]")


def test_the_second_of_two_planners_is_told_and_the_first_keeps_the_plan(guarded, visit, telling_site):
    address, folder = guarded
    windows = []
    for _ in range(2):
        window = visit(address)
        window.open()
        log_in(window, "jonas")
        window.page.wait_for_selector("nav [data-view=plan]")
        window.wait()
        window.choose("plan")
        switch_off(window, telling_site[0])
        windows.append(window)
    first, second = windows
    save(first, "shared")
    first.wait_for("new URLSearchParams(location.hash.slice(1)).get('plan') === 'shared'")
    first.wait()
    kept = folder / "plans" / "shared" / "plan.json"
    before = kept.read_bytes()
    hours = json.loads(before)["approaches"][0]["after_h"]
    assert hours == pytest.approx(telling_site[2])
    assert f"{hours:.2f}" in first.page.inner_text("main table")
    save(second, "shared")
    second.page.locator("dialog [role=alert]", has_text="Somebody else has saved this plan").wait_for()
    second.keep("second-planner")
    assert kept.read_bytes() == before
    for window in windows:
        window.check("409 /api/plans/shared")
