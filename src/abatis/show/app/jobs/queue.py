"""The jobs of a server, one after the other, each in a process of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sql

from abatis.show.app.jobs.process import JobProcess
from abatis.show.app.jobs.records import (
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    QUEUED,
    RUNNING,
    UNDER_WAY,
    Job,
    JobRecords,
    tell_time,
)
from abatis.show.app.refusals import Refusal
from abatis.show.app.security.database import Database
from abatis.show.app.settings import Settings

log = logging.getLogger("abatis.server")
KEPT_EVERY_S = 1.0
STOP_GRACE_S = 3.0
BROKEN = {"what": "The job ended without an answer.", "where": "", "remedy": "the server's log says more"}


@dataclass
class _Running:
    """A job under way: its process, and how far it is (newer than on disk)."""

    process: JobProcess
    stage: str = ""
    share: float = 0.0
    note: str = ""
    ending: str = ""
    answer: dict[str, Any] = field(default_factory=dict)


class JobQueue:
    """Runs jobs and keeps their states on disk.

    Parameters
    ----------
    database : where the states are kept.
    settings : study, how many at once, longest time.
    make_process : starts the process of a job; another one in tests.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        make_process: Callable[[dict[str, Any]], JobProcess] = JobProcess,
    ) -> None:
        self.records = JobRecords(database)
        self._settings = settings
        self._make_process = make_process
        self._running: dict[str, _Running] = {}
        self._wake = threading.Condition()
        self._ended = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Mark what an earlier server left running, then begin to work through the queue."""
        self.records.interrupt_running()
        for number in range(self._settings.limits.jobs_at_once):
            thread = threading.Thread(target=self._work, name=f"jobs {number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop the jobs under way; they stand as interrupted and can be started again."""
        with self._wake:
            self._ended = True
            for one in self._running.values():
                one.ending = one.ending or INTERRUPTED
                one.process.stop(STOP_GRACE_S)
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(STOP_GRACE_S + 5)

    def add(self, kind: str, plan: str, settings: dict[str, Any], user: str) -> Job:
        """Put a job into the queue; the same job asked for twice is one job.

        Raises
        ------
        Refusal : 429 when too many wait.
        """
        with self._wake:
            under_way = self.records.list_under_way()
            for job in under_way:
                if (job.kind, job.plan, job.settings) == (kind, plan, settings):
                    return job
            if len(under_way) >= self._settings.limits.jobs_waiting:
                raise Refusal(429, "Too many jobs wait.", remedy="cancel one, or wait")
            job = self.records.add(kind, plan, settings, user)
            self._wake.notify_all()
            return job

    def find(self, key: str) -> Job:
        """Return a job as it is now.

        Raises
        ------
        Refusal : 404 when there is none.
        """
        job = self.records.find(key)
        if job is None:
            raise Refusal(404, "There is no such job.", remedy="GET /api/jobs lists them")
        return self._freshen(job)

    def list_all(self) -> list[Job]:
        """List jobs as they are now, the newest first."""
        return [self._freshen(job) for job in self.records.list_all()]

    def _freshen(self, job: Job) -> Job:
        now = self._running.get(job.id)
        if now is None or job.state != RUNNING:
            return job
        return replace(job, stage=now.stage, share=now.share, note=now.note)

    def cancel(self, key: str) -> Job:
        """Stop a job as Ctrl-C does, and kill it when it has not stopped after a while.

        Raises
        ------
        Refusal : 404 when there is none, 409 when it has ended already.
        """
        with self._wake:
            job = self.find(key)
            if self.records.change(key, (QUEUED,), state=CANCELLED, finished=tell_time()):
                return self.find(key)
            running = self._running.get(key)
            if job.state != RUNNING or running is None:
                raise Refusal(409, f"The job is {job.state}.", remedy="only jobs under way can be cancelled")
            running.ending = CANCELLED
            running.note = "stopping"
            running.process.stop(self._settings.limits.job_grace_s)
        return self.find(key)

    def restart(self, key: str) -> Job:
        """Put a job that was interrupted, cancelled or failed into the queue again.

        Raises
        ------
        Refusal : 404 when there is none, 409 when it is under way or done.
        """
        with self._wake:
            job = self.find(key)
            fresh = {"stage": "", "share": 0.0, "note": "", "started": None, "finished": None}
            fresh |= {"result": sql.null(), "error": sql.null()}
            if not self.records.change(key, (INTERRUPTED, CANCELLED, FAILED), state=QUEUED, **fresh):
                raise Refusal(409, f"The job is {job.state}.", remedy="ask for a new job")
            self._wake.notify_all()
        return self.find(key)

    def _work(self) -> None:
        while True:
            try:
                job = self._take()
                if job is None:
                    return
                self._run(job)
            except Exception:
                # The database or the system refused: the queue goes on when it can again.
                log.exception("a job could not be run")
                time.sleep(1.0)

    def _take(self) -> Job | None:
        """Take the next job, waiting for one; None when the server ends."""
        with self._wake:
            while not self._ended:
                queued = [job for job in self.records.list_under_way() if job.state == QUEUED]
                if queued:
                    job = queued[0]
                    values = {"state": RUNNING, "started": tell_time()}
                    if self.records.change(job.id, (QUEUED,), **values):
                        self._begin(job)
                        return job
                    continue
                self._wake.wait()
            return None

    def _begin(self, job: Job) -> None:
        question = {"kind": job.kind, "plan": job.plan, "settings": job.settings}
        try:
            process = self._make_process({**question, "study": str(self._settings.study.resolve())})
        except OSError as error:
            fault = {"what": f"No process could be started: {error.strerror}.", "where": "", "remedy": ""}
            self.records.change(job.id, (RUNNING,), state=FAILED, finished=tell_time(), error=[fault])
            raise
        self._running[job.id] = _Running(process, stage="starting")

    def _run(self, job: Job) -> None:
        running = self._running[job.id]
        limit = threading.Timer(self._settings.limits.job_longest_s, self._end_late, [running])
        limit.daemon = True
        limit.start()
        try:
            self._listen(job, running)
        finally:
            limit.cancel()
            code = running.process.wait()
            try:
                self._close(job, running, code)
            finally:
                with self._wake:
                    self._running.pop(job.id, None)

    def _listen(self, job: Job, running: _Running) -> None:
        kept_s = 0.0
        for message in running.process.read_messages():
            if {"done", "failed", "cancelled"} & message.keys():
                running.answer = message
            if "stage" in message:
                running.stage, running.share = str(message["stage"])[:200], float(message["share"])
            if "note" in message:
                running.note = str(message["note"])[:500]
            if time.monotonic() - kept_s >= KEPT_EVERY_S:
                kept_s = time.monotonic()
                self._keep(job, running)

    def _keep(self, job: Job, running: _Running) -> None:
        """Write how far a job is; when that cannot be written the job goes on."""
        values = {"stage": running.stage, "share": running.share, "note": running.note}
        try:
            self.records.change(job.id, (RUNNING,), **values)
        except (sql.exc.SQLAlchemyError, OSError) as error:
            log.warning("progress of a job was not kept: %s", error)

    def _end_late(self, running: _Running) -> None:
        with self._wake:
            running.ending = running.ending or FAILED
            running.process.stop(self._settings.limits.job_grace_s)

    def _close(self, job: Job, running: _Running, code: int) -> None:
        values = judge_end(running.answer, running.ending, code)
        values |= {"stage": running.stage, "note": values.get("note", running.note)}
        values.setdefault("share", running.share)
        for patience_s in (0.0, 1.0, 5.0):
            time.sleep(patience_s)
            try:
                self.records.change(job.id, UNDER_WAY, finished=tell_time(), **values)
                return
            except (sql.exc.SQLAlchemyError, OSError) as error:
                log.warning("the end of a job was not kept: %s", error)


def judge_end(answer: dict[str, Any], ending: str, code: int) -> dict[str, Any]:
    """Say what became of a job from its last word, why it was stopped, and its exit status.

    Examples
    --------
    >>> judge_end({"done": {"plan": "base"}}, "", 0)["state"]
    'done'
    >>> judge_end({}, "cancelled", -9)["state"], judge_end({}, "", -9)["state"]
    ('cancelled', 'failed')
    """
    if "done" in answer:
        # It was quicker than the wish to stop it: its results are written.
        return {"state": DONE, "share": 1.0, "result": answer["done"]}
    if "failed" in answer and not ending:
        return {"state": FAILED, "error": answer["failed"]}
    words = str(answer.get("cancelled", ""))[:500]
    if ending == FAILED:
        late = {"what": "The job took longer than the server allows.", "where": "", "remedy": "ask for less"}
        return {"state": FAILED, "error": [late], "note": words}
    if ending:
        return {"state": ending, "note": words}
    if "cancelled" in answer:
        return {"state": INTERRUPTED, "note": words}
    log.error("a job ended with status %s and without an answer", code)
    return {"state": FAILED, "error": [BROKEN]}
