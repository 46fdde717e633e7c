"""What an object store's refusals mean: obstore's and the system's errors as the platform's own, with advice."""

from __future__ import annotations

import errno
import re
from enum import StrEnum

from obstore.exceptions import BaseError, NotSupportedError, PermissionDeniedError, UnauthenticatedError

from market_platform.domain.errors import CorruptObjectError, LakeError, LakeNotWritableError, LakeUnavailableError


class Action(StrEnum):
    """What was being done, as a message says it."""

    READ = "read"
    LIST = "list"
    WRITE = "write"
    DELETE = "delete"


_FULL = "the disk is full: free space there, or point LAKE_URL to another place"
_REFUSED = "no permission: make the folder writable for the user that runs this, or point LAKE_URL to another place"
_NOT_A_FOLDER = "a part of its path is not a folder: check LAKE_URL"
_ADVICE = {
    errno.EROFS: "the file system is read-only: remount it writable, or point LAKE_URL to another place",
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "the disk quota is used up: free space there, or point LAKE_URL to another place",
    errno.EFBIG: "the file is larger than the system allows (ulimit -f)",
    errno.EACCES: _REFUSED,
    errno.EPERM: _REFUSED,
    errno.ENOTDIR: _NOT_A_FOLDER,
    errno.EEXIST: _NOT_A_FOLDER,
    errno.EISDIR: "a folder has the object's name: check LAKE_URL",
    errno.ENOENT: "the folder can't be created there: check LAKE_URL",
    errno.ENAMETOOLONG: "its name is too long for the file system",
}
_KEYS = (
    "the store refused the keys: check R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY (or their AWS_ names), that the key may "
    "{action} in this bucket, and that no AWS_SESSION_TOKEN of another account is set"
)
_NO_BUCKET = "the bucket does not exist: create it, or correct R2_BUCKET_NAME or LAKE_URL"
_STORE_FULL = ("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge", "507 ")
_AWAY = "the store does not answer as it should; try again, and check R2_ENDPOINT and the network if it stays so"


def translate(error: Exception, action: Action, key: str, url: str) -> LakeError:
    """The platform's error for what obstore or the system raised while doing `action` to an object of the lake at `url`."""
    what = f"can't {action} {key or 'objects'} in the lake at {url}"
    text, cause = _message(error), _cause(error)
    changes = action in (Action.WRITE, Action.DELETE)
    code = _errno(error)
    if "NoSuchBucket" in text:
        return (LakeNotWritableError if changes else LakeError)(f"{what}: {_NO_BUCKET}")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) and code is None:
        return (LakeNotWritableError if changes else LakeError)(f"{what}: {_KEYS.format(action=action)} ({cause})")
    if isinstance(error, FileNotFoundError) and not changes:
        return CorruptObjectError(f"{what}: it is not there; if a manifest names it, materialise the day again")
    if changes and (isinstance(error, NotSupportedError) or "NotImplemented" in text):
        return LakeNotWritableError(
            f"{what}: the store can't write an object only if it is absent (If-None-Match); use one that can"
        )
    if changes and any(sign in text for sign in _STORE_FULL):
        return LakeNotWritableError(f"{what}: the store is full or over its quota ({cause})")
    if code in _ADVICE:
        return (LakeNotWritableError if changes else LakeError)(f"{what}: {_ADVICE[code]} ({cause})")
    return LakeUnavailableError(f"{what}: {_AWAY} ({cause})")


STORE_ERRORS: tuple[type[Exception], ...] = (BaseError, OSError)
"""What obstore's functions raise. (A key that is not one raises ValueError: that is a mistake in the program.)"""


def _errno(error: Exception) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"os error (\d+)", _message(error)) or re.search(r"\bcode: (\d+),\s+kind:", str(error))
    return int(found[1]) if found else None


def _message(error: Exception) -> str:
    """The message of obstore itself, without the dump of its internals that follows."""
    return str(error).partition("\n\nDebug source:")[0]


def _cause(error: Exception) -> str:
    """The shortest text that still says why: obstore hides the system's message deep in its debug output."""
    text = str(error)
    code = re.search(r"<Code>([^<]+)</Code>", text)
    status = re.search(r"status code: (\d{3}[^:\n]*)", text)
    if status:
        return f"HTTP {status[1].strip()}{f', {code[1]}' if code else ''}"
    if "TimedOut" in text:
        return "timed out"
    message = re.search(r'message: "([^"]+)"', text)
    return message[1] if message else _message(error).partition("\n")[0]
