"""The run that goes on in this process, and ending it from outside as Dagster ends a run that a person cancels.

Belongs here: Dagster's words for it. Does not: running (direct.py), who asks for the end (commands/).
"""

from __future__ import annotations

import dagster as dg


class RunInFlight:
    """At most one run; `what` names its pair and days for people."""

    def __init__(self) -> None:
        self.what = ""
        self.asked = False
        self._instance: dg.DagsterInstance | None = None
        self._run_id = ""

    def begin(self, instance: dg.DagsterInstance, run_id: str, what: str) -> None:
        """From now on it is this one."""
        self._instance, self._run_id, self.what = instance, run_id, what

    def ask(self) -> None:
        """Say that it is to end: when it is interrupted then, Dagster calls it cancelled, not failed. From any thread."""
        self.asked = True
        run = self._unfinished()
        if run is not None and self._instance is not None:
            self._instance.report_run_canceling(
                run, "Ctrl-C in the terminal of the command. Its finished days are kept."
            )

    def end(self) -> None:
        """It is over, whether Dagster noticed or not: cancelled if it has no other end, and its places in pools are free."""
        run = self._unfinished()
        if run is not None and self._instance is not None:
            self._instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            self._instance.report_run_canceled(run, "The command was interrupted. Its finished days are kept.")

    def _unfinished(self) -> dg.DagsterRun | None:
        if self._instance is None:
            return None
        run = self._instance.get_run_by_id(self._run_id)
        return None if run is None or run.is_finished else run
