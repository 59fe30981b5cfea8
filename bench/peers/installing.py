"""Each peer in a virtual environment of its own, from its own lock."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(".peers")


def installed(name: str) -> Path:
    """Return the Python of a peer's environment, made again if its lock has changed.

    Raises:
        subprocess.CalledProcessError: A package could not be installed.
    """
    lock = Path(__file__).with_name(f"requirements-{name}.txt")
    home = HOME / name
    python, stamp = home / "bin" / "python", home / ".installed"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
        return python
    print(f"installing {name} into {home} ...", flush=True)
    uv = str(Path(sys.executable).with_name("uv"))
    shutil.rmtree(home, ignore_errors=True)
    install = ["pip", "install", "--compile-bytecode", "--python", str(python), "--require-hashes"]
    for command in (
        ["venv", "--python", sys.executable, str(home)],
        [*install, "-r", str(lock)],
    ):
        subprocess.run([uv, "--quiet", *command], check=True)  # noqa: S603 - our own words
    stamp.write_text(digest, encoding="ascii")
    return python
