"""Feed an export to PyTorch: a batch of rows at a time, so that years of minutes need the memory of one batch.

    market-platform export merged --coin BTC --intervals 1m --days 365 --numbers float64
    python examples/exports/with_pytorch.py BTCUSDT.P_merged_1m.parquet

A sample is a window of `WINDOW` candles and what the close did after them. Windows end before what they are to foresee begins;
nothing of a later row is in them, and none reaches over a candle that is not there. Candles without a funding rate have 0 there and
say so in a column of their own. Exact decimals are rounded to doubles here; exported with `--numbers float64`, they are already.
"""

import sys
from collections.abc import Iterator
from itertools import count

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

WINDOW = 4
COLUMNS = ("open", "high", "low", "close", "volume", "funding_rate")


def to_tensor(batch: pa.RecordBatch) -> torch.Tensor:
    """The batch's columns as doubles, 0 where there is no value, and a last one: whether the funding rate is known."""
    columns = [
        torch.from_numpy(pc.fill_null(batch[name].cast(pa.float64()), 0.0).to_numpy().copy()) for name in COLUMNS
    ]
    known = torch.tensor(batch["funding_rate"].is_valid().to_pylist(), dtype=torch.float64)
    return torch.stack([*columns, known], dim=1)


class Windows(IterableDataset):
    """Windows of consecutive candles, and the return of the candle after each."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Samples in the order of time; each of several workers reads the file and gives its share of them."""
        worker = get_worker_info()
        share, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        numbers = count()
        step, times, kept = (
            0,
            torch.empty(0, dtype=torch.int64),
            torch.empty((0, len(COLUMNS) + 1), dtype=torch.float64),
        )
        for batch in pq.ParquetFile(self._path).iter_batches(columns=["time", *COLUMNS]):
            times = torch.cat([times, torch.tensor(batch["time"].cast(pa.int64()).to_pylist(), dtype=torch.int64)])
            kept = torch.cat([kept, to_tensor(batch)])
            if not step and len(times) > 1:
                step = int(times.diff().min())
            for start in range(len(kept) - WINDOW):
                whole = times[start + WINDOW] - times[start] == WINDOW * step
                if whole and next(numbers) % workers == share:
                    window, after = kept[start : start + WINDOW], kept[start + WINDOW]
                    yield window, after[3] / window[-1, 3] - 1
            times, kept = times[-WINDOW:], kept[-WINDOW:]


if __name__ == "__main__":
    seen = 0
    for windows, returns in DataLoader(Windows(sys.argv[1]), batch_size=2):
        seen += len(returns)
        print(tuple(windows.shape), [f"{value:+.2e}" for value in returns.tolist()])
    print(f"{seen} samples of {WINDOW} candles and {len(COLUMNS) + 1} numbers")
