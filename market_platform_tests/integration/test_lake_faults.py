"""What the lake says when the store fails: a read-only or full disk, a killed writer, refusing and silent servers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from market_platform.domain.clock import utc_now
from market_platform.domain.errors import CorruptObjectError, LakeError, LakeNotWritableError, LakeUnavailableError
from market_platform.lake.store import Lake
from market_platform_tests.e2e.s3 import BUCKET
from market_platform_tests.fixtures.lakes import Lakes, s3_lake

# Run in a mount namespace of its own: root may write to folders whose mode forbids it, but not to a read-only mount.
IN_A_MOUNT = """
import sys
from market_platform.lake.store import Lake
lake = Lake.open("file://" + sys.argv[1])
try:
    lake.put_new("ticks/EURUSD/day.parquet", bytes(int(sys.argv[2])))
except Exception as error:
    print(type(error).__name__, error)
print(sorted(info.key for info in lake.list()))
"""


def run_in_mount(options: str, folder: Path, size: int) -> list[str]:
    """Put an object of that size into a lake on a fresh tmpfs mounted with these options; what was printed, by line."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare (util-linux) is not here: no mount of the test's own")
    folder.mkdir()
    mount = [
        "unshare",
        "-rm",
        "sh",
        "-c",
        f'mount -t tmpfs -o {options} tmpfs "$1" && shift && exec "$@"',
        "sh",
        str(folder),
    ]
    if subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system in a namespace of its own")
    command = [*mount, sys.executable, "-c", IN_A_MOUNT, str(folder), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_a_read_only_folder_says_so(tmp_path: Path) -> None:
    said, listed = run_in_mount("ro", tmp_path / "lake", 10)

    assert said.startswith(
        f"LakeNotWritableError can't write ticks/EURUSD/day.parquet in the lake at file://{tmp_path}/lake"
    )
    assert "the file system is read-only: remount it writable, or point LAKE_URL to another place" in said
    assert listed == "[]"


def test_a_full_disk_says_so_and_keeps_nothing_half(tmp_path: Path) -> None:
    said, listed = run_in_mount("size=64k", tmp_path / "lake", 1_000_000)

    assert said.startswith("LakeNotWritableError")
    assert "the disk is full: free space there" in said
    assert listed == "[]"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder; the read-only mount is tested instead")
def test_a_folder_without_permission_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(LakeNotWritableError, match="no permission: make the folder writable"):
            Lake.open((tmp_path / "lake").as_uri()).check_writable()
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_a_file_where_the_folder_should_be_says_so(tmp_path: Path, below: str) -> None:
    (tmp_path / "lake").write_text("I am a file")
    lake = Lake.open((tmp_path / "lake").as_uri() + below)

    with pytest.raises(LakeNotWritableError, match="a part of its path is not a folder: check LAKE_URL"):
        lake.check_writable()


def test_every_write_reaches_the_disk_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    root = tmp_path / "lake"
    lake = Lake.open(root.as_uri())
    chain = [str(root / "ticks/A/day"), str(root / "ticks/A"), str(root / "ticks"), str(root), str(tmp_path)]

    writes: list[Callable[[], object]] = [
        lambda: lake.put_new("ticks/A/day", b"x"),
        lambda: lake.put_new("ticks/A/day", b"x"),
    ]
    for write in writes:
        synced.clear()
        write()
        assert synced == chain  # also when another writer was first: its sync may not have happened yet
    synced.clear()
    lake.replace("ticks/A/day", b"y")
    assert synced == chain


def test_killed_writers_leave_whole_objects_or_none(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    program = """
import sys
from market_platform.lake.store import Lake
lake = Lake.open(sys.argv[1])
print("ready", flush=True)
for number in range(100_000):
    key = f"ticks/{sys.argv[2]}/{number}"
    lake.put_new(key, key.encode() * 100_000)
"""
    for run in range(8):
        command = [sys.executable, "-c", program, root.as_uri(), str(run)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            deadline = time.monotonic() + 30
            while not (root / "ticks" / str(run) / "2").exists():
                assert time.monotonic() < deadline
            writer.send_signal(signal.SIGKILL)

    lake = Lake.open(root.as_uri())
    listed = lake.list("ticks")
    assert len(listed) >= 24
    for info in listed:
        assert lake.get(info.key) == info.key.encode() * 100_000
    lake.remove_leftovers("ticks", utc_now() + timedelta(seconds=5))
    on_disk = [path for path in (root / "ticks").rglob("*") if path.is_file()]
    assert len(on_disk) == len(listed)


class Faulty(BaseHTTPRequestHandler):
    """Answers every request with the status that the last part of its key names, or not at all."""

    requests = 0

    def answer(self) -> None:
        type(self).requests += 1
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, _, code = self.path.partition("?")[0].rpartition("/")[2].partition("-")
        if status == "silence":
            self.server.stopping.wait(20)  # type: ignore[attr-defined]
            return
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response(int(status) if status.isdigit() else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@pytest.fixture
def faulty() -> Iterator[Lake]:
    """A lake whose server misbehaves as the key says: `403-AccessDenied`, `503-SlowDown`, `silence`."""
    Faulty.requests = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    server.stopping = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield s3_lake(f"http://127.0.0.1:{server.server_port}", BUCKET, timeout_s=0.5, retry_for_s=1.0)
    server.stopping.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        ("403-AccessDenied", LakeNotWritableError, "the store refused the keys: check R2_ACCESS_KEY_ID"),
        ("403-InvalidAccessKeyId", LakeNotWritableError, "HTTP 403 Forbidden, InvalidAccessKeyId"),
        ("401-Unauthorized", LakeNotWritableError, "the store refused the keys"),
        ("404-NoSuchBucket", LakeNotWritableError, "the bucket does not exist: create it"),
        ("507-XMinioStorageFull", LakeNotWritableError, "full or over its quota"),
        ("501-NotImplemented", LakeNotWritableError, "only if it is absent"),
        ("503-SlowDown", LakeUnavailableError, "HTTP 503 Service Unavailable, SlowDown"),
        ("500-InternalError", LakeUnavailableError, "try again"),
        ("silence", LakeUnavailableError, "timed out"),
    ],
)
def test_a_refused_write_says_what_to_do(faulty: Lake, key: str, error: type[LakeError], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        faulty.put_new(key, b"x")

    assert f"can't write {key} in the lake at s3://lake" in str(caught.value)
    assert caught.value.retryable is (error is LakeUnavailableError)


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        ("403-AccessDenied", LakeError, "that the key may read in this bucket"),
        ("404-NoSuchBucket", LakeError, "the bucket does not exist"),
        ("404-NoSuchKey", CorruptObjectError, "it is not there"),
        ("503-SlowDown", LakeUnavailableError, "SlowDown"),
        ("silence", LakeUnavailableError, "timed out"),
    ],
)
def test_a_refused_read_says_what_to_do(faulty: Lake, key: str, error: type[LakeError], text: str) -> None:
    with pytest.raises(error, match=text):
        faulty.get(key)


def test_errors_of_the_server_are_tried_again_and_refusals_are_not(faulty: Lake) -> None:
    for key, most, least in (("503-SlowDown", 5, 2), ("403-AccessDenied", 1, 1)):
        Faulty.requests = 0
        with pytest.raises(LakeError):
            faulty.get(key)
        assert least <= Faulty.requests <= most


def test_no_server_is_told_in_bounded_time() -> None:
    lake = s3_lake("http://127.0.0.1:9", BUCKET, timeout_s=1.0, retry_for_s=1.0)
    began = time.monotonic()

    for act in (lambda: lake.put_new("a", b"x"), lambda: lake.get("a"), lake.list, lambda: lake.delete("a")):
        with pytest.raises(LakeUnavailableError, match=r"Connection refused|does not answer"):
            act()

    assert time.monotonic() - began < 20


def test_a_bucket_that_is_not_there_is_named() -> None:
    lakes = Lakes()
    try:
        lake = s3_lake(lakes.endpoint, "nobucket/prefix")
        with pytest.raises(
            LakeNotWritableError, match="the bucket does not exist: create it, or correct R2_BUCKET_NAME"
        ):
            lake.check_writable()
        for read in (lambda: lake.list("ticks"), lambda: lake.get("ticks/x")):
            with pytest.raises(LakeError, match="the bucket does not exist") as caught:
                read()
            assert not isinstance(caught.value, CorruptObjectError | LakeUnavailableError)
    finally:
        lakes.stop()


def test_no_message_shows_a_key(faulty: Lake) -> None:
    lake = Lake.open(
        "s3://lake",
        access_key_id="AKIDVISIBLE",
        secret_access_key="SECRETVISIBLE",
        endpoint="http://127.0.0.1:9",
        retry_for_s=0.5,
    )
    with pytest.raises(LakeUnavailableError) as caught:
        lake.get("x")

    assert "VISIBLE" not in str(caught.value) + repr(lake)
