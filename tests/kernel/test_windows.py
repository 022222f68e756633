"""Without what only Unix has, every module loads and the whole offline job runs: Windows, as far as Linux can play it.

Each process of the run begins with `WINDOWS`: no `fcntl` and the like, no signals that Windows lacks, `sys.platform` is
"win32", and an `msvcrt` that locks as the real one does. Nothing of this has run on Windows itself.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minirag import MessageLog
from minirag.message_log import Exchange
from run_files import SAMPLE_TEXT

WINDOWS = """
import fcntl, os, signal, sys, types
import concurrent.futures, http.server, importlib.metadata, multiprocessing, subprocess, tempfile
import httpx, numpy, openai, pypdf, tiktoken


def locking(file, mode, size):
    assert mode == msvcrt.LK_NBLCK and size == 1 and os.lseek(file, 0, os.SEEK_CUR) == 2**31 - 2
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


msvcrt = types.ModuleType("msvcrt")
msvcrt.LK_NBLCK, msvcrt.locking = 2, locking
sys.modules["msvcrt"] = msvcrt
for name in ("fcntl", "grp", "posix", "pwd", "resource", "syslog", "termios"):
    sys.modules[name] = None
for module, names in (
    (os, "fchmod fork geteuid getuid killpg pread pwrite register_at_fork sched_getaffinity setsid uname"),
    (signal, "ITIMER_PROF SIGALRM SIGHUP SIGPROF SIGUSR1 alarm pause setitimer"),
):
    for name in names.split():
        delattr(module, name)
popen = subprocess.Popen.__init__


def windows_popen(self, *arguments, pass_fds=(), preexec_fn=None, **options):
    assert not pass_fds and preexec_fn is None
    popen(self, *arguments, **options)


subprocess.Popen.__init__ = windows_popen
subprocess.CREATE_NEW_PROCESS_GROUP = 0
sys.platform = "win32"
"""


@pytest.fixture
def environment(tmp_path):
    folder = tmp_path / "windows"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WINDOWS)
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(root)]), "XDG_CACHE_HOME": str(tmp_path)}


def python(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], check=False, env=environment, text=True, capture_output=True)


def test_the_whole_job_runs_and_a_folder_in_use_is_refused(environment, tmp_path):
    out = tmp_path / "out"
    command = ["-m", "minirag", "run", str(SAMPLE_TEXT), "--offline", "--out", str(out)]
    command += ["--train-questions", "11", "--eval-questions", "2", "--json"]
    first = python(environment, *command)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["tuned"].startswith("ft:offline-student")
    with MessageLog(out / "messages.jsonl") as log:
        log.append(Exchange("draft", "chat.completions", "s", {"model": "m"}, {"choices": []}))
        second = python(environment, *command)
    assert second.returncode == 2
    assert second.stderr.endswith(f"Another process is working in {out}; wait for it, or choose another folder.\n")
