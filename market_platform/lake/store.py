"""The lake: objects by key over any S3 API or a local folder, one code path (obstore).

Only put-if-absent, atomic replace, get, range, list and delete are used: what S3, R2, MinIO and a folder all do alike.
Objects are day files of a megabyte or so, always sent in a single put (R2 refuses unequal multipart parts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, S3Store

from market_platform.domain.errors import ConfigError
from market_platform.lake import local_folder
from market_platform.lake.store_errors import STORE_ERRORS, Action, translate

if TYPE_CHECKING:
    from obstore.store import ObjectStore, S3Config

Objects: TypeAlias = list["ObjectInfo"]
Keys: TypeAlias = list[str]
Blocks: TypeAlias = list[bytes]
Ranges: TypeAlias = Sequence[tuple[int, int]]

_PROBE_KEY = ".write-test"
_LIST_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing says of an object; `size` in bytes, `last_modified` aware, UTC."""

    key: str
    size: int
    last_modified: datetime


class Lake:
    """An object store. Safe to use from many threads; calls block (run them in a thread from async code), each bounded.

    Every method raises LakeUnavailableError when the store does not answer within its time limit and retries,
    LakeNotWritableError when it refuses a change, CorruptObjectError when an object to be read is not there, and
    LakeError when it refuses a read.
    """

    def __init__(self, url: str, connect: Callable[[], ObjectStore], root: Path | None) -> None:
        self.url = url
        self._connect = connect
        self._root = root
        self._connected: ObjectStore | None = None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        endpoint: str | None = None,
        region: str = "auto",
        timeout_s: float = 20.0,
        retry_for_s: float = 60.0,
    ) -> Lake:
        """A lake at `s3://bucket[/prefix]` or `file:///folder`. No I/O happens before the first call.

        A request to S3 takes at most `timeout_s`, and no retry begins later than `retry_for_s` after the first try.

        Raises:
            ConfigError: the URL or the keys can't be used.
        """
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.netloc in ("", "localhost") and unquote(parts.path).strip("/"):
            root = Path(unquote(parts.path))
            return cls(url, lambda: LocalStore(root, mkdir=True), root)
        if parts.scheme != "s3" or not parts.netloc:
            raise ConfigError(f"LAKE_URL {url!r} is not a lake; use s3://bucket, s3://bucket/prefix or file:///folder")
        if bool(access_key_id) != bool(secret_access_key) or (endpoint and not access_key_id):
            raise ConfigError(
                f"the lake at {url} needs both R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY (or their AWS_ names)"
            )

        def connect() -> ObjectStore:
            # single deletes: not every store knows the bulk request, and one object at a time is what we delete
            config: S3Config = {"disable_bulk_delete": True}
            if access_key_id and secret_access_key:
                config |= {"access_key_id": access_key_id, "secret_access_key": secret_access_key}
            if endpoint:
                config["endpoint"] = endpoint
            if endpoint or region != "auto":
                config["region"] = region  # AWS itself has no region "auto": there AWS_REGION decides
            return S3Store(
                parts.netloc,
                prefix=unquote(parts.path).strip("/") or None,
                config=config,
                client_options={
                    "timeout": timedelta(seconds=timeout_s),
                    "connect_timeout": timedelta(seconds=min(5.0, timeout_s)),
                    "allow_http": (endpoint or "").startswith("http://"),
                },
                retry_config={
                    "max_retries": 4,
                    "retry_timeout": timedelta(seconds=retry_for_s),
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=200),
                        "max_backoff": timedelta(seconds=5),
                        "base": 2,
                    },
                },
            )

        return cls(url, connect, None)

    def __repr__(self) -> str:
        return f"Lake({self.url!r})"

    def put_new(self, key: str, data: bytes) -> bool:
        """Write an object whole unless there is one; returns False when there is. On return it is durable.

        In a local folder an object may be found torn after a power loss during this call; nothing names it yet then.
        """
        with self._errors(Action.WRITE, key):
            try:
                self._put(key, data, "create")
            except AlreadyExistsError:
                created = False
            else:
                created = True
            self._make_durable(key)
        return created

    def replace(self, key: str, data: bytes) -> None:
        """Write an object whole, in place of any there; readers see the old one or the new one. On return it is durable."""
        with self._errors(Action.WRITE, key):
            self._put(key, data, "overwrite")
            self._make_durable(key)

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        with self._errors(Action.READ, key):
            return bytes(obstore.get(self._store(Action.READ, key), key).bytes())

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes of an object from `start` on; fewer when it ends before."""
        with self._errors(Action.READ, key):
            return bytes(obstore.get_range(self._store(Action.READ, key), key, start=start, length=length))

    def get_ranges(self, key: str, ranges: Ranges) -> Blocks:
        """Several (start, length) ranges of an object; near ones travel as one request, others at the same time."""
        with self._errors(Action.READ, key):
            starts, lengths = [start for start, _ in ranges], [length for _, length in ranges]
            store = self._store(Action.READ, key)
            return [bytes(each) for each in obstore.get_ranges(store, key, starts=starts, lengths=lengths)]

    def get_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes of an object (all of a shorter one), and its size."""
        with self._errors(Action.READ, key):
            result = obstore.get(self._store(Action.READ, key), key, options={"range": {"suffix": length}})
            return bytes(result.bytes()), result.meta["size"]

    def info(self, key: str) -> ObjectInfo:
        """An object's size and time."""
        with self._errors(Action.READ, key):
            meta = obstore.head(self._store(Action.READ, key), key)
            return ObjectInfo(key, meta["size"], meta["last_modified"])

    def exists(self, key: str) -> bool:
        """Whether there is an object of that key."""
        with self._errors(Action.READ, key):
            if self._is_absent():
                return False
            try:
                obstore.head(self._store(Action.READ, key), key)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return False
            return True

    def list(self, prefix: str = "") -> Objects:
        """Every object below a folder (whole path segments: `ticks/EUR` does not find `ticks/EURUSD/…`), sorted by key."""
        with self._errors(Action.LIST, prefix):
            if self._is_absent():
                return []
            found = [
                ObjectInfo(meta["path"], meta["size"], meta["last_modified"])
                for chunk in obstore.list(self._store(Action.LIST, prefix), prefix or None, chunk_size=_LIST_CHUNK)
                for meta in chunk
            ]
        return sorted(found, key=lambda each: each.key)

    def delete(self, key: str) -> None:
        """Delete an object; nothing happens when there is none."""
        with self._errors(Action.DELETE, key):
            if self._is_absent():
                return
            try:
                obstore.delete(self._store(Action.DELETE, key), key)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise

    def remove_leftovers(self, prefix: str, before: datetime) -> Keys:
        """Delete what killed writers left below a folder and nobody touched since `before`. S3 never has any."""
        if self._root is None:
            return []
        with self._errors(Action.DELETE, prefix):
            return local_folder.remove_leftovers(self._root, prefix, before)

    def check_writable(self) -> None:
        """Write and delete a small object.

        Raises:
            LakeNotWritableError: the lake is read-only, full, not a folder, or the keys may not write there.
            LakeUnavailableError: it does not answer.
        """
        self.replace(_PROBE_KEY, b"This object only tests whether the lake can be written.\n")
        self.delete(_PROBE_KEY)

    def _put(self, key: str, data: bytes, mode: Literal["create", "overwrite"]) -> None:
        obstore.put(self._store(Action.WRITE, key), key, data, mode=mode, use_multipart=False)

    def _make_durable(self, key: str) -> None:
        if self._root is not None:
            local_folder.sync_to_disk(self._root, key)

    def _is_absent(self) -> bool:
        """A local lake that nothing was written to yet; reading must not create its folder."""
        return self._root is not None and not self._root.exists()

    def _store(self, action: Action, key: str) -> ObjectStore:
        if action is not Action.WRITE and self._is_absent():
            raise FileNotFoundError(2, "no such object", key)
        if self._connected is None:
            self._connected = self._connect()
        return self._connected

    @contextmanager
    def _errors(self, action: Action, key: str) -> Iterator[None]:
        try:
            yield
        except STORE_ERRORS as error:
            raise translate(error, action, key, self.url) from error
