"""Become another program that the kernel ends when the process that started it dies.

Run as a script: `launcher.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT ...]`; UID and GID -1 keep
the current user. It is a script because code between fork and exec may deadlock in a process with
threads.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h. It survives execve but not a change of user, which therefore comes first."""


def main(parent: int, signal_number: int, uid: int, gid: int, program: list[str]) -> None:
    """Change user, tie this process to its parent (on Linux), and become the program."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:  # it died before the line above could help
        sys.exit(1)
    os.execvp(program[0], program)


if __name__ == "__main__":
    parent_pid, death_signal, user, group = map(int, sys.argv[1:5])
    main(parent_pid, death_signal, user, group, sys.argv[5:])
