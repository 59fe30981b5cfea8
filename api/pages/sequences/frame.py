"""What the tabs of one sequence share: its head, and the tabs that there are."""

from uuid import UUID

from starlette.responses import Response

from api.pages.forms import NO_ERRORS, FormErrors
from api.pages.page import Page
from domain.statuses.sequences import SequenceState
from storage.sequences.sequences import SequenceRecord

TABS = (
    ("Overview", "show_overview"),
    ("Steps", "show_steps"),
    ("Contacts", "show_sequence_contacts"),
    ("Settings", "show_sequence_settings"),
)
"""The tabs in order: their words and the name of their page's function."""

STATE_TONES = {
    SequenceState.DRAFT: "grey",
    SequenceState.ACTIVE: "green",
    SequenceState.PAUSED: "orange",
    SequenceState.ARCHIVED: "grey",
}
"""How the badge of a sequence's state looks."""


async def render_tab(
    page: Page,
    sequence: SequenceRecord | UUID,
    template: str,
    *,
    part: str | None = None,
    errors: FormErrors = NO_ERRORS,
    **context: object,
) -> Response:
    """Answer with a tab; its template extends ``sequences/_layout.html``.

    Args:
        page: The request.
        sequence: The sequence, or its id.
        template: The tab's file.
        part: The file of the part of it that htmx gets instead.
        errors: What was wrong with a form.
        **context: What the template asks for besides.

    Raises:
        NotFoundError: There is no such sequence.
    """
    if isinstance(sequence, UUID):
        sequence = await page.services.sequences.get(sequence)
    return page.render(
        template,
        part=part,
        errors=errors,
        sequence=sequence,
        sequence_tabs=[
            (words, page.path_to(name, sequence_id=sequence.id)) for words, name in TABS
        ],
        state_tones=STATE_TONES,
        **context,
    )
