"""Texts whose webhooks never came are fetched and applied as if they had come.

The rules: docs/design.md, "Missed webhooks".
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from domain.messaging.inbound import InboundText
from domain.messaging.ports import ListedText, ListPage, ProviderUnavailableError
from domain.statuses.sequences import ReplyPolicy
from services.maintenance.pruning import Pruning
from services.messaging import backfill, inbound
from storage.messaging import backfill as rows
from storage.tables.messaging import Sender
from tests.kits.inbound import inbound_text
from tests.kits.sending import SendingKit

OURS = "+14155550100"
SECOND, MINUTE, HOUR, DAY = (
    timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days")
)


@pytest.fixture
async def kit(kit: SendingKit) -> SendingKit:
    """A kit whose lists were read a moment ago."""
    await kit.services.backfill.fetch_texts()
    await looked_through(kit, MINUTE)
    return kit


async def looked_through(kit: SendingKit, until: timedelta) -> None:
    """Mark every list as read up to so long ago."""
    for table in ("catch_up", "catch_up_lists"):
        behind = f"UPDATE {table} SET fetched_until = now() - :until"  # noqa: S608
        await kit.world.run(behind, until=until)


def ago(by: timedelta) -> datetime:
    """Return a past moment in whole seconds, as the provider's list has it."""
    return (datetime.now(UTC) - by).replace(microsecond=0)


async def texts_us(
    kit: SendingKit,
    enrollment: UUID,
    body: str = "Yes please",
    *,
    before: timedelta = 2 * MINUTE,
    to: str = OURS,
    service: str | None = None,
    pictures: Sequence[str] = (),
) -> ListedText:
    """Add a text from the contact whose webhook never came."""
    text = ListedText(
        f"SM{uuid4().hex}",
        await kit.phone(enrollment),
        to,
        service,
        body,
        len(pictures),
        ago(before),
    )
    kit.gateway.texts.append(text)
    kit.gateway.texts.sort(key=lambda text: text.sent_at)
    if pictures:
        kit.gateway.photos[text.sid] = pictures
    return text


async def fetched(kit: SendingKit) -> int:
    """Run this part of the sweep five minutes later; return how many texts it fetched."""
    await kit.pass_time(5 * MINUTE)
    count = await kit.services.backfill.fetch_texts()
    await kit.services.outbox.drain()
    return count


async def stored(kit: SendingKit) -> list[str]:
    """List the stored inbound texts in the provider's order."""
    rows = await kit.world.rows(
        "SELECT body FROM messages WHERE direction = 'inbound' ORDER BY occurred_at"
    )
    return [row.body for row in rows]


async def opted_out(kit: SendingKit, enrollment: UUID) -> bool:
    rows = await kit.world.rows(
        "SELECT 1 FROM suppressions WHERE phone = :phone AND lifted_at IS NULL",
        phone=await kit.phone(enrollment),
    )
    return bool(rows)


def webhook(text: ListedText, *, opt_out_type: str | None = None) -> InboundText:
    """Return the same text as its webhook brings it."""
    return inbound_text(
        text.phone,
        text.body,
        sid=text.sid,
        to=text.to,
        messaging_service_sid=text.messaging_service_sid,
        opt_out_type=opt_out_type,
    )


class TestTexts:
    async def test_fetched_reply_ends_the_enrollment(self, kit: SendingKit) -> None:
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        text = await texts_us(kit, enrollment)
        assert await fetched(kit) == 1
        row = await kit.row(enrollment)
        assert row.status == "finished_responded"
        assert row.replied_at - text.sent_at < SECOND
        assert kit.temporal.signals_to(enrollment) == [("reply_received", "finished_responded")]
        assert await stored(kit) == ["Yes please"]

    async def test_fetched_reply_is_remembered_with_policy_continue(self, kit: SendingKit) -> None:
        enrollment = await kit.enroll(await kit.sequence(on_reply=ReplyPolicy.CONTINUE))
        await kit.send(enrollment)
        await texts_us(kit, enrollment)
        assert await fetched(kit) == 1
        row = await kit.row(enrollment)
        assert (row.status, row.replied_at is None) == ("active", False)

    async def test_fetched_stop_opts_out(self, kit: SendingKit) -> None:
        """The list has no ``OptOutType``."""
        enrollment, other = await kit.enroll(), await kit.enroll()
        await kit.send(enrollment)
        text = await texts_us(kit, enrollment, "Stop")
        await texts_us(kit, other, "STOP ALL")
        assert await fetched(kit) == 2
        assert (await kit.row(enrollment)).status == "opted_out"
        assert (await kit.row(other)).status == "omitted_opted_out"
        [suppression] = await kit.world.rows(
            "SELECT * FROM suppressions WHERE phone = :phone", phone=text.phone
        )
        assert suppression.source == "keyword"
        assert suppression.occurred_at - text.sent_at < SECOND

    async def test_fetched_text_older_than_the_first_attempt_is_no_reply(
        self, kit: SendingKit
    ) -> None:
        """A fetched text is a reply only if it is later than the first attempt."""
        enrollment = await kit.enroll()
        await texts_us(kit, enrollment, "Do you have my book?", before=20 * MINUTE)
        await kit.send(enrollment)
        assert await fetched(kit) == 1
        assert (await kit.row(enrollment)).status == "active"
        assert await stored(kit) == ["Do you have my book?"]

    async def test_fetched_text_of_the_same_second_as_the_first_attempt_is_a_reply(
        self, kit: SendingKit
    ) -> None:
        """The list has whole seconds, so the reply seems older than the text it replies to."""
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        text = await texts_us(kit, enrollment, before=10 * MINUTE)
        await kit.pass_time(5 * MINUTE)
        await kit.world.run("UPDATE attempts SET started_at = :at", at=text.sent_at + 0.7 * SECOND)
        assert (await kit.services.sweep.sweep()).texts_fetched == 1
        assert (await kit.row(enrollment)).status == "finished_responded"

    @pytest.mark.parametrize("first", ["webhook", "list"])
    async def test_text_by_webhook_and_by_list_is_applied_once(
        self, kit: SendingKit, first: str
    ) -> None:
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        text = await texts_us(kit, enrollment)
        if first == "webhook":
            await kit.services.inbound.receive(webhook(text))
        assert await fetched(kit) == (first == "list")
        await kit.services.inbound.receive(webhook(text, opt_out_type="STOP"))
        assert await fetched(kit) == 0
        assert (await kit.row(enrollment)).status == "finished_responded"
        assert await stored(kit) == ["Yes please"]

    @pytest.mark.parametrize(
        ("first", "second", "ends"),
        [("STOP", "START", False), ("START", "STOP", True)],
    )
    @pytest.mark.parametrize("came", ["neither", "first", "second"])
    async def test_latest_opt_out_or_opt_in_counts_whichever_was_fetched(
        self,
        kit: SendingKit,
        first: str,
        second: str,
        ends: bool,  # noqa: FBT001
        came: str,
    ) -> None:
        """Opt-outs and opt-ins are ordered by the provider's time."""
        enrollment = await kit.enroll()
        earlier = await texts_us(kit, enrollment, first, before=9 * MINUTE)
        later = await texts_us(kit, enrollment, second, before=3 * MINUTE)
        for text, name in ((earlier, "first"), (later, "second")):
            if came == name:
                known = replace(webhook(text), occurred_at=text.sent_at + 0.4 * SECOND)
                await kit.services.inbound.receive(known)
                kit.gateway.texts.remove(text)
        await kit.services.backfill.fetch_texts()
        await looked_through(kit, 10 * MINUTE)
        await kit.services.backfill.fetch_texts()
        assert await opted_out(kit, enrollment) is ends
        assert sorted(await stored(kit)) == ["START", "STOP"]

    async def test_oldest_of_several_fetched_replies_counts(self, kit: SendingKit) -> None:
        """The list has the newest text first; texts are applied oldest first."""
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        await texts_us(kit, enrollment, "Yes", before=4 * MINUTE)
        await texts_us(kit, enrollment, "STOP", before=3 * MINUTE)
        assert await fetched(kit) == 2
        assert (await kit.row(enrollment)).status == "finished_responded"
        assert await opted_out(kit, enrollment)

    async def test_last_minute_is_left_to_webhooks(self, kit: SendingKit) -> None:
        """A webhook says more: custom keywords come as OptOutType."""
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        text = await texts_us(kit, enrollment, "Genug jetzt", before=20 * SECOND)
        assert await fetched(kit) == 0
        await kit.services.inbound.receive(webhook(text, opt_out_type="STOP"))
        assert (await kit.row(enrollment)).status == "opted_out"

    async def test_pictures_are_fetched_too(self, kit: SendingKit) -> None:
        enrollment = await kit.enroll()
        await texts_us(kit, enrollment, "", pictures=["https://twilio.test/a", "https://b.test/"])
        assert await fetched(kit) == 1
        [row] = await kit.world.rows("SELECT media_urls FROM messages")
        assert row.media_urls == ["https://twilio.test/a", "https://b.test/"]

    async def test_stop_is_applied_even_if_its_photo_cannot_be_fetched(
        self, kit: SendingKit
    ) -> None:
        enrollment = await kit.enroll()
        text = await texts_us(kit, enrollment, "STOP", pictures=["https://twilio.test/a"])
        del kit.gateway.photos[text.sid]
        tries = 0
        while not await stored(kit):
            tries += 1
            await kit.pass_time(15 * MINUTE)
            await kit.services.backfill.fetch_texts()
        assert tries == backfill.PERSISTENCE + 1
        assert await opted_out(kit, enrollment)

    async def test_photo_on_a_later_page_does_not_restart_the_list_forever(
        self, kit: SendingKit
    ) -> None:
        """Reading the first page again does not reset the count of failures."""
        kit.gateway.page_size = 1
        enrollment = await kit.enroll()
        await texts_us(kit, enrollment, "Look", before=3 * MINUTE)
        photo = await texts_us(kit, enrollment, "And", before=4 * MINUTE, pictures=["https://b/"])
        await texts_us(kit, enrollment, "STOP", before=5 * MINUTE)
        del kit.gateway.photos[photo.sid]
        await kit.pass_time(5 * MINUTE)
        for _ in range(backfill.PERSISTENCE + 1):
            await kit.world.run("UPDATE catch_up_lists SET next_try_at = NULL")
            await kit.services.backfill.fetch_texts()
        assert sorted(await stored(kit)) == ["And", "Look", "STOP"]
        assert await opted_out(kit, enrollment)

    async def test_fetched_text_that_cannot_be_applied_blocks_its_number(
        self, kit: SendingKit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An unapplied inbound from a number blocks sends to it."""
        enrollment = await kit.enroll()
        await texts_us(kit, enrollment, "STOP")
        with monkeypatch.context() as patch:
            patch.setattr(inbound, "_take_effect", _fails)
            assert await fetched(kit) == 1
            await kit.run_step(enrollment)
        assert await kit.bodies(enrollment) == []
        assert (await kit.services.sweep.sweep()).inbound_applied == 1
        assert (await kit.row(enrollment)).status == "omitted_opted_out"

    async def test_erased_contact_is_not_brought_back(self, kit: SendingKit) -> None:
        """Texts of an erased contact are still in the provider's list (decision 7)."""
        enrollment = await kit.enroll()
        text = await texts_us(kit, enrollment, "I am Ann")
        contact_id = (await kit.row(enrollment)).contact_id
        await kit.services.inbound.receive(webhook(text))
        await kit.services.erasure.erase(contact_id, kit.world.user_id)
        assert await fetched(kit) == 0
        assert await stored(kit) == []
        await kit.pass_time(3 * DAY)
        kit.gateway.texts.clear()
        for _ in range(2):
            assert await fetched(kit) == 0
        await Pruning(kit.world.database, jobs_kept=30 * DAY).prune()
        assert await kit.world.rows("SELECT 1 FROM inbound_events") == []


async def _fails(*_: object) -> None:
    raise RuntimeError("no effect")


async def add_sender(
    kit: SendingKit, *, phone: str | None = None, service: str | None = None
) -> UUID:
    sender_id = uuid4()
    async with kit.world.database.transaction() as tx:
        await tx.execute(
            insert(Sender).values(
                id=sender_id, name="Another", phone=phone, messaging_service_sid=service
            )
        )
    return sender_id


class TestSenders:
    """The list may leave the Messaging Service out."""

    @pytest.mark.parametrize("named", [True, False])
    @pytest.mark.parametrize("own", [True, False], ids=["number of ours", "number of the pool"])
    async def test_reply_to_a_messaging_service_is_its_senders(
        self,
        kit: SendingKit,
        named: bool,  # noqa: FBT001
        own: bool,  # noqa: FBT001
    ) -> None:
        service, number = "MG" + "7" * 32, OURS if own else "+16465550177"
        sender_id = await add_sender(kit, service=service)
        enrollment = await kit.enroll(await kit.sequence(sender_id=sender_id))
        await kit.send(enrollment)
        [attempt] = await kit.attempts(enrollment)
        await kit.report(attempt, "sent", from_phone=number)
        await texts_us(kit, enrollment, to=number, service=service if named else None)
        assert await fetched(kit) == 1
        assert (await kit.row(enrollment)).status == "finished_responded"

    async def test_text_to_a_number_that_sent_nothing_is_only_stored(self, kit: SendingKit) -> None:
        """The numbers of a service are not known, so the whole account's list is read."""
        await add_sender(kit, service="MG" + "8" * 32)
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        await texts_us(kit, enrollment, to="+16465550199")
        assert await fetched(kit) == 1
        assert (await kit.row(enrollment)).status == "active"
        assert await stored(kit) == ["Yes please"]


class TestWhen:
    async def test_every_five_minutes_with_an_hours_overlap(self, kit: SendingKit) -> None:
        """Each look begins an hour before the last text seen."""
        enrollment = await kit.enroll()
        await kit.services.backfill.fetch_texts()
        assert kit.gateway.asked == []
        assert await fetched(kit) == 0
        await kit.services.backfill.fetch_texts()
        assert len(kit.gateway.asked) == 1
        await texts_us(kit, enrollment, "listed late", before=60 * MINUTE)
        await texts_us(kit, enrollment, "long before", before=70 * MINUTE)
        assert await fetched(kit) == 1
        assert await stored(kit) == ["listed late"]
        since, until, _ = kit.gateway.asked[-1]
        assert abs(until - since - HOUR - 5 * MINUTE) < MINUTE

    async def test_texts_of_a_long_outage_are_fetched_in_one_sweep(self, kit: SendingKit) -> None:
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        await fetched(kit)
        await kit.pass_time(2 * DAY)
        await texts_us(kit, enrollment, before=47 * HOUR)
        report = await kit.services.sweep.sweep()
        assert report.texts_fetched == 1
        assert (await kit.row(enrollment)).status == "finished_responded"

    async def test_clock_set_back_hides_no_text(self, kit: SendingKit) -> None:
        """The database's clock was a day ahead, so the list counts as read too far."""
        enrollment = await kit.enroll()
        await fetched(kit)
        await looked_through(kit, -DAY)
        await texts_us(kit, enrollment, "STOP")
        assert await kit.services.backfill.fetch_texts() == 1
        assert await opted_out(kit, enrollment)
        asked = len(kit.gateway.asked)
        await kit.services.backfill.fetch_texts()
        assert len(kit.gateway.asked) == asked, "and from there on as ever"

    async def test_texts_are_fetched_soon_after_an_outage(self, kit: SendingKit) -> None:
        """While the API or its database was away, webhooks may have been lost."""
        enrollment = await kit.enroll()
        await fetched(kit)
        await kit.world.run("UPDATE catch_up SET missed_until = now()")
        await kit.pass_time(30 * SECOND)
        await texts_us(kit, enrollment, "just before", before=40 * SECOND)
        asked = len(kit.gateway.asked)
        await kit.services.backfill.fetch_texts()
        assert (len(kit.gateway.asked) - asked, await stored(kit)) == (1, [])
        await kit.pass_time(MINUTE)
        kit.gateway.texts[0] = replace(kit.gateway.texts[0], sent_at=ago(100 * SECOND))
        await kit.services.backfill.fetch_texts()
        assert await stored(kit) == ["just before"]
        asked = len(kit.gateway.asked)
        await kit.pass_time(MINUTE)
        await kit.services.backfill.fetch_texts()
        assert len(kit.gateway.asked) == asked

    async def test_long_list_continues_in_the_next_sweep(
        self, kit: SendingKit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A page takes 40 s of the minute that a sweep has.
        clock = SimpleNamespace(monotonic=lambda: 40.0 * len(kit.gateway.asked))
        monkeypatch.setattr(backfill, "time", clock)
        kit.gateway.page_size = 2
        enrollment = await kit.enroll()
        for minutes in range(3, 12):
            await texts_us(kit, enrollment, str(minutes), before=minutes * MINUTE)
        counts = [await fetched(kit)]
        counts += [await kit.services.backfill.fetch_texts() for _ in range(3)]
        assert counts == [4, 4, 1, 0]
        assert len(await stored(kit)) == 9
        assert [page for _, _, page in kit.gateway.asked] == [None, "2", "4", "6", "8"]
        assert len({until for _, until, _ in kit.gateway.asked}) == 1

    async def test_sweep_reads_a_list_to_its_end(self, kit: SendingKit) -> None:
        """A STOP whose webhook never came, behind a day of texts whose webhooks did."""
        kit.gateway.page_size = 100
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        stop = await texts_us(kit, enrollment, "STOP", before=25 * HOUR)
        await kit.pass_time(DAY)
        came = [
            ListedText(f"SM{at:032x}", "+12125550188", OURS, None, "Hi", 0, ago(SECOND * at * 20))
            for at in range(6, 4_006)
        ]
        kit.gateway.texts += reversed(came)
        await kit.world.run(
            "INSERT INTO inbound_events (provider_sid, phone, payload, occurred_at, applied_at)"
            " SELECT 'SM' || lpad(to_hex(n), 32, '0'), '+12125550188', '{}', now(), now()"
            " FROM generate_series(6, 4005) n"
        )
        report = await kit.services.sweep.sweep()
        assert report.texts_fetched == 1
        assert await opted_out(kit, enrollment), stop
        assert len(kit.gateway.asked) == 41, "100 a page, and once"

    async def test_each_number_has_its_own_list_and_a_service_the_accounts(
        self, kit: SendingKit
    ) -> None:
        """Texts of other numbers, and outbound ones, do not delay a number's own."""
        another = "+16465550111"
        await add_sender(kit, phone=another)
        await fetched(kit)
        assert set(kit.gateway.asked_for) == {OURS, another}
        await add_sender(kit, service="MG" + "7" * 32)
        kit.gateway.asked_for.clear()
        await kit.pass_time(5 * MINUTE)
        await fetched(kit)
        assert set(kit.gateway.asked_for) == {OURS, another, None}
        lists = await kit.world.rows("SELECT phone FROM catch_up_lists")
        assert {one.phone for one in lists} == {OURS, another, ""}

    async def test_failing_list_delays_no_other(
        self, kit: SendingKit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        another = "+16465550111"
        await add_sender(kit, phone=another)
        enrollment = await kit.enroll()
        await texts_us(kit, enrollment, "to one", before=4 * MINUTE)
        await texts_us(kit, enrollment, "to another", before=4 * MINUTE, to=another)
        list_inbound = kit.gateway.list_inbound

        async def trouble(*args: Any, to: str | None = None) -> ListPage[ListedText]:
            if to == OURS:
                raise ProviderUnavailableError("this one")
            return await list_inbound(*args, to=to)

        monkeypatch.setattr(kit.gateway, "list_inbound", trouble)
        assert await fetched(kit) == 1
        assert await stored(kit) == ["to another"]
        [all_of_them] = await kit.world.rows("SELECT now() - fetched_until AS lag FROM catch_up")
        assert all_of_them.lag > 5 * MINUTE, "one list is behind"
        monkeypatch.undo()
        assert await fetched(kit) == 1

    async def test_frozen_sweep_does_not_rewind_a_list(self, kit: SendingKit) -> None:
        """Another sweep has read on meanwhile."""
        kit.gateway.page_size = 1
        enrollment = await kit.enroll()
        for minutes in (3, 4):
            await texts_us(kit, enrollment, str(minutes), before=minutes * MINUTE)
        await kit.pass_time(5 * MINUTE)
        async with kit.world.database.transaction() as tx:
            [frozen] = await rows.text_lists(tx)
        await kit.services.backfill.fetch_texts()
        async with kit.world.database.transaction() as tx:
            assert await rows.read(tx, frozen, frozen.read_at, "1") is None
            [now] = await rows.text_lists(tx)
        assert (now.page, now.fetched_until > frozen.fetched_until) == (None, True)

    async def test_failing_provider_is_asked_less_often_and_no_text_is_lost(
        self, kit: SendingKit
    ) -> None:
        """On 429 and 5xx the backfill backs off, and the rest of the sweep goes on."""
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        text = await texts_us(kit, enrollment, before=10 * MINUTE)
        kit.gateway.lists_fail = True
        await kit.pass_time(5 * MINUTE)
        asked_at = []
        for minute in range(25):
            before = len(kit.gateway.asked)
            if minute:
                assert await kit.services.backfill.fetch_texts() == 0
            else:
                report = await kit.services.sweep.sweep()
                assert (report.failures, report.texts_fetched) == ([], 0)
            asked_at += [minute] * (len(kit.gateway.asked) - before)
            await kit.pass_time(MINUTE)
        assert asked_at == [0, 1, 3, 7, *range(12, 25, 5)], "as often as ever in the end"
        kit.gateway.lists_fail = False
        await kit.pass_time(5 * MINUTE)
        assert await kit.services.backfill.fetch_texts() == 1
        assert (await kit.row(enrollment)).status == "finished_responded"
        assert await stored(kit) == [text.body]
        kit.gateway.lists_fail = True
        await kit.pass_time(5 * MINUTE)
        for _ in range(2):
            await kit.services.backfill.fetch_texts()
            await kit.pass_time(MINUTE)
        [failing] = await kit.world.rows("SELECT failures FROM catch_up_lists")
        assert failing.failures == 2, "it was counted anew"
