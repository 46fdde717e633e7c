"""One service's process: when it may be started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from market_platform.domain.clock import utc_now
from market_platform.embedded.child import Child, RestartPolicy
from market_platform.embedded.processes import wait_until
from market_platform.embedded.services import Service


def made_child(folder: Path, *, after: tuple[str, ...] = ()) -> Child:
    command = (sys.executable, "-I", "-S", "-c", "raise SystemExit(1)")
    service = Service("daemon", "ends at once", command, probe=lambda _age: False, stop_phase=1, after=after)
    policy = RestartPolicy(first_delay_s=0.0)
    return Child(service, log=folder / "daemon.log", folder=folder, policy=policy, clock=utc_now)


def test_a_service_waits_for_those_before_it(tmp_path: Path) -> None:
    child = made_child(tmp_path, after=("code", "replay"))
    assert not child.may_start(set())
    assert not child.may_start({"code"})
    assert child.may_start({"code", "replay", "api"})
    assert made_child(tmp_path).may_start(set())


def test_one_that_ended_while_it_waited_still_waits_for_those_before_it(tmp_path: Path) -> None:
    child = made_child(tmp_path, after=("code",))
    child.start(dict(os.environ))  # as one that does its imports early and is killed meanwhile
    assert wait_until(lambda: child.reap() is not None, 60)
    assert child.failed is None
    assert not child.may_start(set())
    assert child.may_start({"code"})
