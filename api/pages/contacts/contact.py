"""One contact: name, groups, enrollments, and whether they may be texted and why."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.pages.choices import group_options
from api.pages.contacts.index import ContactForm, refuse, render_form
from api.pages.flash import Flash
from api.pages.page import InForm, PageDep
from domain.platform.errors import SegueError
from domain.platform.provider_errors import explain
from services.suppression.suppressions import may_lift

router = APIRouter()


@router.get("/contacts/{contact_id}")
async def show_contact(page: PageDep, contact_id: UUID) -> Response:
    """Show one contact."""
    services = page.services
    contact = await services.contacts.get(contact_id)
    groups = await services.groups.of_contact(contact_id)
    trail = await services.suppressions.of_contact(contact_id)
    joined = {str(group.id) for group in groups}
    return page.render(
        "contacts/contact.html",
        contact=contact,
        groups=groups,
        group_options=[one for one in await group_options(page) if one[0] not in joined],
        enrollments=await services.enrollment_list.of_contact(contact_id),
        trail=trail,
        liftable={one.id for one in trail if may_lift(one, page.user.role)},
        explain=explain,
    )


@router.get("/contacts/{contact_id}/edit")
async def edit_contact(page: PageDep, contact_id: UUID) -> Response:
    """Show the form of a contact."""
    contact = await page.services.contacts.get(contact_id)
    return render_form(page, ContactForm.model_validate(contact), contact)


@router.post("/contacts/{contact_id}/edit")
async def change_contact(page: PageDep, contact_id: UUID, form: InForm[ContactForm]) -> Response:
    """Change the fields of a contact that differ from before."""
    contact = await page.services.contacts.get(contact_id)
    before = ContactForm.model_validate(contact).fields()
    try:
        changes = {
            name: value for name, value in form.fields().items() if value != before.get(name)
        }
        changed = await page.services.contacts.update(contact_id, changes)  # type: ignore[arg-type]
    except SegueError as error:
        return refuse(page, form, error, contact)
    return page.redirect_to("show_contact", f"{changed.name} is saved.", contact_id=contact_id)


@router.post("/contacts/{contact_id}/erase", dependencies=[AdminOnly])
async def erase_contact(page: PageDep, contact_id: UUID) -> Response:
    """Erase a contact for good."""
    await page.services.erasure.erase(contact_id, page.user.id)
    return page.redirect_to("show_contacts", "The contact is erased.")


@router.post("/contacts/{contact_id}/groups")
async def add_to_group(page: PageDep, contact_id: UUID, group_id: InForm[str] = "") -> Response:
    """Add a contact to a group."""
    back = page.path_to("show_contact", contact_id=contact_id)
    try:
        chosen_group = UUID(group_id)
    except ValueError:
        return page.redirect(back, Flash("Choose a group first.", "warning"))
    await page.services.groups.add_members(chosen_group, [contact_id], page.user.id)
    return page.redirect(back)


@router.post("/contacts/{contact_id}/groups/{group_id}/leave")
async def leave_group(page: PageDep, contact_id: UUID, group_id: UUID) -> Response:
    """Remove a contact from a group."""
    await page.services.groups.remove_members(group_id, [contact_id])
    return page.redirect_to("show_contact", contact_id=contact_id)
