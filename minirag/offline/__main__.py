"""`python -m minirag.offline --port N` serves the offline models to other programs until it is interrupted."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from minirag.errors import MiniragError
from minirag.offline import serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; return the exit code."""
    parser = argparse.ArgumentParser("python -m minirag.offline", description="Serve the offline models over HTTP.")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: a free one)")
    parser.add_argument("--state", type=Path, help="a folder that keeps files, jobs and tuned models")
    parser.add_argument("--with-parent", action="store_true", help="stop when standard input ends")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell switches it off in what it starts with "&"
    try:
        with serve(options.state, options.port) as server:
            print(server.base_url, flush=True)
            if options.with_parent:
                sys.stdin.buffer.read()  # ends with the process that holds the other end, however that one ends
                os._exit(0)  # all state is on disk, and freeing the vocabularies would take a while
            threading.Event().wait()
    except MiniragError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
