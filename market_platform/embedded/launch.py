"""Become another program: `python -I -S launch.py <parent pid> <signal> <uid> <gid> <command> …`.

The supervisor starts every child through this file, which uses nothing but the standard library: it gives up root (uid and
gid of `-1` mean stay who you are), asks the kernel to send `signal` when the parent dies (Linux; 0 means don't), listens to
the signals that stop it again (a shell's `&` has them ignored, and that is inherited), and then *is* the command, same pid.
Unlike `preexec_fn`, this is safe whatever threads the parent has.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Do as the module says; exits 126 when it may not become the user, 127 when the command can't be run."""
    parent, number, uid, gid = (int(each) for each in arguments[:4])
    command = arguments[4:]
    libc = ctypes.CDLL(None)  # before setuid: this user may not be able to read Python's own folder
    if uid >= 0:
        try:
            os.setgroups([gid])
            os.setgid(gid)
            os.setuid(uid)
        except OSError as error:
            sys.stderr.write(f"may not become uid {uid}, gid {gid}: {error.strerror}\n")
            sys.exit(126)
    if number and sys.platform == "linux":
        libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)  # after setuid, which clears it
        if os.getppid() != parent:  # it died before the call above
            sys.exit(1)
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, os.environ)  # noqa: S606 - the command is the supervisor's own
    except OSError as error:
        sys.stderr.write(f"can't run {command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
