"""The templates that ship, and moving the dates of any."""

from datetime import date

from domain.sequences.placeholders import unwritten
from domain.sequences.segments import measure
from domain.sequences.steps import StepDraft
from domain.sequences.templates import SHIPPED, TemplateContent
from domain.sequences.texts import check_body, outline
from domain.statuses.sequences import SequenceKind


def test_shipped_templates_are_careful() -> None:
    assert [one.name for one in SHIPPED] == [
        "Candidate: first contact",
        "Interview reminder",
        "No-show",
        "Appointment",
        "Feedback",
        "Re-engagement",
    ]
    for template in SHIPPED:
        steps = template.content.steps
        assert "Reply STOP to opt out." in steps[0].body
        assert 2 <= len(steps) <= 3
        assert template.content.send_window is not None
        assert any(unwritten(step.body) for step in steps), "whose text it is must be written"
        for step in steps:
            check_body(step.body, field="body")
            size = measure(outline(step.body, {}))
            assert (size.encoding, size.count <= 2) == ("GSM-7", True)
            assert (step.delay_seconds or 0) % 86_400 == 0


def test_dates_move_together_so_that_the_first_is_on_the_day() -> None:
    steps = tuple(
        StepDraft("Hi", send_at=at) for at in ("2026-11-03T09:30:00", "2026-11-05T18:00:00")
    )
    content = TemplateContent(SequenceKind.SCHEDULED, steps, None)
    moved = content.beginning(date(2027, 1, 31))
    assert [one.send_at for one in moved.steps] == ["2027-01-31T09:30:00", "2027-02-02T18:00:00"]
    assert TemplateContent.read(SequenceKind.SCHEDULED, moved.dump()) == moved
