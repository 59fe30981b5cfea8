"""Settings > Saved replies: texts to insert into replies, the workspace's and one's own."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.composing import merge_fields, merge_labels
from api.pages.forms import FormFields
from api.pages.page import InForm, Page, PageDep, PageEvent
from domain.sequences.texts import pieces
from services.messaging.saved_replies import SavedReply

router = APIRouter()


class SavedReplyForm(FormFields):
    """A saved reply as typed; ``whose`` is ``own`` or everybody's."""

    name: str = ""
    body: str = ""
    whose: str = "workspace"


@router.get("/settings/saved-replies")
async def show_saved_replies(page: PageDep) -> Response:
    """Show the workspace's saved replies and the user's own."""
    fields = await page.services.pickers.contact_fields()
    return page.render(
        "settings/saved_replies.html",
        part="settings/_saved_replies.html",
        replies=(await page.services.saved_replies.find(page.user.id)).items,
        pieces=pieces,
        merge_labels=merge_labels(fields),
    )


@router.get("/settings/saved-replies/new")
async def new_saved_reply(page: PageDep) -> Response:
    """Show the dialog of a new saved reply."""
    return await _ask(page, SavedReplyForm())


@router.post("/settings/saved-replies")
async def create_saved_reply(page: PageDep, form: InForm[SavedReplyForm]) -> Response:
    """Save a reply."""
    with page.refusing():
        made = await page.services.saved_replies.create(
            form.name, form.body, page.user.id, own=form.whose == "own"
        )
        return page.done(f"{made.name} created.", event=PageEvent.REPLIES_CHANGED)
    return await _ask(page, form)


@router.get("/settings/saved-replies/{saved_reply_id}/edit")
async def edit_saved_reply(page: PageDep, saved_reply_id: UUID) -> Response:
    """Show the dialog of a saved reply."""
    reply = await page.services.saved_replies.get(saved_reply_id, page.user.id)
    return await _ask(page, SavedReplyForm.model_validate(reply), reply)


@router.post("/settings/saved-replies/{saved_reply_id}")
async def change_saved_reply(
    page: PageDep, saved_reply_id: UUID, form: InForm[SavedReplyForm]
) -> Response:
    """Change the name or the text of a saved reply."""
    with page.refusing():
        changed = await page.services.saved_replies.change(
            saved_reply_id, {"name": form.name, "body": form.body}, page.user.id
        )
        return page.done(f"{changed.name} saved.", event=PageEvent.REPLIES_CHANGED)
    reply = await page.services.saved_replies.get(saved_reply_id, page.user.id)
    return await _ask(page, form, reply)


@router.get("/settings/saved-replies/{saved_reply_id}/delete")
async def confirm_saved_reply_deletion(page: PageDep, saved_reply_id: UUID) -> Response:
    """Ask before a saved reply is deleted."""
    reply = await page.services.saved_replies.get(saved_reply_id, page.user.id)
    return page.part("settings/_saved_reply_delete.html", reply=reply)


@router.post("/settings/saved-replies/{saved_reply_id}/delete")
async def delete_saved_reply(page: PageDep, saved_reply_id: UUID) -> Response:
    """Delete a saved reply."""
    gone = await page.services.saved_replies.remove(saved_reply_id, page.user.id)
    return page.done(f"{gone.name} deleted.", event=PageEvent.REPLIES_CHANGED)


async def _ask(page: Page, form: SavedReplyForm, reply: SavedReply | None = None) -> Response:
    merge = merge_fields(await page.services.fields.all())
    return page.part("settings/_saved_reply_form.html", form=form, reply=reply, merge_fields=merge)
