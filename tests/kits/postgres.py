"""PostgreSQL servers of the tests: copies of one that was initialized and migrated once.

That takes five seconds of processor time, and a copy a tenth of one.
"""

import atexit
import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql

from standalone.ports import free_port
from standalone.postgres import EmbeddedPostgres
from tests.kits.programs import alembic

TEMPLATE = "segue_template"
"""The migrated database of every copy, to clone. Never connect to it."""

_QUICK = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}

_shared: list[Path] = []


def share(folder: Path) -> None:
    """Let this process copy what it or another one makes in a folder."""
    _shared.append(folder)


def copied_postgres(data_dir: Path, options: Mapping[str, str]) -> EmbeddedPostgres:
    """Copy the migrated server; return the copy, which is not started.

    Args:
        data_dir: Of the copy.
        options: Its settings.
    """
    original = _original()
    for file in (original, original.with_suffix(".password")):
        to = data_dir.with_name(file.name.replace(original.name, data_dir.name))
        subprocess.run(["/bin/cp", "-a", str(file), str(to)], check=True)
    return EmbeddedPostgres(data_dir, free_port(), options=options)


@cache
def _original() -> Path:
    """Return the data directory to copy; make it unless another process has."""
    folder = _shared[0] if _shared else Path(tempfile.mkdtemp(prefix="segue-original-"))
    if not _shared:
        atexit.register(shutil.rmtree, folder)
    data_dir, made = folder / "original", folder / "made"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _make(data_dir)
            made.touch()
    return data_dir


def _make(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, free_port(), options=_QUICK)
    server.start()
    try:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            # Each connection hashes the password, by default 4096 times.
            connection.execute("SET scram_iterations = 1")
            same = sql.Literal(connection.info.password)
            connection.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(same))
        server.create_database(TEMPLATE)
        log = data_dir.with_name("alembic.log")
        alembic(server.url(TEMPLATE), log, "upgrade", "head").completes()
    finally:
        server.stop()
