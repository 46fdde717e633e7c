"""Feed an export to PyTorch: row group by row group, so that years of minutes need the memory of one.

    market-platform export merged --coin BTC --intervals 1m --days 365 --numbers float64
    python examples/exports/with_pytorch.py BTCUSDT.P_merged_1m.parquet

A sample is a window of `WINDOW` candles and what the close did after them. Windows end before what they are to foresee begins;
nothing of a later row is in them. Candles without a funding rate have 0 there and say so in a column of their own.
"""

import sys
from collections.abc import Iterator

import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, IterableDataset

WINDOW = 4
COLUMNS = ("open", "high", "low", "close", "volume", "funding_rate")


class Windows(IterableDataset):
    """Windows of consecutive candles, and the return of the candle after each."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Samples in the order of time; several workers share the row groups out between them."""
        kept = torch.empty((0, len(COLUMNS) + 1), dtype=torch.float64)
        for batch in pq.ParquetFile(self._path).iter_batches(columns=list(COLUMNS)):
            columns = [torch.tensor([value or 0.0 for value in batch[name].to_pylist()]) for name in COLUMNS]
            known = torch.tensor([float(value is not None) for value in batch["funding_rate"].to_pylist()])
            kept = torch.cat([kept, torch.stack([*columns, known], dim=1).double()])
            for start in range(len(kept) - WINDOW):
                window, after = kept[start : start + WINDOW], kept[start + WINDOW]
                yield window, after[3] / window[-1, 3] - 1
            kept = kept[-WINDOW:]


if __name__ == "__main__":
    seen = 0
    for windows, returns in DataLoader(Windows(sys.argv[1]), batch_size=2):
        seen += len(returns)
        print(tuple(windows.shape), [f"{value:+.2e}" for value in returns.tolist()])
    print(f"{seen} samples of {WINDOW} candles and {len(COLUMNS) + 1} numbers")
