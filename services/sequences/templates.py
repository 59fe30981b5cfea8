"""Templates: what new sequences can begin with, those that ship and those that users save."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID, uuid4

from domain.platform.errors import ConflictError, NotFoundError, Problems, required
from domain.platform.filling import filled
from domain.platform.names import clean
from domain.platform.paging import Page, Position, cut
from domain.sequences.steps import StepDraft
from domain.sequences.templates import SHIPPED, ShippedTemplate, TemplateContent
from services.platform import audit
from services.sequences.sequences import MAX_NAME, SequenceDraft, find
from storage.platform.database import Database, Transaction
from storage.sequences import media
from storage.sequences import templates as rows
from storage.sequences.sequences import SequenceRecord, StepRecord
from storage.sequences.templates import TemplateRecord

MAX_TEMPLATES = 100
MAX_DESCRIPTION = 300


@dataclass(frozen=True, kw_only=True)
class TemplateDetails(TemplateContent):
    """A template.

    Attributes:
        is_shipped: Whether every workspace has it; such a one cannot be deleted.
        created_at: UTC; None of one that ships, as is who saved it.
    """

    id: UUID
    name: str
    description: str
    is_shipped: bool
    created_at: datetime | None = None
    created_by_name: str | None = None

    @classmethod
    def of(cls, row: TemplateRecord) -> "TemplateDetails":
        """Read a stored template."""
        return cls(
            **vars(TemplateContent.read(row.kind, row.content)),
            id=row.id,
            name=row.name,
            description=row.description,
            is_shipped=False,
            created_at=row.created_at,
            created_by_name=row.created_by_name,
        )

    @classmethod
    def shipped(cls, one: ShippedTemplate) -> "TemplateDetails":
        """Show a template that ships."""
        return cls(
            **vars(one.content),
            id=one.id,
            name=one.name,
            description=one.description,
            is_shipped=True,
        )

    def draft(self, name: str, sender_id: UUID, *, first_day: date) -> SequenceDraft:
        """Begin a sequence with it; the first of fixed dates moves to ``first_day``."""
        content = self.beginning(first_day)
        return filled(SequenceDraft, content, name=name, sender_id=sender_id)


class Templates:
    """Manages templates; a sequence that began with one is not changed with it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Many[TemplateDetails]:
        """List all templates: those of users by name, then those that ship."""
        async with self._database.transaction() as tx:
            own = await rows.find(tx, limit=MAX_TEMPLATES)
        return [
            *(TemplateDetails.of(one) for one in own),
            *(TemplateDetails.shipped(one) for one in SHIPPED),
        ]

    async def find(
        self, *, after: Position | None = None, limit: int = MAX_TEMPLATES
    ) -> Page[TemplateDetails]:
        """List templates by name."""

        def place(one: TemplateDetails) -> tuple[str, str]:
            return one.name, str(one.id)

        found = sorted(await self.all(), key=place)
        if after is not None:
            found = [one for one in found if place(one) > (str(after.value), str(after.id))]
        return cut(found[: limit + 1], limit, lambda one: Position(one.name, one.id))

    async def get(self, template_id: UUID) -> TemplateDetails:
        """Read a template.

        Raises:
            NotFoundError: There is no such template.
        """
        for one in SHIPPED:
            if one.id == template_id:
                return TemplateDetails.shipped(one)
        async with self._database.transaction() as tx:
            return await _details(tx, template_id)

    async def create(
        self, sequence_id: UUID, name: str, description: str, user_id: UUID
    ) -> TemplateDetails:
        """Save a sequence's settings and present steps as a template.

        Raises:
            NotFoundError: There is no such sequence.
            InvalidRequestError: The name or the description is invalid.
            ConflictError: ``template_taken``, naming the template, or ``too_many_templates``.
        """
        problems = Problems()
        called = problems.of(lambda: clean(name, field="name", most=MAX_NAME))
        described = problems.of(
            lambda: clean(description, field="description", most=MAX_DESCRIPTION, blank=True)
        )
        problems.raise_any()
        template_id = uuid4()
        async with self._database.transaction() as tx:
            sequence = await find(tx, sequence_id, counted=False)
            await media.keep(tx, {url for step in sequence.steps for url in step.media_urls})
            if len(await rows.find(tx, limit=MAX_TEMPLATES)) >= MAX_TEMPLATES:
                raise ConflictError(
                    "too_many_templates",
                    f"there are {MAX_TEMPLATES} templates already; delete one that is not used",
                )
            taken = next((one.id for one in SHIPPED if one.name.lower() == called.lower()), None)
            values = {
                "id": template_id,
                "name": called,
                "description": described,
                "kind": sequence.kind,
                "content": _content(sequence).dump(),
                "created_by": user_id,
            }
            if taken is not None or not await rows.insert_template(tx, values):
                taken = taken or await rows.id_of_name(tx, called)
                raise ConflictError(
                    "template_taken",
                    "there is a template with this name; choose another name",
                    template_id=str(taken),
                )
            await audit.record(
                tx, "template.create", "sequence_template", [template_id], user_id=user_id
            )
            return await _details(tx, template_id)

    async def remove(self, template_id: UUID) -> None:
        """Delete a template that a user saved; sequences that began with it stay.

        Raises:
            NotFoundError: There is no such template.
            ConflictError: ``template_shipped``.
        """
        if any(one.id == template_id for one in SHIPPED):
            raise ConflictError(
                "template_shipped", "the template ships with Segue; only your own can be deleted"
            )
        async with self._database.transaction() as tx:
            if not await rows.remove(tx, template_id):
                raise NotFoundError("template", template_id)
            await audit.record(tx, "template.delete", "sequence_template", [template_id])


def _content(sequence: SequenceRecord) -> TemplateContent:
    return TemplateContent(
        sequence.kind,
        tuple(_step(one) for one in sequence.steps),
        sequence.send_window,
        sequence.on_reply,
        sequence.counts_as_reply,
        sequence.purpose,
        sequence.reply_window_seconds,
    )


def _step(step: StepRecord) -> StepDraft:
    return StepDraft(
        step.body,
        tuple(step.media_urls),
        step.delay_seconds,
        f"{step.at_time:%H:%M}" if step.at_time else None,
        step.send_at.isoformat() if step.send_at else None,
        step.anchor_key,
        step.anchor_offset_seconds,
        step.late,
        step.late_hours,
    )


async def _details(tx: Transaction, template_id: UUID) -> TemplateDetails:
    return TemplateDetails.of(required(await rows.get(tx, template_id), "template", template_id))
