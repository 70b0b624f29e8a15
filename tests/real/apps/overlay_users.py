"""Users of a service of a swarm, on its network: ``overlay_users.py NAME PORT DIRECTORY USERS``.

Each request is a new connection to one of the addresses of ``tasks.NAME``, and to the next one where that
cannot be reached. One JSON line for each request in DIRECTORY/answers; ends when DIRECTORY/stop appears.
"""

import http.client
import json
import random
import socket
import sys
import threading
import time
from pathlib import Path

name, port, directory = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
USERS = int(sys.argv[4])
lock = threading.Lock()


def addresses() -> list[str]:
    try:
        found = {each[4][0] for each in socket.getaddrinfo(f"tasks.{name}", port, type=socket.SOCK_STREAM)}
    except OSError:
        found = set()
    return random.sample(sorted(found), len(found))


def ask() -> dict[str, object]:
    for address in addresses():
        connection = http.client.HTTPConnection(address, port, timeout=0.5)
        try:
            connection.connect()
        except OSError:
            continue  # nothing was sent, so nothing was lost
        try:
            connection.sock.settimeout(5.0)
            connection.request("GET", "/")
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            return {"ok": False, "why": repr(error)}
        finally:
            connection.close()
        return {"ok": answer.status == 200, "release": body["OATIE_RELEASE"], "body": body}
    return {"ok": False, "why": "unreachable"}


def user(file) -> None:  # type: ignore[no-untyped-def]
    while not (directory / "stop").exists():
        seen = {"at": time.time(), **ask()}
        with lock:
            file.write(json.dumps(seen) + "\n")
            file.flush()
        time.sleep(0.02)


with (directory / "answers").open("w") as out:
    threads = [threading.Thread(target=user, args=(out,)) for _ in range(USERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
