"""The audit log as acts: an act on many is found whole, and a page reads little of a long log."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.platform.audit import Act, Audit
from storage.platform.audit import AuditFilter
from storage.platform.database import Database
from tests.kits.query_plans import asked_of, plan_of, read_by, rows_read

ENTRIES = """
    INSERT INTO audit_log (at, action, subject_kind, subject_id, detail)
    SELECT now() - i / 100 * interval '1 second', 'group.add', 'contact', gen_random_uuid(),
        jsonb_build_object('group_id', CAST(:group AS text))
    FROM generate_series(1, 10000) i
"""
"""Of the last second one, then ninety-nine acts on a hundred contacts each."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def test_page_of_acts_reads_little_of_a_long_log(database: Database) -> None:
    group = uuid4()
    async with database.transaction() as tx:
        await tx.run(ENTRIES, group=str(group))
        await tx.run("INSERT INTO groups (id, name) VALUES (:id, 'Callers')", id=group)
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("VACUUM ANALYZE audit_log"))

    audit = Audit(database)
    seen: list[Act] = []
    before_id: int | None = None
    for _ in range(2):
        async with asked_of(database) as asked:
            acts, before_id = await audit.acts(AuditFilter(), before_id=before_id, limit=50)
        seen += acts
    assert [act.count for act in seen[1:]] == [100] * 99
    assert {act.subjects["group"].name for act in seen} == {"Callers"}
    assert "contact" not in seen[1].subjects
    alone, _ = await audit.acts(AuditFilter(subject_id=seen[1].entry.subject_id))
    assert [act.count for act in alone] == [1]
    assert alone[0].subjects["contact"].name is None

    asked = [one for one in asked if "FROM" in one[0]]
    assert len(asked) <= 6, "names are read with a query for each kind"
    plan = await plan_of(database, *asked[0])
    assert "" not in read_by(plan, "audit_log")
    assert sum(rows_read(plan, "audit_log")) <= 3 * 51 * 100
