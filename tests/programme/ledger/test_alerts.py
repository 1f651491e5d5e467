"""Alerts: every rule has a case that raises it and one that does not."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from tests.programme.ledger.status_cases import TEN_DAYS, Book, find

from abatis.model.errors import InputError
from abatis.programme.ledger.baseline import Baseline, PlannedWork
from abatis.programme.ledger.context import Context, HazardDuty, Seam, read_seams
from abatis.programme.ledger.renewals import Change
from abatis.programme.ledger.settings import FIGURES, read_settings

DAY = "2026-06-30"


def raised(book, rule, day=DAY, **more):
    """Alerts of one rule."""
    return [one for one in book.assess(day, **more).alerts if one.rule == rule]


def late_work(book):
    book.work("w", "2026-01-01", stage="started", name="Ditch", planned_finish="2026-05-01")


def work_that_waits(book):
    book.work("w", "2025-01-01", stage="planned", name="Ditch", planned_start="2026-05-01")


def dear_work(book):
    book.work("w", "2026-06-01", stage="started", name="Ditch", planned_eur=100.0, spent_eur=115.0)


def work_that_gets_dear(book):
    book.work("w", "2026-06-01", stage="started", name="Ditch", planned_eur=100.0, spent_eur=60.0, done=0.5)


def silent_work(book):
    book.work("w", "2025-06-01", stage="started", name="Ditch")


def dear_line(book):
    book.add("budget", "b", "2025", stage="approved", amount_eur=100.0)
    book.work("w", "2026-06-01", stage="started", spent_eur=120.0)


def line_contracted_above_plan(book):
    book.add("budget", "b", "2025", stage="approved", amount_eur=100.0)
    book.add("contract", "c", "2026-01", stage="signed", amount_eur=120.0)


def late_contract(book):
    book.add("contract", "c", "2026-01", stage="signed", amount_eur=1.0, due="2026-06-29")


def failed_tender(book):
    book.add("contract", "c", "2026-01", stage="failed", amount_eur="not disclosed")


def short_delivery(book):
    book.add("delivery", "d", "2026-05-01", quantity=38.0, ordered=40.0, due="2026-06-01")


def missed_milestone(book):
    book.add("milestone", "m", "2026-01", name="All in place", stage="planned", due="2026-05-01")


def put_off_work(book):
    book.work("w", "2026-01", stage="started", planned_finish="2026-09-01")
    book.work("w", "2026-06-01", stage="started", planned_finish="2026-10-31")


def put_off_milestone(book):
    book.add("milestone", "m", "2026-01", name="All in place", stage="planned", due="2026-09-01")
    book.add("milestone", "m", "2026-06", name="All in place", stage="planned", due="2026-10-31")


def put_off_land(book):
    said = {"name": "Land", "category": "land", "stage": "planned"}
    book.add("milestone", "m", "2026-01", first_due="2026-09-01", due="2026-10-31", **said)


def late_land(book):
    book.add("milestone", "m", "2026-01", name="Land", category="land", stage="planned", due="2026-05-01")


def passed_law(book):
    book.add("milestone", "m", "2026-01", name="Law", category="law", stage="planned", due="2026-06-29")


def open_seam(book):
    said = {"category": "seam", "neighbour": "LV", "stage": "planned", "due": "2026-06-29"}
    book.add("milestone", "m", "2026-01", name="Joint point", **said)


def passed_treaty_date(book):
    book.add("treaty_event", "t", "2026-01-01", instrument="PV", event="notice", effect="2026-06-01")


def unrecorded_hazard(book):
    book.add(
        "hazard", "h", "2026-06-01", name="Old field", event="reduced", category="unknown", area_m2=500.0
    )


def harm(book):
    book.add("incident", "i", "2026-03-01", name="Fall", category="civil_harm", injured=2.0)


def due_renewal(book):
    book.add("delivery", "d", "2024-01-01", name="Towers", renewal="2027-12-01")


def contradiction(book):
    book.work("w", "2026-06-01", stage="started", done=0.4)
    book.work("w", "2026-06-01", stage="started", done=0.5)


def hidden_figure(book):
    book.work("w", "2026-06-01", stage="started", spent_eur="not disclosed")


def weak_figure(book):
    book.work("w", "2026-06-01", stage="started", spent_eur=5.0, tag="F-")


CASES = {
    "work_late": (late_work, "warning", "60 days"),
    "work_put_off": (put_off_work, "warning", "60 days"),
    "milestone_put_off": (put_off_milestone, "warning", "60 days"),
    "land_put_off": (put_off_land, "warning", "60 days"),
    "work_not_begun": (work_that_waits, "warning", "60 days"),
    "work_over_budget": (dear_work, "warning", "15 %"),
    "work_forecast_over": (work_that_gets_dear, "warning", "20 %"),
    "work_silent": (silent_work, "warning", "394 days"),
    "line_over_budget": (dear_line, "warning", "20 %"),
    "line_over_contracted": (line_contracted_above_plan, "warning", "20 %"),
    "contract_past_due": (late_contract, "warning", "1 day"),
    "tender_failed": (failed_tender, "warning", "without a contract"),
    "delivery_short": (short_delivery, "warning", "5 %"),
    "milestone_missed": (missed_milestone, "warning", "60 days"),
    "land_late": (late_land, "warning", "60 days"),
    "law_date_passed": (passed_law, "severe", "1 day"),
    "seam_open": (open_seam, "severe", "1 day"),
    "treaty_date_passed": (passed_treaty_date, "warning", "29 days"),
    "duty_record_missing": (unrecorded_hazard, "severe", "1 duty"),
    "civil_harm": (harm, "severe", "2 persons"),
    "renewal_due": (due_renewal, "warning", "519 days"),
    "contradiction": (contradiction, "info", "2 records"),
    "not_disclosed": (hidden_figure, "info", "1 figure"),
    "only_weak": (weak_figure, "info", "1 figure"),
}
CONTEXT = Context(duties={"LT": {"record": ("PV",)}})


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_is_raised_with_its_figure_and_its_records(rule):
    write, severity, words = CASES[rule]
    book = Book()
    write(book)
    (alert,) = raised(book, rule, context=CONTEXT)
    assert alert.severity == severity
    assert words in alert.text
    assert "{" not in alert.text
    assert alert.records
    assert set(alert.records) <= {one.seq for one in book.records}


@pytest.mark.parametrize("write", [put_off_work, put_off_milestone, put_off_land])
def test_what_is_put_off_is_not_missed_before_its_new_day(write):
    """Put off from 1 September to 31 October: put off until that day, late from the next one on."""
    book = Book()
    write(book)
    late = {"work_late", "milestone_missed", "land_late"}
    off = {"work_put_off", "milestone_put_off", "land_put_off"}
    for day, told in (("2026-10-30", off), ("2026-11-01", late)):
        rules = {one.rule for one in book.assess(day).alerts}
        assert len(rules & told) == 1 and not rules & ((late | off) - told)


@pytest.mark.parametrize("rule", CASES)
def test_a_record_taken_back_raises_nothing(rule):
    book = Book()
    CASES[rule][0](book)
    for one in list(book.records):
        book.add(one.kind, one.key, one.on, corrects=one.seq, withdrawn=True, **one.body)
    assert book.assess(DAY, context=CONTEXT).alerts == ()


MENDED = {
    "work_late": lambda book: book.work("w", "2026-06-01", stage="finished", finish="2026-05-20"),
    "work_not_begun": lambda book: book.work("w", "2026-06-01", stage="started"),
    "work_over_budget": lambda book: book.work("w", "2026-06-02", planned_eur=110.0),
    "work_forecast_over": lambda book: book.work("w", "2026-06-02", done=0.6),
    "work_silent": lambda book: book.work("w", "2026-06-02", stage="started"),
    "line_over_budget": lambda book: book.add("budget", "b", "2026", stage="approved", amount_eur=115.0),
    "contract_past_due": lambda book: book.add(
        "contract", "c", "2026-06-29", stage="completed", amount_eur=1.0
    ),
    "delivery_short": lambda book: book.add("delivery", "d", "2026-06-20", quantity=2.0),
    "milestone_missed": lambda book: book.add(
        "milestone", "m", "2026-05", stage="reached", reached="2026-05"
    ),
    "law_date_passed": lambda book: book.add(
        "milestone", "m", "2026-06-29", stage="reached", reached="2026-06-29"
    ),
    "seam_open": lambda book: book.add("milestone", "m", "2026-06-29", stage="reached", reached="2026-06-29"),
    "treaty_date_passed": lambda book: book.add(
        "treaty_event", "u", "2026-06-01", instrument="PV", event="effect"
    ),
    "duty_record_missing": lambda book: book.add("hazard", "h", "2026-06-02", event="recorded"),
    "tender_failed": lambda book: book.add("contract", "c", "2026-05", stage="signed", amount_eur=1.0),
    "not_disclosed": lambda book: book.work("w", "2026-06-20", spent_eur=4.0),
    "only_weak": lambda book: book.work("w", "2026-06-20", spent_eur=4.0),
}


@pytest.mark.parametrize("rule", MENDED)
def test_what_was_mended_raises_nothing(rule):
    book = Book()
    CASES[rule][0](book)
    MENDED[rule](book)
    assert raised(book, rule, context=CONTEXT) == []


@pytest.mark.parametrize(("on", "event", "count"), [
    ("2012-03-01", "joined", 1), ("2025-07-09", "contested", 1), ("2025-07-10", "contested", 0),
    ("2026-01-10", "left", 0),
])  # fmt: skip
def test_only_what_was_said_since_its_notice_answers_a_treaty_date(on, event, count):
    book = Book()
    book.add("treaty_event", "n", "2025-07-10", instrument="PV", event="notice", effect="2026-01-10")
    book.add("treaty_event", "e", on, instrument="PV", event=event)
    assert len(raised(book, "treaty_date_passed", "2026-06-01")) == count


def test_every_rule_of_the_table_is_tested_here():
    others = {"joint_seam_open", "treaty_change_ahead", "measure_unlawful", "site_without_record"}
    assert {rule.key for rule in read_settings().rules} == set(CASES) | others


def test_a_limit_is_kept_to_the_day_and_beyond_the_second_one_it_is_severe():
    book = Book()
    book.work("w", "2025-06-30", stage="started", planned_finish="2026-01-01")
    assert raised(book, "work_late", "2026-01-31") == []
    assert raised(book, "work_late", "2026-02-01")[0].severity == "warning"
    assert raised(book, "work_late", "2026-06-30")[0].severity == "warning"
    assert raised(book, "work_late", "2026-07-01")[0].severity == "severe"


def test_a_short_delivery_that_is_not_disclosed_is_not_called_short():
    book = Book()
    short_delivery(book)
    book.add("delivery", "d", "2026-05-02", quantity="not disclosed")
    assert raised(book, "delivery_short") == []


def test_the_schedule_the_joint_line_and_the_law_raise_alerts_too():
    site = PlannedWork(date(2026, 1, 1).toordinal(), date(2026, 12, 31).toordinal(), 5.0)
    context = Context(
        baseline=Baseline("base", "LT", (2026,), ("x",), np.array([[5.0]]), {"s1": site}),
        unlawful={("LT", "M09"): "AP2 art. 3"},
        hazards=(HazardDuty("h", "Old field", "LT", ("mark", "monitor"), "F"),),
        changes=(Change("LT", "PV", date(2026, 9, 1), "G"),),
        seams=(Seam(("LT", "LV"), 3.2), Seam(("EE", "LV"), 0.0)),
    )
    book = Book()
    book.work("w", "2026-06-01", stage="started", name="Bridge", measure="M09")
    alerts = book.assess(DAY, context=context).alerts
    assert "180 days" in find(alerts, rule="site_without_record").text
    assert "AP2 art. 3" in find(alerts, rule="measure_unlawful").text
    assert find(alerts, rule="duty_record_missing").value == 2
    assert "63 days" in find(alerts, rule="treaty_change_ahead").text
    assert find(alerts, rule="joint_seam_open").text.endswith("leave 3.2 km open between the neighbours")
    # A work on the site is the record that was missing.
    book.work("v", "2026-06-01", stage="started", site="s1")
    assert raised(book, "site_without_record", context=context) == []


def test_severe_alerts_come_first():
    book = Book()
    for write in (hidden_figure, harm, missed_milestone):
        write(book)
    assert [one.severity for one in book.assess(DAY).alerts] == ["severe", "warning", "info"]


def study_with(tmp_path, table, text):
    """Something that read_settings takes for a study with one own table."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / f"{table}.csv").write_text(text, encoding="utf-8")

    class Study:
        folder = tmp_path
        tables = {
            "measures": __import__("pandas").DataFrame(columns=["measure", "life_years", "source", "tag"])
        }

    return Study()


def test_a_study_sets_its_own_limits_and_switches_rules_off(tmp_path):
    terms = "term,value,unit,meaning,source,tag\nlate_days,90,days,later than this,ministry,F\n"
    settings = read_settings(study_with(tmp_path, "monitor_terms", terms))
    book = Book()
    late_work(book)
    assert raised(book, "work_late") != []
    assert raised(book, "work_late", context=Context(settings=settings)) == []
    rules = "rule,subject,figure,compare,limit,severity,access,text,source,tag\n"
    rules += "work_silent,work,silent_days,above,silent_days,off,public,-,ministry,F\n"
    rules += (
        "very_silent,work,silent_days,above,late_days,info,public,{name} is quiet for {value},ministry,F\n"
    )
    (tmp_path / "two").mkdir()
    settings = read_settings(study_with(tmp_path / "two", "alert_rules", rules))
    book = Book()
    silent_work(book)
    alerts = book.assess(DAY, context=Context(settings=settings)).alerts
    assert [(one.rule, one.text) for one in alerts] == [("very_silent", "Ditch is quiet for 394 days")]


def test_every_fault_of_a_studys_rules_is_told(tmp_path):
    rules = "rule,subject,figure,compare,limit,severity,access,text,source,tag\n"
    rules += "a,worrk,days_late,above,late_days,info,public,x,s,F\n"
    rules += "b,work,days_lat,above,late_days,info,public,x,s,F\n"
    rules += "c,work,days_late,above,late_day,info,public,x,s,F\n"
    rules += "c,work,days_late,beside,late_days,info,public,x,s,F\n"
    with pytest.raises(InputError) as caught:
        read_settings(study_with(tmp_path, "alert_rules", rules))
    told = str(caught.value)
    for words in ("'worrk'", "did you mean 'work'", "'days_lat'", "'late_day'", "'beside'", "stands twice"):
        assert words in told


def test_text_of_a_rule_is_only_filled_in():
    """A rule's text comes from a study: it can name nothing but name, value and limit."""
    from abatis.programme.ledger.alerts import apply_rule
    from abatis.programme.ledger.gauges import Gauge, Subject

    rule = next(one for one in read_settings().rules if one.key == "work_late")
    odd = rule.__class__(**{**vars(rule), "text": "{name.__class__} {value!r} {0} {limit}"})
    subject = Subject("w", "{value}", "LT", "x", "", "F", (1,))
    gauge = Gauge("days", np.array([60.0]), lambda _row: subject)
    (alert,) = apply_rule(odd, {("work", "days_late"): gauge})
    assert alert.text == "{name.__class__} {value!r} {0} 30 days"


def test_seams_are_read_from_the_joint_answer(tmp_path):
    assert read_seams(tmp_path) == ()
    text = '{"seams": [{"between": ["LT", "LV"], "open_km": 2.5}, {"between": "EE - LV", "open_km": 0}]}'
    (tmp_path / "joint.json").write_text(text, encoding="utf-8")
    assert read_seams(tmp_path) == (Seam(("LT", "LV"), 2.5), Seam(("EE", "LV"), 0.0))
    (tmp_path / "joint.json").write_text('{"seams": [{"between": "LT"}]}', encoding="utf-8")
    with pytest.raises(InputError, match=r"joint\.json: holds no joint line"):
        read_seams(tmp_path)


def test_every_figure_that_a_rule_may_name_is_measured():
    from abatis.programme.ledger import status as module

    seen = []
    kept = module.raise_alerts
    module.raise_alerts = lambda measured, rules, public: (
        seen.append(measured) or kept(measured, rules, public)
    )
    book = Book()
    for write, _, _ in CASES.values():
        write(book)
    book.work("ten", "2026-01-01", stage="planned", **TEN_DAYS)
    try:
        book.assess(DAY)
    finally:
        module.raise_alerts = kept
    from abatis.programme.ledger.gauges import read_gauges

    asked = {(subject, figure) for subject, figures in FIGURES.items() for figure in figures}
    assert set(read_gauges(seen[0])) == asked
