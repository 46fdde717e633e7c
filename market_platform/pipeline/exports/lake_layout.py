"""What exports in the lake are called: folders that every tool reads as partitions.

    exports/{dataset}/date=2024-08-08/exchange=binance/symbol=BTCUSDT/interval=1m/data.parquet
    exports/{dataset}_monthly/month=2024-08/exchange=…

Beside each file is its JSON, `_data.parquet.json`, which readers of folders leave out for its `_`. Data sets of float64 are in
`{dataset}_float64` and `{dataset}_float64_monthly`. Belongs here: names, and what a name says. Does not: reading or writing.
"""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

from market_platform.domain.intervals import Interval
from market_platform.pipeline.exports.request import Dataset, Numbers, Span

ROOT = "exports"
FILE = "data.parquet"
_SIDECAR = f"_{FILE}.json"
_KEY = re.compile(
    rf"{ROOT}/[^/]+/(?:date|month)=[^/]+/exchange=(?P<exchange>[^/]+)/symbol=(?P<symbol>[^/]+)/(?:interval=[^/]+/)?"
    rf"(?:{re.escape(FILE)}|(?P<sidecar>{re.escape(_SIDECAR)}))"
)


class Place(NamedTuple):
    """What a key says: whose data a file or its JSON is of."""

    exchange: str
    symbol: str
    is_sidecar: bool


def dataset_folder(dataset: Dataset, span: Span, numbers: Numbers = "decimal") -> str:
    """Where a data set's partitions are: `exports/merged`, `exports/merged_float64_monthly`."""
    base = str(dataset) if numbers == "decimal" else f"{dataset}_{numbers}"
    return f"{ROOT}/{base}" if span == "day" else f"{ROOT}/{base}_monthly"


def folder_name(dataset: Dataset, start: date, span: Span, numbers: Numbers = "decimal") -> str:
    """Where a partition's files are: `exports/merged/date=2024-08-08`."""
    partition = f"date={start.isoformat()}" if span == "day" else f"month={start:%Y-%m}"
    return f"{dataset_folder(dataset, span, numbers)}/{partition}"


def file_key(folder: str, exchange: str, symbol: str, interval: Interval | None) -> str:
    """Where a pair's file of a partition is; funding and open interest have no interval."""
    intervals = [] if interval is None else [f"interval={interval.name}"]
    return "/".join([folder, f"exchange={exchange}", f"symbol={symbol}", *intervals, FILE])


def sidecar_key(key: str) -> str:
    """Where the JSON of a file in the lake is."""
    return key.removesuffix(FILE) + _SIDECAR


def sidecar_owner(key: str) -> str:
    """Where the file of a JSON is."""
    return key.removesuffix(_SIDECAR) + FILE


def place_of(key: str) -> Place | None:
    """What a key below `ROOT` says; None when it is neither a file of an export nor its JSON."""
    found = _KEY.fullmatch(key)
    return None if found is None else Place(found["exchange"], found["symbol"], found["sidecar"] is not None)
