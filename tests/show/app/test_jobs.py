"""Jobs: progress, cancelling, limits, what stands on disk, and real work through the workflow."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from abatis.model.errors import InputError
from abatis.show import programme
from abatis.show.app.jobs.kinds import (
    KINDS,
    CurveAsked,
    PeopleAsked,
    ProgrammeAsked,
    RiskAsked,
    WhyAsked,
    Work,
)
from abatis.show.app.jobs.process import JobProcess
from abatis.show.app.jobs.queue import JobQueue
from abatis.show.app.refusals import Refusal
from abatis.show.app.security.database import Database
from abatis.show.app.settings import Limits, Settings
from abatis.show.tables import Table

# Stands for the worker: does what the settings say and talks as the worker does.
ACTOR = """
import json, os, signal, subprocess, sys, threading, time
asked = json.loads(sys.stdin.readline())["settings"]
tell = lambda **message: print(json.dumps(message), flush=True)
def leave_with_server():
    while sys.stdin.readline():
        pass
    os._exit(130)
threading.Thread(target=leave_with_server, daemon=True).start()
act = asked["act"]
tell(stage="first", share=0.25)
tell(note="half a note")
if act == "stubborn":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    tell(stage=f"child {child.pid}", share=0.5)
    time.sleep(100)
if act == "hang":
    try:
        time.sleep(100)
    except KeyboardInterrupt:
        tell(cancelled="kept what there was")
        sys.exit(130)
if act == "crash":
    print("no JSON at all", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
if act == "fail":
    tell(failed=[{"what": "the budget is missing", "where": "tables/budget.csv", "remedy": "add it"}])
    sys.exit(1)
time.sleep(asked.get("for_s", 0))
tell(stage="second", share=0.75)
tell(done={"plan": "base", "act": act})
"""


@pytest.fixture
def run_queue(bare_study):
    """Open a queue on a study; opening it again is what a server does that starts again."""

    @contextmanager
    def run(**limits):
        database = Database(bare_study / "server.sqlite")
        settings = Settings(bare_study, limits=Limits(**limits))
        queue = JobQueue(
            database, settings, lambda question: JobProcess(question, (sys.executable, "-c", ACTOR))
        )
        queue.start()
        try:
            yield queue
        finally:
            queue.stop()
            database.close()

    return run


def wait_for(queue, key, *states, stage="", seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = queue.find(key)
        if job.state in states and stage in job.stage:
            return job
        time.sleep(0.02)
    raise AssertionError(f"the job is {job.state} in stage '{job.stage}', not {states}")


def ask(queue, act, **more):
    return queue.add("report", "base", {"act": act, **more}, "ona").id


def test_a_job_runs_tells_how_far_it_is_and_ends(run_queue):
    with run_queue() as queue:
        key = ask(queue, "finish", for_s=1.0)
        running = wait_for(queue, key, "running", stage="first")
        assert (running.share, running.started is not None, running.finished) == (0.25, True, None)
        done = wait_for(queue, key, "done")
        assert done.result == {"plan": "base", "act": "finish"}
        assert (done.stage, done.share, done.note, done.error) == ("second", 1.0, "half a note", None)
        assert done.asked <= done.started <= done.finished


def test_one_job_at_a_time_in_the_order_asked(run_queue):
    with run_queue() as queue:
        keys = [ask(queue, "finish", for_s=0.3, number=number) for number in range(3)]
        most = 0
        while any(queue.find(key).state != "done" for key in keys):
            most = max(most, sum(queue.find(key).state == "running" for key in keys))
            time.sleep(0.01)
        assert most == 1
        jobs = [queue.find(key) for key in keys]
        assert jobs[0].finished <= jobs[1].started <= jobs[1].finished <= jobs[2].started
        assert [job.id for job in queue.list_all()] == keys[::-1]


def test_the_same_job_asked_for_twice_is_one(run_queue):
    with run_queue() as queue:
        first = ask(queue, "hang")
        assert ask(queue, "hang") == first
        assert ask(queue, "finish") != first
        queue.cancel(first)


def test_a_job_is_cancelled_as_by_ctrl_c(run_queue):
    with run_queue() as queue:
        key = ask(queue, "hang")
        wait_for(queue, key, "running", stage="first")
        queue.cancel(key)
        job = wait_for(queue, key, "cancelled")
        assert job.note == "kept what there was"
        with pytest.raises(Refusal) as refused:
            queue.cancel(key)
        assert refused.value.status == 409


def test_a_job_that_does_not_listen_is_killed_with_its_children(run_queue):
    with run_queue(job_grace_s=0.5) as queue:
        key = ask(queue, "stubborn")
        child = int(wait_for(queue, key, "running", stage="child").stage.split()[1])
        assert psutil.pid_exists(child)
        queue.cancel(key)
        wait_for(queue, key, "cancelled")
        end = time.monotonic() + 5
        while psutil.pid_exists(child) and psutil.Process(child).status() != "zombie":
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_waiting_job_is_cancelled_at_once(run_queue):
    with run_queue() as queue:
        running, waiting = ask(queue, "hang"), ask(queue, "finish")
        wait_for(queue, running, "running")
        assert queue.cancel(waiting).state == "cancelled"
        queue.cancel(running)
        wait_for(queue, running, "cancelled")
        assert queue.find(waiting).started is None


def test_a_job_that_fails_tells_its_faults_and_one_that_crashes_says_so(run_queue):
    with run_queue() as queue:
        failed = wait_for(queue, ask(queue, "fail"), "failed")
        assert failed.error == [
            {"what": "the budget is missing", "where": "tables/budget.csv", "remedy": "add it"}
        ]
        crashed = wait_for(queue, ask(queue, "crash"), "failed")
        assert crashed.error[0]["what"] == "The job ended without an answer."
        # The queue goes on.
        wait_for(queue, ask(queue, "finish"), "done")


def test_a_job_that_takes_too_long_is_stopped(run_queue):
    with run_queue(job_longest_s=1.0) as queue:
        job = wait_for(queue, ask(queue, "hang"), "failed")
        assert job.error[0]["what"] == "The job took longer than the server allows."
        assert job.note == "kept what there was"


def test_too_many_waiting_jobs_are_refused(run_queue):
    with run_queue(jobs_waiting=3) as queue:
        keys = [ask(queue, "hang", number=number) for number in range(3)]
        with pytest.raises(Refusal) as refused:
            ask(queue, "hang", number=4)
        assert refused.value.status == 429
        for key in keys[::-1]:
            queue.cancel(key)


def test_a_server_that_ends_leaves_jobs_interrupted_and_they_can_be_started_again(run_queue):
    with run_queue() as queue:
        running, waiting = ask(queue, "hang"), ask(queue, "finish")
        wait_for(queue, running, "running", stage="first")
    with run_queue() as queue:
        job = queue.find(running)
        assert (job.state, job.stage, job.share) == ("interrupted", "first", 0.25)
        # One that waited is worked on by the next server.
        wait_for(queue, waiting, "done")
        before = ask(queue, "hang")
        wait_for(queue, before, "running")
        again = queue.restart(running)
        assert (again.state, again.share, again.started) == ("queued", 0.0, None)
        queue.cancel(before)
        wait_for(queue, running, "running")
        with pytest.raises(Refusal):
            queue.restart(running)
        queue.cancel(running)
        wait_for(queue, running, "cancelled")
        with pytest.raises(Refusal):
            queue.restart(waiting)


def test_only_the_newest_finished_jobs_are_kept(run_queue, monkeypatch):
    monkeypatch.setattr("abatis.show.app.jobs.records.MOST_KEPT", 3)
    with run_queue() as queue:
        for number in range(6):
            wait_for(queue, ask(queue, "finish", number=number), "done")
        assert len(queue.list_all()) == 4


def test_a_database_that_goes_away_under_a_job_does_not_stop_the_queue(run_queue, bare_study):
    with run_queue() as queue:
        key = ask(queue, "finish", for_s=1.0)
        wait_for(queue, key, "running", stage="first")
        file = bare_study / "server.sqlite"
        file.rename(bare_study / "away")
        time.sleep(1.5)
        (bare_study / "away").replace(file)
        wait_for(queue, key, "done")
        wait_for(queue, ask(queue, "finish"), "done")


def wait_over_http(client, key, *states, seconds=120.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = client.get(f"/api/jobs/{key}").json()
        if job["state"] in states:
            return job
        time.sleep(0.1)
    raise AssertionError(job)


def test_a_curve_and_a_solve_are_made_over_http(make_client, study_copy):
    client = make_client(study_copy)
    asked = {"kind": "curve", "plan": "base", "settings": {"budgets_eur": [0, 3e6], "time_limit_s": 5}}
    answer = client.post("/api/jobs", json=asked)
    assert answer.status_code == 202, answer.text
    job = wait_over_http(client, answer.json()["id"], "done", "failed")
    assert job["state"] == "done", job
    assert job["user"] == "local"
    kept = json.loads((study_copy / "plans" / "base" / "curve.json").read_text("utf-8"))
    assert [point["budget_eur"] for point in kept["points"]] == [0, 3e6]
    assert kept["points"][0]["choices"] == {}
    assert kept["points"][1]["value_h"] >= kept["points"][0]["value_h"]

    asked = {"kind": "solve", "plan": "second", "settings": {"budget_eur": 2e6, "time_limit_s": 5}}
    job = wait_over_http(client, client.post("/api/jobs", json=asked).json()["id"], "done", "failed")
    assert job["state"] == "done", job
    plan = json.loads((study_copy / "plans" / "second" / "plan.json").read_text("utf-8"))
    assert plan["cost_eur"] <= 2e6
    assert plan["value_h"] == next(
        row["value"] for row in job["result"]["rows"] if row["what"] == "value with the plan"
    )


def test_bad_input_of_a_job_is_told_as_the_command_line_tells_it(make_client, study_copy):
    table = study_copy / "tables" / "budget.csv"
    table.write_text(table.read_text("utf-8").replace("amount_eur", "amount"), encoding="utf-8")
    client = make_client(study_copy)
    answer = client.post("/api/jobs", json={"kind": "solve", "plan": "second"})
    job = wait_over_http(client, answer.json()["id"], "done", "failed")
    assert job["state"] == "failed"
    assert any("budget.csv" in fault["where"] for fault in job["error"]), job["error"]
    assert not (study_copy / "plans" / "second").exists()


@pytest.mark.parametrize(
    ("question", "status", "where"),
    [
        ({"kind": "nothing", "plan": "base"}, 422, "body.kind"),
        ({"kind": "solve"}, 422, "plan"),
        ({"kind": "solve", "plan": "../../x"}, 422, "plan"),
        ({"kind": "solve", "plan": "a/b"}, 422, "plan"),
        ({"kind": "solve", "plan": "<b>x</b>"}, 422, "plan"),
        ({"kind": "solve", "plan": ".hidden"}, 422, "plan"),
        ({"kind": "solve", "plan": "x\0"}, 422, "plan"),
        ({"kind": "solve", "plan": "x" * 81}, 422, "body.plan"),
        ({"kind": "report", "plan": "missing"}, 404, ""),
        ({"kind": "report", "plan": ""}, 404, ""),
        ({"kind": "watch", "plan": "missing"}, 404, ""),
        ({"kind": "solve", "plan": "x", "settings": {"budget": 1}}, 422, "settings.budget"),
        ({"kind": "solve", "plan": "x", "settings": {"budget_eur": -1}}, 422, "settings.budget_eur"),
        ({"kind": "solve", "plan": "x", "settings": {"gap": 2}}, 422, "settings.gap"),
        ({"kind": "risk", "plan": "base", "settings": {"draws": 10**9}}, 422, "settings.draws"),
        ({"kind": "report", "plan": "base", "settings": {"x": 1}}, 422, "settings.x"),
    ],
)
def test_faulty_questions_are_refused_before_anything_starts(
    make_client, study_copy, question, status, where
):
    client = make_client(study_copy)
    answer = client.post("/api/jobs", json=question)
    assert answer.status_code == status, answer.text
    assert answer.json()["faults"][0]["where"] == where
    assert client.get("/api/jobs").json() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "asked", "files"),
    [
        ("programme", {"time_limit_s": 5}, ["programme.json", "programme.html", "programme.xlsx"]),
        ("risk", {"draws": 10}, ["risk.json"]),
        ("people", {}, ["people_view.json"]),
        ("why", {"time_limit_s": 2, "alternatives": 1}, ["why.json"]),
        ("report", {}, ["report.html", "plan.gpkg"]),
        ("watch", {"budget_eur": 400_000}, []),
    ],
)
def test_every_kind_writes_what_the_command_line_writes(make_client, study_copy, kind, asked, files):
    client = make_client(study_copy)
    place = study_copy / "plans" / "base"
    for name in files:
        (place / name).unlink(missing_ok=True)
    answer = client.post("/api/jobs", json={"kind": kind, "plan": "base", "settings": asked})
    job = wait_over_http(client, answer.json()["id"], "done", "failed")
    assert job["state"] == "done", job
    assert job["result"]["files"] == [f"plans/base/{name}" for name in files] or kind == "watch"
    assert all((place / name).is_file() for name in files)
    if kind == "watch":
        assert (study_copy / "watch" / "watch.json").is_file()


def test_results_of_a_plan_that_was_replaced_meanwhile_are_not_kept(study_copy, monkeypatch):
    place = study_copy / "plans" / "base"

    def replace_plan(*_arguments):
        (place / "plan.json").write_text((place / "plan.json").read_text("utf-8") + " ", "utf-8")
        return {"curve": Table("Curve", (), ())}

    find_schedule = programme.find_schedule

    def find_then_replace(*arguments, **named):
        found = find_schedule(*arguments, **named)
        replace_plan()
        return found

    monkeypatch.setattr(programme, "find_schedule", find_then_replace)
    monkeypatch.setattr("abatis.show.explain.trace_study", replace_plan)
    monkeypatch.setattr("abatis.show.explain.explain_plan", replace_plan)
    monkeypatch.setattr("abatis.show.risk.tabulate_risk", replace_plan)
    monkeypatch.setattr("abatis.show.app.views.people.make_people_view", replace_plan)
    asks = {
        "why": WhyAsked(),
        "risk": RiskAsked(),
        "people": PeopleAsked(),
        "curve": CurveAsked(),
        "programme": ProgrammeAsked(time_limit_s=1.0),
    }
    left = {"why.json", "risk.json", "people_view.json", "curve.json", "programme.json", "programme.html"}
    for name in left:
        (place / name).unlink(missing_ok=True)
    for name, asked in asks.items():
        work = Work(study_copy, "base", asked, lambda _stage, _share: None, lambda _text: None)
        with pytest.raises(InputError, match="was replaced or deleted while its results"):
            KINDS[name].run(work)
    assert not [name for name in left if (place / name).exists()]
