"""The suite itself stays on this machine, and so do the processes that it starts."""

import os
import subprocess
import sys
from pathlib import Path

ELSEWHERE = "192.0.2.1"  # an address of nobody (RFC 5737)
REACHES = f"""
import contextlib, socket, subprocess, sys

def test_connects():
    with contextlib.suppress(Exception):
        socket.create_connection(("{ELSEWHERE}", 9), timeout=0.2)

def test_looks_up():
    with contextlib.suppress(Exception):
        socket.getaddrinfo("example.org", 443)

def test_starts_a_process_that_connects():
    code = "import socket; socket.create_connection(('{ELSEWHERE}', 9), timeout=0.2)"
    child = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert "BeyondLoopback" in child.stderr

def test_stays():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1])).close()
"""


def test_a_test_that_leaves_this_machine_fails_even_where_the_code_swallows_exceptions(tmp_path):
    (tmp_path / "test_reaches.py").write_text(REACHES, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-p", "conftest"]
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests / 'support'}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    failed = {line.split(" - ")[0].split("::")[1] for line in done.stdout.splitlines() if line.startswith("FAILED ")}
    assert failed == {"test_connects", "test_looks_up"}
    assert f"socket.connect {ELSEWHERE}" in done.stdout
    assert "socket.getaddrinfo example.org" in done.stdout
