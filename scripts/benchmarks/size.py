"""What an installation takes: megabytes and packages of a fresh environment, without pip itself.

The versions are those of constraints.txt. Peers are installed too where they are named: `--peers ragas llama-index`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import Line

ROOT = Path(__file__).parents[2]
INSTALLERS = ("pip", "setuptools", "_distutils_hack", "pkg_resources", "distutils-precedence")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peers", nargs="*", default=[], metavar="PACKAGE")


def measure(options: argparse.Namespace) -> list[Line]:
    size, packages = installed(["--constraint", str(ROOT / "constraints.txt"), str(ROOT)])
    lines = [
        Line("minirag installed", size / 1e6, "MB", reach=110),
        Line("minirag installed", packages, "packages", reach=26),
    ]
    for peer in options.peers:
        size, packages = installed([peer])
        lines += [Line(f"{peer} installed", size / 1e6, "MB"), Line(f"{peer} installed", packages, "packages")]
    return lines


def installed(arguments: list[str]) -> tuple[int, int]:
    """Bytes and packages that `pip install` with these arguments adds to an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        subprocess.run([*pip, *arguments], check=True, stderr=subprocess.DEVNULL)
        [packages] = Path(folder).glob("lib/python*/site-packages")
        found = [path for path in packages.iterdir() if not path.name.startswith(INSTALLERS)]
        files = (file for path in found for file in (path.rglob("*") if path.is_dir() else [path]))
        size = sum(file.stat().st_size for file in files if file.is_file())
        return size, sum(path.suffix == ".dist-info" for path in found)
