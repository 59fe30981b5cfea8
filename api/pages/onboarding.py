"""The checklist of a new workspace, which the first page shows."""

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import OwnAccount
from api.pages.page import PageDep

router = APIRouter()


@router.post("/first-steps/dismiss", dependencies=[OwnAccount])
async def dismiss_first_steps(page: PageDep) -> Response:
    """Show the checklist no more to this user."""
    await page.services.onboarding.dismiss(page.user.id)
    return page.redirect_to("show_sequences")
