"""Statements that are sent as SQL find what SQLAlchemy's own way finds."""

from datetime import timedelta

from sqlalchemy import Interval, Select, bindparam, func, or_, select
from sqlmodel import col

from domain.statuses.access import Role
from storage.platform.fixed import Fixed
from storage.tables.access import User
from tests.worlds import small_world


async def test_fixed_statement_finds_the_same(database_url: str) -> None:
    """With codes, lists, signs of LIKE and moments in it, and what differs at each call."""
    query: Select[str, Role, bool] = select(
        col(User.name),
        col(User.role),
        (col(User.created_at) > func.now() - bindparam("age", type_=Interval)).label("is_new"),
    ).where(
        col(User.role).in_((Role.ADMIN, Role.MEMBER)),
        or_(col(User.role) == Role.ADMIN, col(User.email).like("%@%")),
        col(User.name) != bindparam("other"),
    )
    fixed = Fixed(query)
    async with small_world(database_url) as world, world.database.transaction() as tx:
        await tx.run("UPDATE users SET created_at = now() - interval '2 days'")
        for other, days in (("nobody", 1), ("nobody", 3), ("%", 3)):
            values = {"other": other, "age": timedelta(days=days)}
            found = (await tx.run(fixed, **values)).all()
            assert found == [tuple(one) for one in await tx.run(query, **values)]
            assert [one.is_new for one in found] == [days == 3]


def test_values_that_differ_are_no_constants() -> None:
    named = Fixed(select(col(User.id)).where(col(User.name) == bindparam("name")))
    assert "%(name)s" in named.sql
    assert named.constants == {}
