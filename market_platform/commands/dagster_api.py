"""Dagster's webserver over GraphQL, as much of it as the command line needs; no Dagster import.

Belongs here: queries and their answers as small records. Does not: what a backfill consists of (defs/plan.py), printing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from market_platform.defs.made_days import MadeDay, made_day
from market_platform.defs.names import LOCATION
from market_platform.defs.plan import Target
from market_platform.domain.errors import MarketPlatformError
from market_platform.settings import Settings

_TIMEOUT = httpx.Timeout(60.0, connect=3.0)
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
TRAINING_SCHEDULE = "training_history_yesterday"
"""The schedule that Dagster has exactly when training data has a database of its own."""
BACKFILL_OVER = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")

_LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message }
  }
}"""

_KNOWN = "query Known($keys: [AssetKeyInput!]!) { assetNodes(assetKeys: $keys) { assetKey { path } } }"

_RELOAD = """
mutation Reload($name: String!) {
  reloadRepositoryLocation(repositoryLocationName: $name) { __typename ... on Error { message } }
}"""

_SCHEDULES = "query Schedules { repositoriesOrError { ... on RepositoryConnection { nodes { schedules { name } } } } }"

_WATCH = """
query Watch($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename ... on PartitionBackfill { status error { message } } ... on Error { message }
  }
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
    __typename ... on Runs { results { runId status tags { key value } assetSelection { path } } } ... on Error { message }
  }
}"""

_COUNT = "query Count($id: ID!) { runOrError(runId: $id) { ... on Run { stats { ... on RunStatsSnapshot { materializations } } } } }"

_LOG = """
query Log($id: ID!, $cursor: String) {
  logsForRun(runId: $id, afterCursor: $cursor) {
    __typename ... on EventConnection {
      cursor hasMore
      events {
        __typename ... on MessageEvent { message level }
        ... on MaterializationEvent {
          assetKey { path } partition
          metadataEntries { label ... on TextMetadataEntry { text } }
        }
        ... on ExecutionStepFailureEvent {
          stepKey
          error { message }
          failureMetadata { metadataEntries { label ... on JsonMetadataEntry { jsonString } } description }
        }
      }
    }
  }
}"""

_FAILED_RUNS = """
query Failed($after: Float!, $limit: Int!) {
  runsOrError(filter: {statuses: [FAILURE], createdAfter: $after}, limit: $limit) {
    ... on Runs { results { runId endTime tags { key value } } }
  }
}"""


class DagsterUnavailableError(MarketPlatformError):
    """Dagster's webserver does not answer, or not sensibly."""

    retryable = True


class BackfillRefusedError(MarketPlatformError):
    """Dagster answers, and does not take the backfill."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a backfill: its status, its tags, the layers of the assets it is for."""

    run_id: str
    status: str
    tags: Mapping[str, str]
    layers: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it, not even another try."""
        retrying = self.tags.get("dagster/will_retry") == "true" and "dagster/auto_retry_run_id" not in self.tags
        return self.status in ENDED and not retrying


@dataclass(frozen=True, slots=True)
class Progress:
    """A backfill as Dagster sees it now."""

    status: str
    error: str | None
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class LogPage:
    """What a run has logged since the last page: messages of assets, failures by day or step, partitions; and if there is `more`."""

    cursor: str
    messages: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    days: tuple[MadeDay, ...] = ()
    more: bool = False


class DagsterApi:
    """One webserver. Every call has a time limit."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(timeout=_TIMEOUT, trust_env=False)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def launch(self, targets: Sequence[Target], title: str, tags: Mapping[str, str]) -> str:
        """Launch a backfill and return its id; a location that does not know the assets yet is reloaded once.

        Raises:
            DagsterUnavailableError: nobody answers.
            BackfillRefusedError: Dagster does not know the assets, or refuses.
        """
        if self._unknown(targets):
            self._call(_RELOAD, name=LOCATION)
            unknown = self._unknown(targets)
            if unknown:
                raise BackfillRefusedError(
                    f"Dagster does not know {', '.join(unknown[:3])}: is the code location loaded? Look at {self.url}/locations"
                )
        params = {
            "partitionsByAssets": [
                {
                    "assetKey": {"path": list(target.path)},
                    "partitions": {"range": {"start": target.first.isoformat(), "end": target.last.isoformat()}},
                }
                for target in targets
            ],
            "title": title,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        answer = self._call(_LAUNCH, params=params)["launchPartitionBackfill"]
        if answer["__typename"] != "LaunchBackfillSuccess":
            raise BackfillRefusedError(f"Dagster refused the backfill: {answer.get('message', answer['__typename'])}")
        return str(answer["backfillId"])

    def require_training(self, *, own: bool) -> None:
        """Make sure that Dagster, too, keeps training data in a database of its own, or that neither does; reloads once.

        Its runs write where its own settings say, which are not those of the command when only one of them was told.

        Raises:
            DagsterUnavailableError: nobody answers.
            BackfillRefusedError: they differ.
        """
        if self._has_training() == own:
            return
        self._call(_RELOAD, name=LOCATION)
        if self._has_training() != own:
            here, there = ("one of its own", "the realtime one") if own else ("the realtime one", "one of its own")
            raise BackfillRefusedError(
                f"training data's database is {here} by the settings of this command, and {there} by those Dagster was started "
                "with, so nothing was launched; set TRAINING_DATABASE_URL or TRAINING_DATABASE alike for both, in `.env`, and "
                "restart the platform"
            )

    def knows(self, path: Sequence[str]) -> bool:
        """Whether the asset is in a loaded code location."""
        return bool(self._call(_KNOWN, keys=[{"path": list(path)}])["assetNodes"])

    def progress(self, backfill_id: str) -> Progress:
        """The backfill and its runs, oldest first."""
        answer = self._call(_WATCH, id=backfill_id)
        backfill, runs = answer["partitionBackfillOrError"], answer["runsOrError"]
        if backfill["__typename"] != "PartitionBackfill" or runs["__typename"] != "Runs":
            raise BackfillRefusedError(f"backfill {backfill_id}: {backfill.get('message') or runs.get('message')}")
        return Progress(
            status=backfill["status"],
            error=(backfill["error"] or {}).get("message"),
            runs=tuple(
                Run(
                    each["runId"],
                    each["status"],
                    {tag["key"]: tag["value"] for tag in each["tags"]},
                    tuple(key["path"][-1] for key in each["assetSelection"] or ()),
                )
                for each in reversed(runs["results"])
            ),
        )

    def materialised(self, run_id: str) -> int:
        """How many asset partitions the run has reported so far."""
        run = self._call(_COUNT, id=run_id)["runOrError"]
        return int((run.get("stats") or {}).get("materializations") or 0)

    def log(self, run_id: str, cursor: str | None) -> LogPage:
        """What the run has logged after `cursor`."""
        page = self._call(_LOG, id=run_id, cursor=cursor)["logsForRun"]
        if page["__typename"] != "EventConnection":
            return LogPage(cursor or "")
        messages, failures, days = [], {}, []
        for event in page["events"]:
            if event["__typename"] == "LogMessageEvent" and event["level"] in ("INFO", "WARNING", "ERROR"):
                messages.append(event["message"])
            elif event["__typename"] == "ExecutionStepFailureEvent":
                failures.update(_failures(event))
            elif event["__typename"] == "MaterializationEvent" and event["assetKey"]:
                days.append(_day(event))
        return LogPage(page["cursor"], tuple(messages), failures, tuple(days), bool(page["hasMore"]))

    def failed_runs(self, after: float, limit: int = 20) -> list[Run]:
        """Runs that failed after a moment (seconds since the epoch), newest first."""
        found = self._call(_FAILED_RUNS, after=after, limit=limit)["runsOrError"].get("results", [])
        return [Run(each["runId"], "FAILURE", {tag["key"]: tag["value"] for tag in each["tags"]}) for each in found]

    def backfill_page(self, backfill_id: str) -> str:
        """Where a person follows the backfill."""
        return f"{self.url}/runs/b/{backfill_id}"

    def _has_training(self) -> bool:
        nodes = self._call(_SCHEDULES)["repositoriesOrError"].get("nodes", [])
        return any(schedule["name"] == TRAINING_SCHEDULE for node in nodes for schedule in node["schedules"])

    def _unknown(self, targets: Sequence[Target]) -> list[str]:
        keys = [{"path": list(target.path)} for target in targets]
        known = {tuple(node["assetKey"]["path"]) for node in self._call(_KNOWN, keys=keys)["assetNodes"]}
        return [target.name for target in targets if target.path not in known]

    def _call(self, query: str, **variables: Any) -> dict[str, Any]:
        try:
            answer = self._client.post(f"{self.url}/graphql", json={"query": query, "variables": variables})
            body = answer.json()
        except httpx.TransportError as error:
            raise DagsterUnavailableError(
                f"Dagster at {self.url} does not answer ({type(error).__name__}). Start the platform with `make up`, or run the "
                "assets in this process with --direct"
            ) from None
        except json.JSONDecodeError:
            raise DagsterUnavailableError(
                f"what answers at {self.url} is not Dagster; look at DAGSTER_HOST and DAGSTER_PORT"
            ) from None
        if "data" not in body or body["data"] is None:
            raise DagsterUnavailableError(f"Dagster at {self.url}: {_first_error(body)}")
        data: dict[str, Any] = body["data"]
        return data


def webserver_url(settings: Settings) -> str:
    """Where this machine reaches the webserver that the settings describe."""
    host = settings.dagster_host if settings.dagster_host not in ("0.0.0.0", "::", "") else "127.0.0.1"  # noqa: S104
    return f"http://{host}:{settings.dagster_port}"


def _failures(event: Mapping[str, Any]) -> dict[str, str]:
    """Failed days of a step with their errors; the step itself when it names no days."""
    metadata = event.get("failureMetadata") or {}
    for entry in metadata.get("metadataEntries") or ():
        if entry["label"] == "failed_days" and entry.get("jsonString"):
            pair = event["stepKey"].replace("__", "/")
            return {f"{pair} {day}": str(error) for day, error in json.loads(entry["jsonString"]).items()}
    message = metadata.get("description") or (event.get("error") or {}).get("message") or "failed"
    return {event["stepKey"].replace("__", "/"): str(message).strip()}


def _day(event: Mapping[str, Any]) -> MadeDay:
    texts = {entry["label"]: entry["text"] for entry in event["metadataEntries"] if "text" in entry}
    return made_day(event["assetKey"]["path"], event["partition"] or "", texts)


def _first_error(body: Mapping[str, Any]) -> str:
    errors = body.get("errors") or [{}]
    return str(errors[0].get("message", "no data in the answer"))
