"""`python -m bench.webhooks`: inbound texts and status callbacks a second, beside a bare webhook.

Both run as one process each, in turns (A B A B ...), called by a third with the same forms: one in
ten says STOP, the others answer an enrollment, which ends it. What Temporal is told of that may
come after the answers, so there are two rates: of answers, and of texts whose signals Temporal has
too. Then a burst, four times as many as are taken otherwise: how it is answered, how soon it is
over, and whether a text is missing once the backfill has run. Figures a second are the machine's;
the ratio holds while its speed drifts.
"""

import itertools
import json
import math
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psutil
import psycopg
from temporalio.client import Client

from bench import command, runs, stack
from bench.table import Aim, Figure, Row, figures_of, median_pair
from bench.webhook_load import Answers, Plan, Webhook
from domain.messaging.ports import Gateway, ListedText, ListPage
from domain.platform.rules import SendingRules
from services.factory import ServiceConfig, Services
from standalone.ports import free_port
from storage.platform.database import Database
from workflows.client import EnrollmentClient

AT_ONCE = 16
INBOUND, STATUS = "/webhooks/twilio/inbound", "/webhooks/twilio/status"
OUR_PHONE = "+16285550100"

_BASE_URL = "http://127.0.0.1:1"
_STOPS = 10  # one text in ten
_BURST_FACTOR, _BURST_SECONDS, _CALM_SECONDS = 4, 15, 15
_RECOVERED_FACTOR = 2
_PAGE = 1000
_LOOK_AGAIN_SECONDS = 0.02

_PARTS = {
    "api": "uvicorn",
    "postgres": "postgres",
    "temporal": "start-dev",
    "bare": "bench.bare_webhook",
}
"""By what a part's processes are known."""

_ANSWERS = (
    "Yes, gladly",
    "Who is this?",
    "I would love to, but I am driving right now. Could you call me tomorrow at 5?",
    "ok thanks",
    "Not sure yet, let me ask my husband and get back to you",
    "Sounds good \N{THUMBS UP SIGN}",
)

_FILL = (
    "CREATE TABLE bare_texts (sid text PRIMARY KEY, phone text NOT NULL, fields jsonb NOT NULL)",
    """
    INSERT INTO contacts (id, first_name, last_name, phone, time_zone, created_at, updated_at)
    SELECT gen_random_uuid(), 'Ann' || i, 'Lee', '+1212' || 2000000 + i, 'America/New_York',
        now(), now()
    FROM generate_series(1, %(count)s) i
    """,
    """
    INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by, enrolled_at,
        status, activity, position, step, step_count, next_send_at, due_at, last_sent_at,
        last_message_at)
    SELECT gen_random_uuid(), v.sequence_id, v.id, c.id, %(user_id)s, now() - interval '1 day',
        'active', 'waiting', 2, 1, 3, now() + interval '1 day', now() + interval '1 day',
        now() - interval '1 day', now() - interval '1 day'
    FROM contacts c CROSS JOIN sequence_versions v WHERE v.sequence_id = %(sequence_id)s
    """,
    """
    INSERT INTO messages (id, direction, contact_id, phone, sender_id, enrollment_id, step, pass,
        body, status, occurred_at, created_at)
    SELECT gen_random_uuid(), 'outbound', c.id, c.phone, q.sender_id, e.id, 1, 1, 'A word?',
        'sent', now() - interval '1 day', now() - interval '1 day'
    FROM enrollments e JOIN contacts c ON c.id = e.contact_id
    JOIN sequences q ON q.id = e.sequence_id
    """,
    """
    INSERT INTO attempts (id, message_id, number, outcome, started_at, call_before, answered_at,
        provider_sid, provider_status, from_phone)
    SELECT gen_random_uuid(), id, 1, 'accepted', occurred_at, occurred_at + interval '5 seconds',
        occurred_at, 'SM' || replace(id::text, '-', ''), 'sent', %(our_phone)s
    FROM messages
    """,
    "VACUUM ANALYZE",
)


async def measure(*, seconds: float, pairs: int, people: int, no_burst: bool) -> list[Figure]:
    """Measure pairs of runs of so many seconds, of texts and of reports, and a burst of each."""
    async with stack.started() as (servers, client, services):
        with ExitStack() as programs:
            world = await runs.found_world(services)
            print(f"writing {people:,} people who were texted ...", flush=True)
            connection = programs.enter_context(
                psycopg.connect(servers.database_url, autocommit=True)
            )
            _fill(connection, people, world)
            texts, reports = _texts(connection), _reports(connection)
            address = programs.enter_context(
                servers.api(PUBLIC_BASE_URL=_BASE_URL, LOG_LEVEL="INFO", LOG_FORMAT="json")
            )
            api, bare = urlsplit(address).port or 0, programs.enter_context(_bare(servers))
            figures = list[Figure]()
            for name, calls in (("inbound texts", texts), ("status callbacks", reports)):
                left = partial(_outbox_entries, connection)
                side = _Side(name, calls, api, bare, seconds, left)
                side.warm_up()
                figures += side.beside(pairs)
                if not no_burst:
                    figures.append(side.burst())
                    if calls is texts:
                        figures.append(await _missing(servers, client, connection, side))
            return figures


def _fill(connection: psycopg.Connection, count: int, world: runs.World) -> None:
    names = {"count": count, "our_phone": OUR_PHONE, **vars(world)}
    for statement in _FILL:
        connection.execute(statement, names)


def _texts(connection: psycopg.Connection) -> Iterator[Webhook]:
    """Texts from the first half of the people, each person one."""
    rows = connection.execute("SELECT phone FROM contacts WHERE mod(right(phone, 4)::int, 2) = 0")
    answers = itertools.cycle(_ANSWERS)
    for number, (phone,) in enumerate(rows.fetchall()):
        body = "STOP" if number % _STOPS == 0 else next(answers)
        sid = f"SM{uuid4().hex}"
        fields = {
            "ToCountry": "US",
            "ToState": "",
            "SmsMessageSid": sid,
            "NumMedia": "0",
            "ToCity": "",
            "FromZip": "",
            "SmsSid": sid,
            "SmsStatus": "received",
            "Body": body,
            "To": OUR_PHONE,
            "NumSegments": "1",
            "MessageSid": sid,
            "AccountSid": stack.ACCOUNT_SID,
            "From": phone,
            "ApiVersion": "2010-04-01",
        }
        yield Webhook(INBOUND, fields)


def _reports(connection: psycopg.Connection) -> Iterator[Webhook]:
    """Reports that a text arrived, one on each text to the second half."""
    rows = connection.execute(
        "SELECT a.id, a.provider_sid, m.phone FROM attempts a JOIN messages m"
        " ON m.id = a.message_id WHERE mod(right(m.phone, 4)::int, 2) = 1"
    )
    for attempt_id, sid, phone in rows.fetchall():
        fields = {
            "SmsSid": sid,
            "SmsStatus": "delivered",
            "MessageStatus": "delivered",
            "To": phone,
            "MessageSid": sid,
            "AccountSid": stack.ACCOUNT_SID,
            "From": OUR_PHONE,
            "ApiVersion": "2010-04-01",
        }
        yield Webhook(f"{STATUS}?attempt={attempt_id.hex}", fields)


@contextmanager
def _bare(servers: stack.Servers) -> Iterator[int]:
    """Run the bare server until the block ends; give its port once it answers."""
    port = free_port()
    settings = (str(port), servers.database_url, stack.AUTH_TOKEN, _BASE_URL)
    with servers.program("bare", "bench.bare_webhook", *settings):
        address = f"http://127.0.0.1:{port}/openapi.json"
        stack.until_it_answers(lambda: httpx.get(address), seconds=60)
        yield port


def _send(plan: Plan) -> Answers:
    """Send from a process of its own, and return what became of it."""
    ended = subprocess.run(
        [sys.executable, "-m", "bench.webhook_load"],
        input=json.dumps(asdict(plan)).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return Answers(**json.loads(ended.stdout))


class _Side:
    """One kind of webhook, measured at the API and at the bare server.

    Args:
        name: What is called.
        calls: Each is sent to the API once.
        api: Its port.
        bare: The bare server's.
        seconds: How long a run is.
        left: Counts what Temporal has not been told yet.
    """

    def __init__(
        self,
        name: str,
        calls: Iterator[Webhook],
        api: int,
        bare: int,
        seconds: float,
        left: Callable[[], int],
    ) -> None:
        self._left = left
        self.name, self.sent = name, list[Webhook]()
        self._calls, self._api, self._bare, self._seconds = calls, api, bare, seconds
        self._rate, self._median = 100.0, 0.0
        self._bare_numbers = itertools.count()

    def warm_up(self) -> None:
        """Let both compile, connect and plan."""
        self._ours()
        self._theirs(1000)

    def beside(self, pairs: int) -> Iterator[Figure]:
        """Measure in turns."""
        ratios, with_signals, rates, medians = [], [], [], []
        for pair in range(pairs):
            before = _processor_seconds()
            ours = self._ours()
            left, begun = self._left(), time.perf_counter()
            while self._left():
                time.sleep(_LOOK_AGAIN_SECONDS)
            drained = time.perf_counter() - begun
            between = _processor_seconds()
            theirs = self._theirs(4000)
            after = _processor_seconds()
            stored = ours.results.count("stored")
            rate, bare_rate = _per_second(ours), _per_second(theirs)
            told = stored / (stored / rate + drained)
            ratios.append(rate / bare_rate)
            with_signals.append(told / bare_rate)
            rates.append(rate)
            medians.append(_percentile(ours.took, 50))
            figure = {
                "figure": self.name,
                "pair": pair + 1,
                "ours_per_second": round(rate, 1),
                "bare_per_second": round(bare_rate, 1),
                "ratio": round(rate / bare_rate, 3),
                "left_in_outbox": left,
                "with_signals_per_second": round(told, 1),
                "with_signals_ratio": round(told / bare_rate, 3),
                **_milliseconds(before, between, stored, ("api", "postgres", "temporal")),
                **_milliseconds(between, after, theirs.results.count("stored"), ("bare",)),
                "ours_p50_ms": round(1000 * _percentile(ours.took, 50), 1),
                "ours_p99_ms": round(1000 * _percentile(ours.took, 99), 1),
                "bare_p50_ms": round(1000 * _percentile(theirs.took, 50), 1),
                "bare_p99_ms": round(1000 * _percentile(theirs.took, 99), 1),
                "not_stored": sum(one != "stored" for one in ours.results),
            }
            print(_told(figure), flush=True)
            yield figure
        self._rate, self._median = statistics.median(rates), statistics.median(medians)
        figure = {
            "figure": f"{self.name}, ours over bare",
            "median": round(statistics.median(ratios), 3),
            "least": round(min(ratios), 3),
            "most": round(max(ratios), 3),
            "with_signals": round(statistics.median(with_signals), 3),
        }
        print(_told(figure), flush=True)
        yield figure

    def burst(self) -> Figure:
        """Send four times as many as it takes, then a tenth of what it takes."""
        most, calm = _BURST_FACTOR * self._rate, self._rate / 10
        rates = [(_BURST_SECONDS, most), (_CALM_SECONDS, calm)]
        plan = self._plan(self._api, self._take(round(sum(a * b for a, b in rates))))
        answers = _send(Plan(**{**vars(plan), "rates": rates}))
        sent = [at for at, begun in enumerate(answers.begun) if begun < _BURST_SECONDS]
        results = Counter(answers.results[at] for at in sent)
        figure = {
            "figure": f"burst of {self.name}",
            "per_second": round(most),
            "sent": len(sent),
            **{f"{name}_%": round(100 * n / len(sent), 1) for name, n in results.items()},
            "with_retry_after": answers.has_retry_after,
            "latest_answer_s": round(max(answers.took), 2),
            "p50_ms": round(1000 * _percentile([answers.took[at] for at in sent], 50), 1),
            "recovered_s": self._recovered(answers),
        }
        print(_told(figure), flush=True)
        return figure

    def _recovered(self, answers: Answers) -> float | None:
        """After how many seconds the median of half a second is under twice the calm one."""
        for half in range(2 * _CALM_SECONDS):
            since = _BURST_SECONDS + half / 2
            took = [
                took
                for took, begun in zip(answers.took, answers.begun, strict=True)
                if since <= begun < since + 0.5
            ]
            if took and _percentile(took, 50) < _RECOVERED_FACTOR * self._median:
                return half / 2
        return None

    def _ours(self) -> Answers:
        calls = self._take(round(self._seconds * 2000))
        answers = _send(self._plan(self._api, calls))
        done = len(answers.results)
        self._calls = itertools.chain(calls[done:], self._calls)
        del self.sent[len(self.sent) - len(calls) + done :]
        return answers

    def _theirs(self, most_per_second: int) -> Answers:
        numbers = itertools.islice(self._bare_numbers, round(self._seconds * most_per_second))
        like = self.sent[0]
        calls = [
            Webhook(INBOUND, {**like.fields, "From": OUR_PHONE, "MessageSid": f"SM{number:032}"})
            for number in numbers
        ]
        return _send(self._plan(self._bare, calls))

    def _take(self, most: int) -> list[Webhook]:
        calls = list(itertools.islice(self._calls, most))
        self.sent += calls
        return calls

    def _plan(self, port: int, calls: Sequence[Webhook]) -> Plan:
        return Plan(
            port, _BASE_URL, stack.AUTH_TOKEN, calls, at_once=AT_ONCE, seconds=self._seconds
        )


class _List:
    """The provider's list of inbound texts, with all that were sent to us."""

    def __init__(self, calls: Sequence[Webhook]) -> None:
        self._texts = [_listed(call.fields) for call in calls]

    async def list_inbound(
        self, _since: datetime, _until: datetime, page: str | None, *, to: str | None
    ) -> ListPage[ListedText]:
        assert to == OUR_PHONE, to  # noqa: S101 - the only sender
        start = int(page or 0)
        more = str(start + _PAGE) if start + _PAGE < len(self._texts) else None
        return ListPage(self._texts[start : start + _PAGE], more)


def _listed(fields: Mapping[str, str]) -> ListedText:
    return ListedText(
        sid=fields["MessageSid"],
        phone=fields["From"],
        to=fields["To"],
        messaging_service_sid=None,
        body=fields["Body"],
        pictures=0,
        sent_at=datetime.now(UTC).replace(microsecond=0),
    )


async def _missing(
    servers: stack.Servers, client: Client, connection: psycopg.Connection, side: _Side
) -> Figure:
    """Run the backfill that a refused text asked for, and count what is missing then."""
    database = Database(servers.database_url)
    services = Services(
        database,
        EnrollmentClient(client, page_base_url=_BASE_URL),
        cast("Gateway", _List(side.sent)),
        ServiceConfig(SendingRules(webhooks_first=timedelta(0))),
    )
    sids = [call.fields["MessageSid"] for call in side.sent]
    before = _not_applied(connection, sids)
    begun = time.perf_counter()
    fetched = await services.backfill.fetch_texts()
    seconds = time.perf_counter() - begun
    await database.close()
    figure = {
        "figure": "after the backfill",
        "texts": len(sids),
        "missing_before": before,
        "fetched": fetched,
        "seconds": round(seconds, 1),
        "missing": _not_applied(connection, sids),
    }
    print(_told(figure), flush=True)
    return figure


def _not_applied(connection: psycopg.Connection, sids: Sequence[str]) -> int:
    row = connection.execute(
        "SELECT count(*) FROM unnest(%s::text[]) AS sent(sid) WHERE NOT EXISTS ("
        " SELECT FROM inbound_events WHERE provider_sid = sid AND applied_at IS NOT NULL)",
        [list(sids)],
    ).fetchone()
    assert row is not None  # noqa: S101 - it counts
    return int(row[0])


def _outbox_entries(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM outbox WHERE parked_at IS NULL").fetchone()
    assert row is not None  # noqa: S101 - it counts
    return int(row[0])


def _processor_seconds() -> dict[str, float]:
    """Sum up the processor time of the parts so far."""
    seconds = dict.fromkeys(_PARTS, 0.0)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            line, times = " ".join(process.cmdline()), process.cpu_times()
            for part, mark in _PARTS.items():
                if mark in line:
                    seconds[part] += times.user + times.system
    return seconds


def _milliseconds(
    before: Mapping[str, float], after: Mapping[str, float], calls: int, parts: Sequence[str]
) -> dict[str, float]:
    """Return the processor time that a call took in each of these parts."""
    return {
        f"{part}_cpu_ms": round(1000 * (after[part] - before[part]) / calls, 2) for part in parts
    }


def _per_second(answers: Answers) -> float:
    stored = [
        begun + took
        for result, begun, took in zip(answers.results, answers.begun, answers.took, strict=True)
        if result == "stored"
    ]
    return len(stored) / max(stored) if stored else 0.0


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else values[0]


def _told(figure: Mapping[str, Any]) -> str:
    name, *rest = figure.items()
    return f"{name[1]}: " + ", ".join(f"{key} {value}" for key, value in rest)


def rows(figures: Sequence[Figure]) -> list[Row]:
    """Write the table's rows; of pairs, the one with the median ratio."""
    found: list[Row] = []
    for name in ("inbound texts", "status callbacks"):
        pair = median_pair(figures_of(figures, name))
        ours, bare = pair["ours_per_second"], pair["bare_per_second"]
        told, at_least = pair["with_signals_per_second"], Aim(0.35, "ratio", "least")
        found.append(Row(f"{name} taken", ours, "/s", bare, at_least))
        found.append(Row(f"{name} taken, and Temporal told", told, "/s", bare, at_least))
        for burst in figures_of(figures, f"burst of {name}"):
            latest, reset = burst["latest_answer_s"], burst.get("reset_%", 0.0)
            recovered = burst["recovered_s"]
            found += [
                Row(f"latest answer in a burst of {name}", latest, "s", aim=Aim(5)),
                Row(f"connections reset in a burst of {name}", reset, "%", aim=Aim(0)),
                Row(
                    f"recovered after a burst of {name}",
                    math.inf if recovered is None else recovered,
                    "s",
                    aim=Aim(5),
                ),
            ]
    left = figures_of(figures, "after the backfill")
    return [
        *found,
        *(Row("texts of the burst lost", one["missing"], "", aim=Aim(0)) for one in left),
    ]


if __name__ == "__main__":
    command.run(
        "bench.webhooks",
        __doc__,
        measure,
        rows,
        {
            "seconds": (5.0, "of each run"),
            "pairs": (3, "of runs that are counted"),
            "people": (100_000, "who were texted"),
            "no_burst": (False, "leave the bursts out"),
        },
    )
