"""``Idempotency-Key`` over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, text, update

from domain.statuses.access import Role
from services.factory import Services
from services.platform.idempotency import Claim, Idempotency, StoredAnswer
from storage.platform.database import Database
from storage.tables.platform import IdempotencyKey
from tests.api.conftest import Connect
from tests.api.record import RECORDED_PATHS

ANN: dict[str, Any] = {"first_name": "Ann", "phone": "+14155550123"}
BO: dict[str, Any] = {"first_name": "Bo", "phone": "+14155550124"}
KEY = {"Idempotency-Key": "3f0c"}


async def test_repeated_request_with_its_key_gets_the_first_answer(
    member: httpx.AsyncClient,
) -> None:
    first = await member.post("/api/contacts", json=ANN, headers=KEY)
    again = await member.post("/api/contacts", json=ANN, headers=KEY)

    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"


async def test_concurrent_requests_with_one_key_do_the_work_once(member: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(member.post("/api/contacts", json=ANN, headers=KEY) for _ in range(8))
    )

    made = [answer for answer in answers if answer.status_code == 201]
    others = [answer for answer in answers if answer.status_code != 201]
    assert len({answer.json()["id"] for answer in made}) == 1
    assert {answer.json()["code"] for answer in others} <= {"request_in_progress"}
    assert len((await member.get("/api/contacts")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/contacts", BO), ("/api/groups", ANN), ("/api/contacts?x=1", ANN)],
)
async def test_key_of_another_request_is_a_conflict(
    member: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    await member.post("/api/contacts", json=ANN, headers=KEY)

    answer = await member.post(path, json={"name": "x"} if "groups" in path else body, headers=KEY)

    assert answer.status_code == 409
    assert answer.json()["code"] == "idempotency_key_reused"
    assert len((await member.get("/api/contacts")).json()["items"]) == 1


async def test_keys_belong_to_their_user(
    member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    assert (await member.post("/api/contacts", json=ANN, headers=KEY)).status_code == 201
    assert (await admin.post("/api/contacts", json=BO, headers=KEY)).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ", "a\tb", "é"])
async def test_invalid_key_is_refused(member: httpx.AsyncClient, key: str) -> None:
    answer = await member.post(
        "/api/contacts", json=ANN, headers={b"Idempotency-Key": key.encode()}
    )

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_idempotency_key"
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_refused_request_leaves_its_key_free(member: httpx.AsyncClient) -> None:
    wrong = await member.post("/api/contacts", json={**ANN, "phone": "12"}, headers=KEY)
    right = await member.post("/api/contacts", json=ANN, headers=KEY)

    assert wrong.status_code == 422
    assert right.status_code == 201


async def test_no_token_or_password_is_stored_with_a_key(
    admin: httpx.AsyncClient, database: Database
) -> None:
    user = await admin.post(
        "/api/users", json={"email": "kim@x.example", "role": "member"}, headers=KEY
    )
    await admin.post(f"/api/users/{user.json()['id']}/tokens", json={"name": "ci"}, headers=KEY)

    async with database.transaction() as tx:
        assert (await tx.get(IdempotencyKey, (user.json()["id"], "3f0c"))) is None


class TestClaims:
    """Claims of a key in the use case, where time must pass or a process must die."""

    @pytest.fixture
    async def begin(self, services: Services, connect: Connect) -> Any:
        await connect(Role.MEMBER)
        user = await services.users.by_email("member@example.com")
        assert user

        async def begin_claim(*, repeatable: bool = False) -> Claim | StoredAnswer:
            return await services.idempotency.begin(
                user_id=user.id,
                key="k",
                route="POST /x",
                request_hash="h",
                repeatable=repeatable,
            )

        return begin_claim

    @pytest.fixture
    def keys(self, services: Services) -> Idempotency:
        return services.idempotency

    async def age(self, database: Database, by: timedelta) -> None:
        async with database.transaction() as tx:
            await tx.execute(
                update(IdempotencyKey)
                .values(created_at=func.now() - by)
                .execution_options(synchronize_session=False)
            )

    async def test_unanswered_claim_is_in_progress(self, begin: Any) -> None:
        await begin()

        with pytest.raises(Exception, match="no answer yet"):
            await begin(repeatable=True)

    async def test_abandoned_claim_is_taken_over_if_a_repeat_is_harmless(
        self, begin: Any, keys: Idempotency, database: Database
    ) -> None:
        first = await begin(repeatable=True)
        await self.age(database, timedelta(minutes=2))

        second = await begin(repeatable=True)
        await keys.finish(first, 201, {"by": "first"})
        await keys.finish(second, 201, {"by": "second"})

        assert await begin() == StoredAnswer(201, {"by": "second"})

    async def test_abandoned_claim_is_kept_if_a_repeat_may_harm(
        self, begin: Any, database: Database
    ) -> None:
        await begin()
        await self.age(database, timedelta(minutes=2))

        with pytest.raises(Exception, match="no answer yet"):
            await begin()

    async def test_a_key_is_free_again_after_a_day(
        self, begin: Any, keys: Idempotency, database: Database
    ) -> None:
        await keys.finish(await begin(), 201, {})
        await self.age(database, timedelta(hours=25))

        assert isinstance(await begin(), Claim)


async def test_repeated_creation_of_users_and_tokens_shows_no_token_again(
    admin: httpx.AsyncClient, database: Database
) -> None:
    """Every POST that creates takes a key; no secret is stored with it."""
    key = {"Idempotency-Key": "a user"}
    user = {"email": "kim@example.com", "role": "member"}
    made = [await admin.post("/api/users", json=user, headers=key) for _ in range(2)]
    assert [one.status_code for one in made] == [201, 201]
    assert {**made[0].json(), "set_up_url": None} == made[1].json()
    changed = await admin.post("/api/users", json={**user, "role": "viewer"}, headers=key)
    assert (changed.status_code, changed.json()["code"]) == (409, "idempotency_key_reused")

    key = {"Idempotency-Key": "a token"}
    path = f"/api/users/{made[0].json()['id']}/tokens"
    first, again = [await admin.post(path, json={"name": "CRM"}, headers=key) for _ in range(2)]
    assert first.json()["token"].startswith("sgt_")
    assert {**first.json(), "token": None} == again.json()
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-store"

    async with database.transaction() as tx:
        kept = str((await tx.execute(text("SELECT * FROM idempotency_keys"))).all())
    assert first.json()["token"] not in kept
    assert made[0].json()["set_up_url"].partition("=")[2] not in kept


def test_every_post_except_sign_in_takes_a_key() -> None:
    taking = set()
    posts = set()
    for path, item in RECORDED_PATHS.items():
        if path.startswith("/api/") and "post" in item:
            posts.add(path)
            headers = [one["name"] for one in item["post"].get("parameters", ())]
            taking |= {path} if "Idempotency-Key" in headers else set()
    assert posts - taking == {"/api/session"}


async def test_repeated_state_change_gets_the_first_answer(member: httpx.AsyncClient) -> None:
    contact = (await member.post("/api/contacts", json=ANN)).json()["id"]
    opt_out = {"contact_id": contact, "reason": "asked"}
    made = (await member.post("/api/suppressions", json=opt_out)).json()
    path, why = f"/api/suppressions/{made['id']}/lift", {"reason": "asked again"}
    first = await member.post(path, json=why, headers=KEY)
    again = await member.post(path, json=why, headers=KEY)
    other = await member.post(path, json={"reason": "other"}, headers=KEY)
    without = await member.post(path, json=why)
    assert (first.status_code, again.json()) == (200, first.json())
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert (without.status_code, without.json()["code"]) == (409, "already_lifted")


class TestEnrollingUnderAKey:
    """A repeat of enrolling may harm: finished contacts would get every text again."""

    @pytest.fixture
    async def sequence_id(self, member: httpx.AsyncClient, services: Services) -> str:
        sender = await services.senders.create({"name": "Front desk", "phone": "+14155550100"})
        steps = [{"body": "Hello", "delay_seconds": 0}]
        body = {"name": "Plan", "sender_id": str(sender.id), "kind": "ongoing", "steps": steps}
        made = (await member.post("/api/sequences", json=body)).json()
        await member.post(f"/api/sequences/{made['id']}/activate")
        return str(made["id"])

    async def enroll(
        self, member: httpx.AsyncClient, sequence_id: str, contact_id: str, **headers: str
    ) -> httpx.Response:
        return await member.post(
            f"/api/sequences/{sequence_id}/enrollments",
            json={"contact_ids": [contact_id]},
            headers={**KEY, **headers},
        )

    @pytest.mark.parametrize("prefer", [{}, {"Prefer": "respond-async"}])
    async def test_answer_is_stored_in_the_transaction_of_the_work(
        self,
        member: httpx.AsyncClient,
        sequence_id: str,
        monkeypatch: pytest.MonkeyPatch,
        prefer: dict[str, str],
    ) -> None:
        """A process that dies right after the commit leaves the answer stored."""
        contact_id = (await member.post("/api/contacts", json=ANN)).json()["id"]

        async def die(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(Idempotency, "finish", die)
        monkeypatch.setattr(Idempotency, "give_up", die)
        first = await self.enroll(member, sequence_id, contact_id, **prefer)
        again = await self.enroll(member, sequence_id, contact_id, **prefer)

        assert first.status_code == again.status_code == (202 if prefer else 200)
        assert first.json() == again.json()
        assert again.headers["idempotent-replayed"] == "true"

    async def test_claim_that_was_taken_over_enrolls_no_contact(
        self,
        member: httpx.AsyncClient,
        sequence_id: str,
        services: Services,
        monkeypatch: pytest.MonkeyPatch,
        database: Database,
    ) -> None:
        """The process froze, and another one answered its client meanwhile."""
        contact_id = (await member.post("/api/contacts", json=ANN)).json()["id"]
        enroll = services.enrolling.enroll

        async def frozen(*args: Any, **given: Any) -> Any:
            async with database.transaction() as tx:
                await tx.execute(
                    update(IdempotencyKey)
                    .values(created_at=func.now() + timedelta(seconds=1))
                    .execution_options(synchronize_session=False)
                )
            return await enroll(*args, **given)

        monkeypatch.setattr(services.enrolling, "enroll", frozen)
        answer = await self.enroll(member, sequence_id, contact_id)

        assert (answer.status_code, answer.json()["code"]) == (409, "request_in_progress")
        tab = await member.get(f"/api/sequences/{sequence_id}/contacts")
        assert tab.json()["items"] == []
