"""An engine over ``ssh://``: the SDK speaks through paramiko, whose errors are told here as ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from oatie_ops.deployment.apart import apart
from oatie_ops.deployment.containers.errors import EngineMissing

SECONDS = 30.0
NO_KEY = "No authentication methods available"


def opened(host: str, connect: Callable[[], Any]) -> Any:
    """What ``connect`` makes, in time: for a host that drops packets paramiko waits as the kernel does.

    Raises `EngineMissing`; what is not of ssh passes.
    """
    _keep_quiet()
    thread, done = apart(connect, f"connect {host}")
    thread.start()
    try:
        return done.result(SECONDS)
    except TimeoutError as error:
        if done.done():  # its own
            raise _missing(host, str(error) or "timed out", f"try `{_ssh(host)}`") from error
        raise _missing(host, f"nothing came back in {SECONDS:g} s", f"try `{_ssh(host)}`") from None
    except Exception as error:
        raise explained(host, error) from error


def explained(host: str, error: Exception) -> Exception:
    """Of the error and of what it was raised from, the first that tells."""
    seen: list[BaseException] = [error]
    while (inner := seen[-1].__cause__ or seen[-1].__context__) is not None and inner not in seen:
        seen.append(inner)
    try:
        from paramiko import ssh_exception as ssh
    except ImportError:
        return _missing(host, "paramiko is not installed", "pip install 'oatie-ops[ssh]'")
    for each in seen:
        if isinstance(each, ssh.BadHostKeyException):
            return _missing(
                host,
                "its host key is not the one in ~/.ssh/known_hosts: somebody may stand in between",
                f"find out why it has changed; then `ssh-keygen -R HOST`, and `{_ssh(host)}` once",
            )
        if isinstance(each, ssh.PasswordRequiredException):
            return _missing(host, "the private key is locked by a passphrase", "unlock it with `ssh-add`")
        if isinstance(each, ssh.AuthenticationException) or NO_KEY in str(each):
            return _missing(
                host,
                "it lets this user in with none of the keys in ~/.ssh and of the agent",
                f"let the right user in with a key: `ssh-copy-id`; try `{_ssh(host)}`",
            )
        if isinstance(each, ssh.NoValidConnectionsError):
            return _missing(host, str(each), "is sshd running there, on that port?")
        if isinstance(each, ssh.SSHException):
            if "known_hosts" in str(each):
                return _missing(
                    host,
                    "its host key is not in ~/.ssh/known_hosts",
                    f"compare it with the real one, once: `{_ssh(host)}`",
                )
            return _missing(host, str(each), f"try `{_ssh(host)}`")
        if isinstance(each, OSError) and not isinstance(each, ConnectionError) and each.errno is not None:
            return _missing(host, str(each), f"try `{_ssh(host)}`")
    return _missing(
        host,
        "sshd let us in, and `docker system dial-stdio` gave no engine there",
        f"docker has to be installed there, and this user in its group: try `{_ssh(host)} docker version`",
    )


def _missing(host: str, why: str, fix: str) -> EngineMissing:
    return EngineMissing(f"no Docker Engine answers at {host}", why=why, fix=fix)


def _ssh(host: str) -> str:
    """The command that an operator tries it with."""
    place = host.removeprefix("ssh://").rstrip("/")
    name, colon, port = place.rpartition(":")
    return f"ssh -p {port} {name}" if colon and port.isdecimal() else f"ssh {place}"


def _keep_quiet() -> None:
    """It logs tracebacks of what it raises as well, and without a handler those go to the terminal."""
    logger = logging.getLogger("paramiko")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
