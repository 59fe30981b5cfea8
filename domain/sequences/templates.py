"""What new sequences can begin with: texts and their times, without name and sender."""

import tomllib
from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid5

from domain.sequences.steps import StepDraft
from domain.sequences.timing import DEFAULT_WINDOW
from domain.statuses.sequences import CountsAsReply, Purpose, ReplyPolicy, SequenceKind

DEFAULT_REPLY_WINDOW_SECONDS = 604_800

_NAMESPACE = UUID("6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c7e00")
_ONE_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class TemplateContent:
    """Settings and steps.

    Attributes:
        send_window: As ``SendWindow.dump`` writes it; None for any time.
    """

    kind: SequenceKind
    steps: tuple[StepDraft, ...]
    send_window: Mapping[str, Many[str]] | None
    on_reply: ReplyPolicy = ReplyPolicy.FINISH
    counts_as_reply: CountsAsReply = CountsAsReply.HUMAN
    purpose: Purpose = Purpose.INFORMATIONAL
    reply_window_seconds: int = DEFAULT_REPLY_WINDOW_SECONDS

    @classmethod
    def read(cls, kind: SequenceKind, stored: Mapping[str, Any]) -> Self:
        """Read what ``dump`` wrote."""
        return cls(
            kind=kind,
            steps=tuple(
                StepDraft(**{**one, "media_urls": tuple(one.get("media_urls", ()))})
                for one in stored["steps"]
            ),
            send_window=stored["send_window"],
            on_reply=ReplyPolicy(stored["on_reply"]),
            counts_as_reply=CountsAsReply(stored["counts_as_reply"]),
            purpose=Purpose(stored.get("purpose", Purpose.INFORMATIONAL)),
            reply_window_seconds=stored["reply_window_seconds"],
        )

    def dump(self) -> dict[str, Any]:
        """Write everything but the kind as plain values."""
        return {
            "steps": [vars(one) | {"media_urls": list(one.media_urls)} for one in self.steps],
            "send_window": self.send_window,
            "on_reply": self.on_reply.value,
            "counts_as_reply": self.counts_as_reply.value,
            "purpose": self.purpose.value,
            "reply_window_seconds": self.reply_window_seconds,
        }

    def beginning(self, day: date) -> Self:
        """Move fixed dates by whole days, so that the first is on a day; delays stay."""
        dates = [datetime.fromisoformat(one.send_at) for one in self.steps if one.send_at]
        if not dates:
            return self
        by = timedelta(days=(day - min(dates).date()).days)
        return replace(self, steps=tuple(_moved(one, by) for one in self.steps))


def _moved(step: StepDraft, by: timedelta) -> StepDraft:
    if step.send_at is None:
        return step
    return replace(step, send_at=(datetime.fromisoformat(step.send_at) + by).isoformat())


@dataclass(frozen=True)
class ShippedTemplate:
    """A template that every workspace has."""

    id: UUID
    name: str
    description: str
    content: TemplateContent


def _read(one: Mapping[str, Any]) -> ShippedTemplate:
    steps = tuple(
        StepDraft(
            step["body"],
            delay_seconds=step["delay_days"] * _ONE_DAY_SECONDS,
            at_time=step.get("at_time"),
        )
        for step in one["steps"]
    )
    content = TemplateContent(
        SequenceKind.ONGOING,
        steps,
        DEFAULT_WINDOW.dump(),
        on_reply=ReplyPolicy(one.get("on_reply", ReplyPolicy.FINISH)),
        purpose=Purpose(one.get("purpose", Purpose.INFORMATIONAL)),
    )
    return ShippedTemplate(uuid5(_NAMESPACE, one["key"]), one["name"], one["description"], content)


_FILE = Path(__file__).with_name("templates.toml").read_text(encoding="utf-8")

SHIPPED: Many[ShippedTemplate] = [_read(one) for one in tomllib.loads(_FILE)["templates"]]
"""The templates that ship, in the order of the gallery."""
