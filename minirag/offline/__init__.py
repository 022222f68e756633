"""Four small, real, deterministic models behind an OpenAI-protocol server on loopback.

Nothing leaves this machine, and nothing is random: the same requests get the same replies.

>>> with serve() as server:
...     server.base_url.startswith("http://127.0.0.1:")
True
"""

from pathlib import Path

from minirag.offline.engine import EMBEDDING_MODEL, JUDGE_MODEL, STUDENT_MODEL, TEACHER_MODEL, Offline
from minirag.server import Api, Server

__all__ = ["EMBEDDING_MODEL", "JUDGE_MODEL", "STUDENT_MODEL", "TEACHER_MODEL", "Offline", "Server", "api", "serve"]


def api(state: Path | None = None) -> Api:
    """Return the server's routes with the offline models behind them, without sockets.

    `state` is a folder that keeps uploaded files, jobs, batches and tuned models for the next start; without it they
    end with the process. Raises InputError if the folder cannot be used.
    """
    return Api(Offline(state), state)


def serve(state: Path | None = None, port: int = 0) -> Server:
    """Start the server in threads of this process; its `base_url` is what any OpenAI client takes.

    `port` 0 takes a free one. Close the server, or use it in a `with` block. Raises InputError if the port or the
    folder cannot be used.
    """
    return Server(api(state), port)
