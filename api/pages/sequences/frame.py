"""The frame around the tabs of one sequence."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.responses import Response

from api.pages.page import Page
from domain.statuses.contacts import ConsentNeeded
from domain.statuses.sequences import Purpose, SequenceState
from storage.sequences.sequences import SequenceRecord

TABS = (
    ("Overview", "show_overview"),
    ("Steps", "show_steps"),
    ("Contacts", "show_sequence_contacts"),
    ("Settings", "show_sequence_settings"),
)
"""The tabs in order: label and name of the page function."""

OPEN_STATES = frozenset({SequenceState.ACTIVE, SequenceState.PAUSED})
"""States in which contacts can be enrolled."""

STATE_TONES = {
    SequenceState.DRAFT: "grey",
    SequenceState.ACTIVE: "green",
    SequenceState.PAUSED: "orange",
    SequenceState.ARCHIVED: "grey",
}
"""Badge tones by state."""


async def consents_taken(page: Page) -> Mapping[Purpose, ConsentNeeded]:
    """Read which consent texts take here, by the purpose of their sequence."""
    return (await page.services.workspace.get()).require_consent


async def render_tab(
    page: Page,
    sequence: SequenceRecord | UUID,
    template: str,
    **context: Any,  # noqa: ANN401 - as Page.render takes it
) -> Response:
    """Answer with a tab as ``Page.render``; its template extends ``sequences/_layout.html``."""
    if isinstance(sequence, UUID):
        sequence = await page.services.sequences.get(sequence)
    return page.render(
        template,
        sequence=sequence,
        sequence_tabs=[
            (words, page.path_to(name, sequence_id=sequence.id)) for words, name in TABS
        ],
        state_tones=STATE_TONES,
        **context,
    )
