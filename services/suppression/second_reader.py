"""Ask a second reader, a language model, about texts that the rules let pass or doubt."""

import asyncio
import logging
import time

import aiohttp

from domain.statuses.suppression import OptOutSource
from domain.suppression.second_reading import (
    Judgment,
    Opinion,
    SecondReaderRules,
    opinion_in,
    question,
)
from services.suppression.erasure import recall
from services.suppression.opt_outs import opt_out
from storage.platform.database import Database
from storage.platform.locks import lock_enrollments_of, lock_numbers
from storage.suppression import reviews, second_readings
from storage.suppression.second_readings import TextToRead
from storage.suppression.suppressions import Evidence

_logger = logging.getLogger(__name__)

AT_ONCE = 4
"""Questions side by side."""

TEXTS = 60
"""Most texts of one round."""

_ANSWER_BYTES = 64_000

_REFUSED = frozenset({400, 413, 422})
"""Statuses that are about the text, such as one that a filter refuses: asking again is no use."""


class SecondReader:
    """Asks about texts off the path of webhooks and sends.

    It may add a review or, if the rules say so, an opt-out as of the text's time. It undoes and
    decides nothing.
    """

    def __init__(self, database: Database, rules: SecondReaderRules) -> None:
        self._database = database
        self._rules = rules

    async def read(self) -> int:
        """Ask about the texts that are due, for some seconds; return how many were answered.

        The first question without an answer ends the round: its text comes again, with growing
        pauses, until it is too old. An answer that cannot be read is an answer, and so is a refusal
        of that text: it stays as the rules have read it.
        """
        async with self._database.transaction() as tx:
            await second_readings.discard(tx, self._rules.give_up)
        answered, ends_at = 0, time.monotonic() + self._rules.round_within.total_seconds()
        timeout = aiohttp.ClientTimeout(total=self._rules.answer_within.total_seconds())
        async with aiohttp.ClientSession(
            timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            for _ in range(TEXTS // AT_ONCE):
                async with self._database.transaction() as tx:
                    some = await second_readings.take(tx, AT_ONCE)
                answers = await asyncio.gather(*(self._ask(session, text) for text in some))
                for text, answer in zip(some, answers, strict=True):
                    if answer is not None:
                        await self._record(text, opinion_in(answer))
                        answered += 1
                if not some or None in answers or time.monotonic() > ends_at:
                    break
        return answered

    async def _ask(self, session: aiohttp.ClientSession, text: TextToRead) -> bytes | None:
        """Return the beginning of the answer about a text, empty for a refusal; None for none."""
        names = [name for name in (text.first_name, text.last_name) if name]
        headers = {"Authorization": f"Bearer {self._rules.key}"} if self._rules.key else {}
        try:
            async with session.post(
                f"{self._rules.url}/chat/completions",
                json=question(self._rules.model, text.body, names),
                headers=headers,
                allow_redirects=False,
            ) as response:
                if response.status == 200:
                    return await _beginning(response.content)
                why = f"HTTP {response.status}"
                if response.status in _REFUSED:
                    _logger.warning("the second reader refuses a text: %s", why)
                    return b""
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            why = type(error).__name__
        _logger.warning("the second reader does not answer: %s", why)
        return None

    async def _record(self, text: TextToRead, opinion: Opinion | None) -> None:
        async with self._database.transaction() as tx:
            await lock_numbers(tx, [text.phone])
            await recall(tx, [text.phone])
            may_count = await second_readings.finish(tx, text.message_id)
            if not may_count or opinion is None or opinion.judgment is Judgment.NO:
                return
            if opinion.judgment is Judgment.UNSURE or not self._rules.opts_out:
                await reviews.add(tx, [text.message_id], reason=opinion.told)
                return
            evidence = Evidence(
                phone=text.phone,
                source=OptOutSource.PLAIN_OPT_OUT,
                occurred_at=text.at,
                message_id=text.message_id,
                reason=opinion.told,
            )
            await lock_enrollments_of(tx, [text.phone])
            await opt_out(tx, [evidence])


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > _ANSWER_BYTES:
            break
    return bytes(body)
