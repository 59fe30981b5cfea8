"""The table that measurements end with; nothing is measured here."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as every
from bench import command
from bench.table import Aim, Figure, Row, median_pair, table

_CPU = {"worker": 90.0, "bare": 0.0, "postgres": 15.0, "temporal": 70.0, "simulator": 5.0}
_PHASE = {"count": 900, "seconds": 30.0, "per_second": 30.0, "each": _CPU, "answered_ms": 50}
_AT_REST = {
    "figure": "at rest",
    "worker_resident_mb": 190.0,
    "api_resident_mb": 170.0,
}

FIGURES: Mapping[str, Sequence[Figure]] = {
    "lifecycles": [
        {"figure": "cost", "events": 42, "actions": 12, "bytes": 6000},
        {
            "figure": "throughput",
            "pair": 1,
            "ours_per_second": 8.0,
            "bare_per_second": 13.0,
            "ratio": 0.615,
            "ours_cpu_ms": _CPU,
            "bare_cpu_ms": _CPU,
        },
    ],
    "webhooks": [
        *(
            {
                "figure": name,
                "ours_per_second": 200.0,
                "with_signals_per_second": 150.0,
                "bare_per_second": 1000.0,
                "ratio": 0.2,
            }
            for name in ("inbound texts", "status callbacks")
        ),
        {
            "figure": "burst of inbound texts",
            "latest_answer_s": 8.5,
            "reset_%": 1.2,
            "recovered_s": None,
        },
        {"figure": "burst of status callbacks", "latest_answer_s": 3.8, "recovered_s": 0.5},
        {"figure": "after the backfill", "missing": 0},
    ],
    "lists": [
        {
            "figure": "contacts tab",
            "enrollments": 100_000,
            "view": view,
            "part_p95_ms": 31.0,
            "bare_ms": bare,
        }
        for view, bare in (("step", 20.0), ("group", 0.0))
    ],
    "enrolling": [
        {
            "figure": "enrolling",
            "contacts": 10_000,
            "seconds": 1.4,
            "bare_seconds": 0.9,
            "ratio": 1.5,
            "longest_block_ms": 80.0,
            "starts_per_second": 57.0,
            "bare_starts_per_second": 60.0,
            "starts_ratio": 0.95,
        }
    ],
    "at_rest": [{**_AT_REST, "waiting": 1000}, {**_AT_REST, "waiting": 10_000}],
    "pacing": [
        {"figure": "alone", "texts": 20, "seconds": 19.0},
        {"figure": "behind 40 people of a paused sequence", "texts": 20, "seconds": 20.1},
    ],
    "release": [
        {
            "figure": "release",
            "held": 100_000,
            "answered_ms": 50.0,
            "seconds": 21.0,
            "stop_alone_longest_ms": 59.0,
            "stop_beside_longest_ms": 168.0,
            "text_alone_longest_ms": 23.0,
            "text_beside_longest_ms": 77.0,
        }
    ],
    "scale": [
        *(
            {"figure": name, **_PHASE, "pages_ms": [40.0, 50.0]}
            for name in ("started", "resumed", "held", "texted")
        ),
        {"figure": "caught up", **_PHASE, "away_s": 60},
        {"figure": "replied", **_PHASE, "answered_s": 9.0},
        {
            "figure": "compared",
            "not_texted": 0,
            "replies_lost": 0,
            "active": 800,
            "open_workflows": 800,
            "sent_twice": 0,
            "pages_failed": 0,
            "sent_after_stop": 0,
            "worker_mb": 190,
            "api_mb": 170,
        },
    ],
}
"""The least that each measurement keeps for its rows."""


def _rows(name: str) -> list[Row]:
    rows: list[Row] = importlib.import_module(f"bench.{name}").rows(FIGURES[name])
    return rows


def test_every_measurement_is_run_by_one_command() -> None:
    run = {name for name, *_ in (*every.BENCHES, *every.LARGE)}

    assert run == set(FIGURES)
    assert {name for name, *_ in every.QUICK} == {name for name, *_ in every.BENCHES}


@pytest.mark.parametrize("name", FIGURES)
def test_rows_say_what_was_measured_in_which_unit(name: str) -> None:
    rows = _rows(name)

    assert rows
    assert len({row.what for row in rows}) == len(rows)
    assert {row.unit for row in rows} <= {"/s", "ms", "s", "MB", "%", ""}
    assert [row for row in rows if row.aim and row.is_met is None] == []


def test_table_has_a_line_for_every_row_and_a_cell_for_every_column() -> None:
    rows = [row for name in FIGURES for row in _rows(name)]
    head, rule, *lines = table(rows).splitlines()

    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        *("what", "ours", "limit", "ratio", "aim", "met")
    ]
    assert set(rule) == set("|-: ")
    assert len(lines) == len(rows)
    assert {len(line) for line in lines} == {len(head)} == {len(rule)}
    assert {line.count("|") for line in lines} == {7}


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (
            Row("starts", 57.04, "/s", 60, Aim(0.9, "ratio", "least")),
            "57.0/s|60/s|0.95|ratio ≥ 0.9|yes",
        ),
        (Row("starts", 40, "/s", 60, Aim(0.9, "ratio", "least")), "40/s|60/s|0.67|ratio ≥ 0.9|no"),
        (Row("answered", 1.5, "s", 0.75, Aim(1.5)), "1.50 s|0.75 s|2.00|≤ 1.50 s|yes"),
        (Row("memory", 1234.5, "MB", aim=Aim(400)), "1,234 MB|||≤ 400 MB|no"),
        (Row("lost", 0, "", aim=Aim(0)), "0|||≤ 0|yes"),
        (Row("events", 42, ""), "42||||"),
        (Row("never", float("inf"), "s", aim=Aim(5)), "never|||≤ 5 s|no"),
    ],
)
def test_row_tells_whether_its_aim_is_met(row: Row, cells: str) -> None:
    assert "|".join(row.cells()[1:]) == cells


def test_median_pair_keeps_ours_and_bare_of_one_moment() -> None:
    pairs: list[dict[str, Any]] = [{"ratio": ratio} for ratio in (0.7, 0.5, 0.6, 0.9)]

    assert median_pair(pairs) == {"ratio": 0.6}


def test_figures_are_kept_as_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "figures.jsonl"
    command.write(file, FIGURES["lifecycles"])

    assert command.read(file) == FIGURES["lifecycles"]
    assert len(file.read_text().splitlines()) == len(FIGURES["lifecycles"])
