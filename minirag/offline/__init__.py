"""Apart. An OpenAI-protocol server on loopback with four small, real, deterministic models inside.

Nothing leaves this machine, and nothing is random: the same requests get the same replies.

>>> with serve() as server:
...     server.base_url.startswith("http://127.0.0.1:")
True
"""

import socket
from collections.abc import Sequence
from pathlib import Path

from minirag.offline.catalogue import EMBEDDING_MODEL, JUDGE_MODEL, STUDENT_MODEL, TEACHER_MODEL
from minirag.offline.faults import Faults, Rule
from minirag.server.server import Server
from minirag.server.service import Service

__all__ = ["EMBEDDING_MODEL", "JUDGE_MODEL", "STUDENT_MODEL", "TEACHER_MODEL", "Rule", "Server", "serve"]


def serve(
    state: Path | None = None, port: int = 0, faults: Sequence[Rule] = (), *, listening: socket.socket | None = None
) -> Server:
    """Start the server in threads of this process; its `base_url` is what any OpenAI client takes.

    `state` is a folder that keeps uploaded files, jobs, batches and tuned models for the next start; without it they
    end with the process. `port` 0 takes a free one; `listening` is a socket in place of one. `faults` are rules by
    which replies fail. Close the server, or use it in a `with` block. Raises InputError if the port or the folder
    cannot be used.
    """
    service = Service(state)
    if not faults:
        return Server(service, port, listening)
    faulty = Faults(service, faults)
    service.answer_lines(faulty)
    return Server(faulty, port, listening)
