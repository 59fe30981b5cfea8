"""Format a chaos run as a table."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.points import MEANING, PAIRS, Act, Point
from tests.chaos.run import Outcome


def command(outcome: Outcome) -> str:
    """Return the command that repeats the run."""
    plan = outcome.plan
    short = " --short" if plan.short else ""
    return f"python -m tests.chaos --enrollments {plan.enrollments} --seed {plan.seed}{short}"


def table(outcome: Outcome) -> str:
    """Format the run in Markdown: what happened and what was found."""
    return "\n".join([*_head(outcome), *_points(outcome), *_rest(outcome), *_violations(outcome)])


def _head(outcome: Outcome) -> Iterator[str]:
    evidence = outcome.evidence
    yield f"`{command(outcome)}`, {outcome.seconds:.0f} s"
    yield ""
    yield (
        f"{len(evidence.enrollments)} enrollments, {len(evidence.attempts)} attempts,"
        f" {len(evidence.texts)} texts accepted by the provider,"
        f" {len(evidence.received)} texts from handsets"
    )
    yield ""


def _points(outcome: Outcome) -> Iterator[str]:
    yield f"| named point | | {' | '.join(Act)} |"
    yield f"|---|---|{'---|' * len(Act)}"
    for point in Point:
        counts = [str(outcome.struck[point, act]) if (point, act) in PAIRS else "" for act in Act]
        yield f"| `{point}` | {MEANING[point]} | {' | '.join(counts)} |"
    yield ""


def _rest(outcome: Outcome) -> Iterator[str]:
    yield "| what else happened | times |"
    yield "|---|---|"
    for what, count in sorted(outcome.tally.items()):
        yield f"| {what} | {count} |"
    yield ""
    yield "| status | enrollments |"
    yield "|---|---|"
    statuses = Counter(one.status for one in outcome.evidence.enrollments)
    for status, count in sorted(statuses.items()):
        yield f"| `{status}` | {count} |"
    yield ""


def _violations(outcome: Outcome) -> Iterator[str]:
    if not outcome.violations:
        yield "Violations: none"
        return
    counts = Counter(violation.rule for violation in outcome.violations)
    for rule, count in counts.most_common():
        yield f"VIOLATED {count} times: {rule}"
    for violation in outcome.violations[:40]:
        yield f"  {violation.rule}: {violation.about}"
