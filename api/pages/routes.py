"""All pages of the application."""

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from starlette.responses import Response

from api.by_path import ByPath
from api.dependencies import authorize
from api.pages import (
    composing,
    consents,
    contact_acts,
    contacts,
    enrollments,
    finding,
    groups,
    imports,
    jobs,
    joining,
    onboarding,
    proofs,
    reports,
    reviews,
    set_up,
    sign_in,
    views,
)
from api.pages.assets import BUILT, PREFIX, Assets, BuiltFiles
from api.pages.conversations import handling, putting_away, replying, texts, threads, unknown
from api.pages.conversations import index as inbox
from api.pages.menu import SIDEBAR
from api.pages.page import PageDep, Pages
from api.pages.rendering import PageRoutes, build_environment
from api.pages.sequences import (
    activating,
    acts,
    enroll,
    index,
    new,
    overview,
    pace,
    steps,
    trial_texts,
)
from api.pages.sequences import contacts as enrolled
from api.pages.sequences import settings as sequence_settings
from api.pages.settings import (
    account,
    activity,
    audit,
    fields,
    opt_outs,
    saved_replies,
    senders,
    users,
    webhooks,
    workspace,
)

home = APIRouter()

PRIVATE = (
    home,
    finding.router,
    onboarding.router,
    composing.router,
    jobs.router,
    new.router,  # before what has an id in the same place
    views.router,
    index.router,
    overview.router,
    pace.router,
    sequence_settings.router,
    activating.router,
    acts.router,
    enrolled.router,
    steps.router,
    trial_texts.router,
    enroll.router,
    enrollments.router,
    inbox.router,
    texts.router,
    unknown.router,
    handling.router,
    putting_away.router,
    replying.router,
    threads.router,
    proofs.router,
    imports.router,  # before those with an id in the same place
    contact_acts.router,
    consents.router,
    contacts.router,
    groups.router,
    joining.router,
    reports.router,
    reviews.router,
    opt_outs.router,
    workspace.router,
    account.router,
    senders.router,
    fields.router,
    saved_replies.router,
    users.router,
    webhooks.router,
    activity.router,
    audit.router,
)
"""Pages for signed-in users; roles are marked on the routes, as in the API."""

PUBLIC = (sign_in.router, set_up.router, joining.public)


@home.get("/")
async def show_home(page: PageDep) -> Response:
    """Redirect to the first page of the sidebar."""
    return page.redirect(SIDEBAR[0].path)


def install(app: FastAPI) -> None:
    """Add the pages and their assets to the application."""
    assets = Assets.load()
    routes = PageRoutes((*PRIVATE, *PUBLIC))
    app.state.pages = Pages(assets, routes, build_environment(assets, routes, app.state.settings))
    public = [Depends(_require_built)]
    private = [*public, Depends(authorize)]
    for router in PRIVATE:
        app.include_router(ByPath(router), dependencies=private, include_in_schema=False)
    for router in PUBLIC:
        app.include_router(ByPath(router), dependencies=public, include_in_schema=False)
    app.mount(PREFIX, BuiltFiles(directory=BUILT, check_dir=False), name="built")


async def _require_built(request: Request) -> None:
    pages: Pages = request.app.state.pages
    if not pages.assets.are_built:
        raise HTTPException(503)
