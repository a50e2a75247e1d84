"""What a sandbox's child gives up before it touches a file; the child calls it on itself.

Namespaces and `no_new_privs` are Linux'; elsewhere the limits must do.
"""

import ctypes
import json
import os
import resource
import sys

_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9
_MAX_OPEN_FILES = 256
_LAST_WORDS_S = 2

_NAMESPACES = _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS


def confine(arguments: list[str]) -> list[str]:
    """Leave the network and every privilege, and take the limits that the parent wrote.

    Args:
        arguments: the process', of which the second is the limits and `parent_pid`, as JSON.

    Returns:
        The arguments after the limits.

    Raises:
        SystemExit: the parent is gone already.
    """
    given = json.loads(arguments[1])
    _take_limits(given)
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        if os.getppid() != given["parent_pid"]:  # it went before that was set
            sys.exit("whoever began this is gone")
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.unshare(_NAMESPACES)  # where user namespaces are forbidden, this changes nothing
    return arguments[2:]


def _take_limits(limits: dict[str, int]) -> None:
    for what, most in (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, ceiling = resource.getrlimit(what)  # this process may have come to life with less
        limit = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        resource.setrlimit(what, (limit, limit))
    # At the first the process is told (SIGXCPU), and may still say so; at the second it is killed.
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu_s"], limits["cpu_s"] + _LAST_WORDS_S))
