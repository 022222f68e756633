"""One lock on an open file, on Unix and on Windows: two processes never write to one log."""

import os
import sys

if sys.platform == "win32":
    import msvcrt

    def lock(file: int) -> None:
        """Lock an open file until it is closed. Raises OSError if another process has locked it."""
        os.lseek(file, 2**31 - 2, os.SEEK_SET)  # far behind the log's end, because nobody can read a byte locked there
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def lock(file: int) -> None:
        """Lock an open file until it is closed. Raises OSError if another process has locked it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
