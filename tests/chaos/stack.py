"""Segue's processes with faults at named points, on servers that a test may restart."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from standalone import ports
from standalone.postgres import EmbeddedPostgres
from standalone.processes import log_file
from standalone.temporal import TemporalServer
from tests.chaos.points import Faults
from tests.chaos.sabotage import Sabotage
from tests.e2e.stack import DATABASE, TIMINGS, Process, Stack, own_servers

CHAOS_TIMINGS = {
    **TIMINGS,
    "CALL_MARGIN_SECONDS": 1,
    "HTTP_CONNECT_TIMEOUT_SECONDS": 1,
    "HTTP_READ_TIMEOUT_SECONDS": 2,
    "HTTP_LATE_ANSWER_SECONDS": 4,
    "ABSENCE_FIRST_LIST_SECONDS": 2,
    "ABSENCE_SECOND_LIST_SECONDS": 1.5,
    "SETTLE_GIVE_UP_SECONDS": 12,
    "PROBE_INTERVAL_SECONDS": 3,
}
"""The timings of the end-to-end tests, longer where a slow machine could break a promise."""

_POSTGRES = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "track_commit_timestamp": "on",
}
_TEMPORAL = {"history.timerProcessorMaxTimeShift": '"20ms"'}

_NOTE_COMMITS = """
    CREATE TABLE chaos_commits (kind text NOT NULL, subject_id uuid NOT NULL, enrollment_id uuid);
    CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_TABLE_NAME = 'attempts' THEN
            INSERT INTO chaos_commits
            SELECT 'attempt', NEW.id, m.enrollment_id FROM messages m WHERE m.id = NEW.message_id;
        ELSE
            INSERT INTO chaos_commits VALUES ('end', NEW.id, NEW.id);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER chaos_attempts AFTER INSERT ON attempts
    FOR EACH ROW EXECUTE FUNCTION chaos_note();
    CREATE TRIGGER chaos_ends AFTER UPDATE OF status ON enrollments
    FOR EACH ROW WHEN (OLD.status = 'active' AND NEW.status <> 'active')
    EXECUTE FUNCTION chaos_note();
"""
"""Rows that never change: the time of their commit is that of the attempt or the end."""


_STRANGE_DEFAULTS = f"""
    ALTER DATABASE {DATABASE} SET default_transaction_isolation = 'repeatable read'
"""
"""Our programs must not rely on the database's default isolation level."""


class ChaosStack(Stack):
    """Two workers and an API with faults, and the simulator.

    Attributes:
        faults: Arms their faults.
        second: The second worker, which is not started.
    """

    def __init__(self, folder: Path, database_url: str, temporal_address: str) -> None:
        self.faults = Faults(folder / "faults")
        super().__init__(folder, database_url, temporal_address, "default", timings=CHAOS_TIMINGS)
        self.second = self._worker("Worker-2")

    @contextmanager
    def sabotaged(self, sabotage: Sabotage) -> Iterator[Process]:
        """Replace the worker by one that breaks the protocol; afterwards none runs."""
        if self.worker.pid is not None:
            self.worker.kill()  # a kill needs no drain
        sabotaged_worker = self._worker(f"Worker-{sabotage}", sabotage)
        sabotaged_worker.start()
        try:
            yield sabotaged_worker
        finally:
            sabotaged_worker.kill()

    def _worker(self, name: str, *sabotage: Sabotage) -> Process:
        log = log_file(self._folder, name)
        return self._process(
            name,
            *("tests.chaos.worker", str(self.faults.folder), *sabotage),
            answers=lambda: "INFO worker working" in log.read_text(),
        )

    def _api(self, name: str, port: int) -> Process:
        return self._process(
            name,
            *("tests.chaos.api", str(self.faults.folder), str(port)),
            answers=lambda: ports.answers(port),
        )


@dataclass(frozen=True)
class Site:
    """The stack and its servers.

    Attributes:
        database_url: The stack's database, for plain SQL.
    """

    stack: ChaosStack
    postgres: EmbeddedPostgres
    temporal: TemporalServer
    database_url: str


@contextmanager
def start_site() -> Iterator[Site]:
    """Start the servers and the stack; stop them afterwards."""
    with tempfile.TemporaryDirectory(prefix="segue-chaos-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with own_servers(folder, dynamic_config=_TEMPORAL, **_POSTGRES) as (
            postgres,
            temporal,
            url,
        ):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(_NOTE_COMMITS)
                connection.execute(_STRANGE_DEFAULTS)
            with ChaosStack(folder, url, temporal.address) as stack:
                yield Site(stack, postgres, temporal, url)
