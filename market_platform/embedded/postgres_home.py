"""Where an embedded Postgres lives, and the state file that says so.

`state_dir` (below MARKET_DATA_DIR) always holds `state.json` (mode 0600): the folder, the port and the password. The
folder itself, "home", is `state_dir` too, unless Postgres must run as another user who can't get there (a HOME of mode
0700): then it is a folder of its own below /var/lib/market-platform, and the state file points to it. A home holds `data`,
`server.lock`, and `binaries` when the wheel's can't be run in place.

Belongs here: choosing, remembering and finding that folder. Does not: running anything in it.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from market_platform.embedded.errors import FolderNotUsableError
from market_platform.embedded.files import make_folder, read_json, write_json
from market_platform.embedded.unprivileged import RunAs, can_reach, choose_user

SHARED_ROOT = Path("/var/lib/market-platform")
ROLE = "market"
DATABASE = "market"
SERVER_LOCK = "server.lock"
"""A home's file that every process of the server keeps locked for as long as it lives."""
_STATE = "state.json"
_OWNER = "owner.json"
_CREDENTIALS = "market-platform.json"


@dataclass(frozen=True)
class PostgresState:
    """What the state file says. `home` is relative to the state file's folder, so that both can be moved together."""

    home: str
    port: int
    password: str

    def url(self) -> str:
        """URL of the database, with its password."""
        return f"postgresql://{ROLE}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"


@dataclass(frozen=True)
class PostgresHome:
    """A folder Postgres can live in, and the user it runs as there."""

    state_dir: Path
    path: Path
    user: RunAs
    state: PostgresState

    @property
    def data(self) -> Path:
        """The data folder (PGDATA)."""
        return self.path / "data"

    @property
    def lock_file(self) -> Path:
        """Locked by every process of the server for as long as it lives."""
        return self.path / SERVER_LOCK

    @property
    def state_file(self) -> Path:
        """Says where the data is, on which port and with which password."""
        return self.state_dir / _STATE

    @property
    def credentials_file(self) -> Path:
        """A second copy of the password, inside the data folder, so that a lost state file loses nothing."""
        return self.data / _CREDENTIALS

    def remember_port(self, port: int) -> PostgresHome:
        """Note the port in the state file."""
        if port == self.state.port:
            return self
        state = replace(self.state, port=port)
        write_json(self.state_file, asdict(state))
        return replace(self, state=state)


def read_state(state_dir: Path) -> PostgresState | None:
    """The state file's content; None when there is none.

    Raises:
        FolderNotUsableError: it belongs to another user.
    """
    try:
        content = read_json(state_dir / _STATE)
    except PermissionError:
        raise FolderNotUsableError(
            f"{state_dir / _STATE} belongs to another user; run as that user (or root), or set MARKET_DATA_DIR to your own folder"
        ) from None
    try:
        return PostgresState(str(content["home"]), int(content["port"]), str(content["password"])) if content else None
    except (KeyError, TypeError, ValueError):
        return None


def home_of(state_dir: Path, state: PostgresState) -> Path:
    """The home a state file points to."""
    return (state_dir / state.home).absolute()


def open_home(state_dir: Path, port: int, *, temporary: bool) -> PostgresHome:
    """The home of this state folder: the known one, or a new one, noted in the state file before anything is made there.

    `port` is noted in a new state file. With `temporary` (for tests), or when `state_dir` itself is among the temporary
    files, a home that can't be `state_dir` is made among the temporary files, too.

    Raises:
        FolderNotUsableError: no folder can be used; says which and why.
    """
    make_folder(state_dir)
    state = read_state(state_dir)
    if state is None and (state_dir / "data" / "PG_VERSION").exists():
        kept = read_json(state_dir / "data" / _CREDENTIALS)
        if kept is None:
            raise FolderNotUsableError(
                f"{state_dir / 'data'} is not a data folder of this program (no {_CREDENTIALS} in it, and no {_STATE} beside it); "
                "nothing was touched. Move it away, or set MARKET_DATA_DIR to another folder"
            )
        state = PostgresState(".", port, str(kept["password"]))
        write_json(state_dir / _STATE, asdict(state))
    if state is not None:
        return _known_home(state_dir, state)
    user = choose_user(None)
    state_dir.chmod(state_dir.stat().st_mode | 0o111)  # others may pass through; what is inside has its own modes
    temporary = temporary or state_dir.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve())
    path = state_dir if can_reach(user, state_dir) else _elsewhere(state_dir, user, temporary=temporary)
    state = PostgresState("." if path == state_dir else str(path), port, secrets.token_urlsafe(24))
    write_json(state_dir / _STATE, asdict(state))
    path.mkdir(mode=0o755, exist_ok=True)
    if path != state_dir:
        path.chmod(0o755)
        write_json(path / _OWNER, {"state_dir": str(state_dir)}, mode=0o644)
    return PostgresHome(state_dir, path, user, state)


def _known_home(state_dir: Path, state: PostgresState) -> PostgresHome:
    path = home_of(state_dir, state)
    if path != state_dir:
        owner = read_json(path / _OWNER)
        other = Path(str(owner["state_dir"])) if owner else state_dir
        if other != state_dir:
            theirs = read_state(other)
            if theirs is not None and home_of(other, theirs) == path:
                raise FolderNotUsableError(
                    f"{state_dir} is a copy of {other}: both point to the data in {path}; nothing was touched. "
                    f"Use {other}, or set MARKET_DATA_DIR to a new folder"
                )
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_json(path / _OWNER, {"state_dir": str(state_dir)}, mode=0o644)
    try:
        owner_id = (path / "data").stat().st_uid
    except FileNotFoundError:
        owner_id = None
    user = choose_user(owner_id)
    if not can_reach(user, path):
        raise FolderNotUsableError(
            f"Postgres runs here as user {user.name}, who can't get to its data in {path / 'data'}; nothing was touched. "
            "Let others pass through the folders on the way (chmod o+x), or set MARKET_DATA_DIR to another folder"
        )
    if not user.drops and owner_id not in (None, user.uid):
        raise FolderNotUsableError(
            f"{path / 'data'} belongs to another user (uid {owner_id}); nothing was touched. "
            "Run as that user or as root, or set MARKET_DATA_DIR to a folder of your own"
        )
    return PostgresHome(state_dir, path, user, state)


def _elsewhere(state_dir: Path, user: RunAs, *, temporary: bool) -> Path:
    if temporary:
        path = Path(tempfile.mkdtemp(prefix="market-platform-"))
        path.chmod(0o755)
    else:
        name = f"{sha256(str(state_dir).encode()).hexdigest()[:8]}-{secrets.token_hex(4)}"
        try:
            SHARED_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise FolderNotUsableError(
                f"Postgres can't run as root, user {user.name} can't get to {state_dir}, and {SHARED_ROOT} can't be made "
                f"({error.strerror}); set MARKET_DATA_DIR to a folder that user {user.name} can get to"
            ) from None
        path = SHARED_ROOT / name
    if not can_reach(user, path.parent):
        raise FolderNotUsableError(
            f"Postgres can't run as root, and user {user.name} can get neither to {state_dir} nor to {path.parent}; "
            f"set MARKET_DATA_DIR to a folder that user {user.name} can get to"
        )
    return path


def abandoned_homes(state_dir: Path) -> list[Path]:
    """Homes below /var/lib/market-platform that were this state folder's and that no state file points to any more."""
    found = []
    with contextlib.suppress(OSError):
        for candidate in sorted(SHARED_ROOT.iterdir()):
            owner = read_json(candidate / _OWNER)
            if owner is None or Path(str(owner.get("state_dir"))) != state_dir:
                continue
            state = read_state(state_dir)
            if state is None or home_of(state_dir, state) != candidate:
                found.append(candidate)
    return found


def remove_home(state_dir: Path) -> None:
    """Delete the home and the state file; the caller made sure that nothing runs there."""
    state = read_state(state_dir)
    if state is not None:
        path = home_of(state_dir, state)
        if path == state_dir:
            for each in [path / "data", path / "binaries", *path.glob("data.new-*")]:
                shutil.rmtree(each, ignore_errors=True)
            (path / SERVER_LOCK).unlink(missing_ok=True)
        elif read_json(path / _OWNER) is not None:  # made here; whatever else a state file names is not ours to delete
            shutil.rmtree(path, ignore_errors=True)
    for each in abandoned_homes(state_dir):
        shutil.rmtree(each, ignore_errors=True)
    (state_dir / _STATE).unlink(missing_ok=True)
