"""A sequence > Settings: everything but its steps; changes take effect at once."""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import blake2b
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.pages.forms import FormFields, chosen, chosen_id
from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep
from api.pages.sequences.frame import consents_taken, render_tab
from domain.platform.durations import UNITS, whole
from domain.platform.errors import ConflictError, InvalidFieldError
from domain.sequences.timing import DAYS, DEFAULT_WINDOW
from domain.statuses.sequences import CountsAsReply, Purpose, ReplyPolicy
from services.sequences.sequences import SequenceChange
from storage.sequences.sequences import SequenceRecord

router = APIRouter()

_LONGEST = 1_000_000_000


class SettingsFields(FormFields):
    """The tab's form.

    Attributes:
        any_time: Whether there is no send window.
        open: The days it opens on.
        opens: ``HH:MM`` by day in the week's order; ``closes`` likewise.
        edition: Tells the settings that the form was filled from; empty for any.
    """

    name: str = ""
    sender_id: str = ""
    on_reply: str = ReplyPolicy.FINISH
    counts_as_reply: str = CountsAsReply.HUMAN
    purpose: str = Purpose.INFORMATIONAL
    reply_number: str = ""
    reply_unit: str = "days"
    any_time: bool = False
    open: list[str] = Field(default_factory=list)
    opens: list[str] = Field(default_factory=list)
    closes: list[str] = Field(default_factory=list)
    edition: str = ""

    @classmethod
    def of(cls, sequence: SequenceRecord) -> "SettingsFields":
        """Fill the form from a sequence."""
        number, unit = whole(timedelta(seconds=sequence.reply_window_seconds))
        shown = sequence.send_window or DEFAULT_WINDOW.dump()
        fallback = next(iter(shown.values()))
        return cls(
            name=sequence.name,
            sender_id=str(sequence.sender_id),
            on_reply=sequence.on_reply,
            counts_as_reply=sequence.counts_as_reply,
            purpose=sequence.purpose,
            reply_number=str(number),
            reply_unit=unit,
            any_time=sequence.send_window is None,
            open=list(shown),
            opens=[shown.get(day, fallback)[0] for day in DAYS],
            closes=[shown.get(day, fallback)[1] for day in DAYS],
        )

    def require_edition(self, sequence: SequenceRecord) -> None:
        """Refuse to overwrite settings that somebody else saved since the form was shown.

        Raises:
            ConflictError: ``settings_outdated``.
        """
        if self.edition not in {"", edition_of(sequence)}:
            raise ConflictError(
                "settings_outdated",
                "someone else changed these settings. Look at their changes, or save again to"
                " overwrite them",
            )

    def window(self) -> Mapping[str, list[str]] | None:
        """Return the window as services read it; None for any time.

        Raises:
            InvalidFieldError: It opens on an unknown day.
        """
        if self.any_time:
            return None
        if not set(self.open) <= set(DAYS):
            raise InvalidFieldError(
                "send_window", f"opens on a day that is none of {', '.join(DAYS)}"
            )
        hours = dict(zip(DAYS, zip(self.opens, self.closes, strict=False), strict=False))
        # A field for a time of day cannot say 24:00; midnight at the end of a day is 00:00 there.
        return {
            day: [opens, "24:00" if closes == "00:00" else closes]
            for day, (opens, closes) in hours.items()
            if day in self.open
        }

    def reply_window_seconds(self) -> int:
        """Return the reply window.

        Raises:
            InvalidFieldError: It is no number, or its unit is unknown.
        """
        if self.reply_unit not in UNITS:
            raise InvalidFieldError("reply_unit", f"must be one of {', '.join(UNITS)}")
        number = self.reply_number.strip()
        if not (number.isascii() and number.isdecimal()) or int(number) > _LONGEST:
            raise InvalidFieldError("reply_number", "must be a whole number, such as 7")
        return int(number) * UNITS[self.reply_unit]


def edition_of(sequence: SequenceRecord) -> str:
    """Name an edition of a sequence's settings."""
    return blake2b(
        SettingsFields.of(sequence).model_dump_json().encode(), digest_size=8
    ).hexdigest()


@router.get("/sequences/{sequence_id}/settings")
async def show_sequence_settings(page: PageDep, sequence_id: UUID) -> Response:
    """Show a sequence's settings."""
    sequence = await page.services.sequences.get(sequence_id)
    return await _render(page, sequence, SettingsFields.of(sequence))


@router.post("/sequences/{sequence_id}/settings")
async def change_sequence_settings(
    page: PageDep, sequence_id: UUID, form: InForm[SettingsFields]
) -> Response:
    """Change a sequence's settings, for all its enrollments at once."""
    with page.refusing(reply_window_seconds="reply_number"):
        change = SequenceChange(
            name=form.name,
            sender_id=chosen_id(form.sender_id, field="sender_id"),
            on_reply=chosen(ReplyPolicy, form.on_reply, field="on_reply"),
            counts_as_reply=chosen(CountsAsReply, form.counts_as_reply, field="counts_as_reply"),
            purpose=chosen(Purpose, form.purpose, field="purpose"),
            reply_window_seconds=form.reply_window_seconds(),
            send_window=form.window(),
        )
        await page.services.sequences.change(
            sequence_id, change, page.user.id, only_if=form.require_edition
        )
        words = "Settings saved. They apply from now on."
        if waiting := await page.services.enrollment_list.awaiting_consent(sequence_id):
            who = "1 person now waits" if waiting == 1 else f"{waiting:,} people now wait"
            words = f"{words} {who} for consent."
        return page.redirect_to("show_sequence_settings", words, sequence_id=sequence_id)
    return await _render(page, await page.services.sequences.get(sequence_id), form)


async def _render(page: Page, sequence: SequenceRecord, form: SettingsFields) -> Response:
    return await render_tab(
        page,
        sequence,
        "sequences/settings.html",
        form=form,
        edition=edition_of(sequence),
        consents=await consents_taken(page),
        days=[(day, LABELS.days[day], *_times(form, number)) for number, day in enumerate(DAYS)],
        units=[
            (unit, unit.capitalize())
            for unit in UNITS
            if unit != "seconds" or form.reply_unit == unit
        ],
        sender_options=await page.sender_options(),
    )


def _times(form: SettingsFields, number: int) -> tuple[str, str]:
    opens = form.opens[number] if number < len(form.opens) else ""
    closes = form.closes[number] if number < len(form.closes) else ""
    return opens, "00:00" if closes == "24:00" else closes
