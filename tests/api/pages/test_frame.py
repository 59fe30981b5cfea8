"""The frame of the pages: access, headers, errors."""

import asyncio
import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response

from api.app import create_app
from api.dependencies import SESSION_COOKIE, AdminOnly
from api.pages.assets import BUILT, Assets
from api.pages.flash import Flash
from api.pages.page import PageDep, PageEvent, own_path
from api.pages.rendering import PageRoutes, build_environment
from api.pages.routes import PRIVATE, PUBLIC
from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.statuses.access import Role
from services.factory import Services
from tests.api.a_little_of_everything import PASSWORD
from tests.api.conftest import FakeTemporal, make_settings
from tests.api.pages.conftest import HTMX, ORIGIN, Browse

trying = APIRouter()
"""Routes with the behavior of pages, to test their answers."""


@trying.get("/try/broken")
async def show_broken(page: PageDep) -> Response:
    raise RuntimeError(f"secret of {page.user.email}")


@trying.get("/try/missing")
async def show_missing(page: PageDep) -> Response:
    raise NotFoundError("sequence", page.user.id)


@trying.post("/try/conflict")
async def press_conflict(page: PageDep) -> Response:
    raise ConflictError("not_now", f"it is paused by <{page.user.role}>; resume it first")


@trying.post("/try/field")
async def press_field(page: PageDep) -> Response:
    raise InvalidFieldError("name", f"is {page.user.role}")


@trying.post("/try/done", dependencies=[AdminOnly])
async def press_done(page: PageDep) -> Response:
    return page.done(Flash("It is <done>.", "info"), event=PageEvent.MEMBERS_CHANGED)


@pytest.fixture(scope="module")
def shared_app(shared_database: str) -> Iterator[FastAPI]:
    """Create an app with the routes above added."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.pages.routes.PRIVATE", (*PRIVATE, trying))
        yield create_app(make_settings(shared_database))


@pytest.fixture
async def anybody(browse: Browse) -> httpx.AsyncClient:
    return await browse(None)


class TestGettingIn:
    async def test_sign_in_redirects_there_and_back(
        self, anybody: httpx.AsyncClient, browse: Browse
    ) -> None:
        await browse(Role.MEMBER)
        asked = await anybody.get("/settings/account?tab=a&b=c")
        assert asked.status_code == 303
        to = asked.headers["location"]
        assert to == "/sign-in?next=%2Fsettings%2Faccount%3Ftab%3Da%26b%3Dc"

        form = {"email": "member@example.com", "password": PASSWORD, "next": "/settings/a?b=c"}
        answer = await anybody.post("/sign-in", data=form)

        assert answer.status_code == 303
        assert answer.headers["location"] == "/settings/a?b=c"
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"__Host-{SESSION_COOKIE}=")
        assert "HttpOnly" in cookie
        assert "Secure" in cookie
        assert "SameSite=lax" in cookie

    async def test_open_page_is_told_that_the_session_ended_and_stays(
        self, anybody: httpx.AsyncClient
    ) -> None:
        answer = await anybody.get("/", headers=HTMX)

        assert answer.status_code == 401
        assert answer.headers["hx-trigger"] == "session-ended"
        assert "hx-redirect" not in answer.headers

    async def test_signing_in_over_a_page_begins_a_session_and_leads_nowhere(
        self, anybody: httpx.AsyncClient, browse: Browse
    ) -> None:
        member = await browse(Role.MEMBER)
        form = {"email": "member@example.com", "password": PASSWORD}

        page = await member.get("/settings/account")
        refused = await anybody.post("/sign-in", data={**form, "password": "no"}, headers=HTMX)
        answer = await anybody.post("/sign-in", data=form, headers=HTMX)

        assert 'id="again-email" type="email" name="email" value="member@example.com"' in page.text
        assert refused.status_code == 401
        assert "<html" not in refused.text
        assert 'role="alert"' in refused.text
        assert 'value="member@example.com"' in refused.text
        assert (answer.status_code, answer.headers["hx-trigger"]) == (204, "signed-in")
        assert "hx-redirect" not in answer.headers
        assert (await anybody.get("/settings/account")).status_code == 200

    async def test_signed_in_user_is_not_asked_again(self, browse: Browse) -> None:
        answer = await (await browse()).get("/sign-in?next=/settings")

        assert answer.headers["location"] == "/settings"

    async def test_wrong_password_is_shown_on_the_page(self, anybody: httpx.AsyncClient) -> None:
        form = {"email": "<x>@example.com", "password": "no"}

        answer = await anybody.post("/sign-in", data={**form, "email": "a@example.com"})
        odd = await anybody.post("/sign-in", data=form)

        assert answer.status_code == 401
        assert "The email or password is incorrect." in answer.text
        assert 'value="a@example.com"' in answer.text
        assert odd.status_code == 422
        assert "&lt;x&gt;@example.com" in odd.text
        assert "<x>" not in odd.text

    async def test_too_many_sign_ins_are_shown_on_the_page(
        self, anybody: httpx.AsyncClient, services: Services
    ) -> None:
        form = {"email": "a@example.com", "password": "no"}
        for _ in range(services.config.access.sign_ins_per_email):
            await anybody.post("/sign-in", data=form)

        answer = await anybody.post("/sign-in", data=form)

        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert "try again in" in answer.text.lower()

    async def test_other_site_cannot_sign_in_or_out(
        self, anybody: httpx.AsyncClient, browse: Browse
    ) -> None:
        elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        member = await browse()

        signing_in = await anybody.post("/sign-in", data={"email": "a@b.co"}, headers=elsewhere)
        signing_out = await member.post("/sign-out", headers=elsewhere)

        assert signing_in.status_code == 403
        assert signing_out.status_code == 403
        assert (await member.get("/settings/account")).status_code == 200

    async def test_sign_out_deletes_the_session(self, browse: Browse) -> None:
        member = await browse()

        answer = await member.post("/sign-out")

        assert answer.headers["location"] == "/sign-in"
        assert (await member.get("/settings")).headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/groups?a=b", "/groups?a=b"),
        ("https://segue.example/groups?a=b#c", "/groups?a=b"),
        ("https://evil.example//evil.example/x", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("https://[", "/"),
        ("/api/session", "/"),
        ("groups", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_redirect_goes_to_own_paths_only(address: str | None, path: str) -> None:
    assert own_path(address) == path


class TestAnswers:
    async def test_pages_are_guarded_and_not_kept(self, browse: Browse) -> None:
        answer = await (await browse()).get("/settings/workspace")

        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        for forbidden in ("<style", " style=", " onclick=", "hx-on"):
            assert forbidden not in answer.text

    async def test_api_answers_are_not_cached(self, browse: Browse) -> None:
        answer = await (await browse()).get("/api/contacts")
        assert answer.headers["cache-control"] == "no-store"

    async def test_htmx_redirect_escapes_other_scripts(self, browse: Browse) -> None:
        answer = await (await browse()).get("/sign-in?next=/groups?a=%C3%A9%E2%98%83", headers=HTMX)
        assert (answer.status_code, answer.headers["hx-redirect"]) == (
            204,
            "/groups?a=%C3%A9%E2%98%83",
        )

    async def test_the_api_is_guarded_too(self, anonymous: httpx.AsyncClient) -> None:
        answer = await anonymous.get("/api/contacts")

        assert answer.status_code == 401
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_flash_message_is_shown_once(self, browse: Browse) -> None:
        admin = await browse(Role.ADMIN)
        form = {
            "time_zone": "Asia/Tokyo",
            "hour_cycle": "24",
            "marketing": "written",
            "shows_packs": "true",
            "rule_packs": ["us", "us-tx"],
        }

        changed = await admin.post("/settings/workspace", data=form)
        first = await admin.get("/settings/workspace")
        second = await admin.get("/settings/workspace")

        assert changed.status_code == 303
        assert "Workspace saved." in first.text
        assert first.text.count('<option value="written" selected>') == 1
        assert "Workspace saved." not in second.text
        ticked = re.findall(r'name="rule_packs" value="([a-z-]+)" checked', second.text)
        assert ticked == ["us", "us-tx"]
        lines = [
            re.sub(r"<[^>]+>", " ", one).split("Notes and sources")
            for one in re.findall(
                r'<tr>\s*<td><label class="form-check">.*?</tr>', second.text, re.DOTALL
            )
        ]
        places = [" ".join(place.split()) for place, *_ in lines]
        assert places[0] == "United States, federal"
        assert places[1:] == sorted(places[1:])
        texas, alabama = (lines[places.index(one)][-1] for one in ("Texas", "Alabama"))
        assert "09:00 to 21:00 09:00 to 21:00 12:00 to 20:00 As on other days" in " ".join(
            texas.split()
        )
        assert " ".join(alabama.split()).endswith("08:00 to 20:00 08:00 to 20:00 None None")
        everything = {**form, "rule_packs": re.findall(r'"rule_packs" value="(.*?)"', second.text)}
        await admin.post("/settings/workspace", data=everything)
        assert (await admin.get("/api/settings")).json()["rule_packs"] is None

    async def test_forged_flash_message_is_ignored(self, browse: Browse) -> None:
        member = await browse()
        member.cookies.set("segue_flash", "eyJ0ZXh0IjogInB3bmVkIn0.x.y", domain="segue.test")

        assert "pwned" not in (await member.get("/settings/account")).text

    async def test_htmx_gets_done_message(self, browse: Browse) -> None:
        answer = await (await browse(Role.ADMIN)).post("/try/done", headers=HTMX)

        assert answer.headers["hx-trigger"] == "close-dialog, members-changed"
        assert answer.headers["hx-reswap"] == "none"
        assert 'hx-swap-oob="beforeend:#flashes"' in answer.text
        assert "It is &lt;done&gt;." in answer.text

    async def test_changed_role_shows_on_the_page(self, browse: Browse) -> None:
        viewer = await (await browse(Role.VIEWER)).get("/settings/workspace")
        admin = await (await browse(Role.ADMIN)).get("/settings/workspace")

        assert "<fieldset disabled>" in viewer.text
        assert "<fieldset disabled>" not in admin.text


class TestErrors:
    async def test_unexpected_error_page_is_friendly_and_reveals_nothing(
        self, browse: Browse
    ) -> None:
        answer = await (await browse()).get("/try/broken")

        assert answer.status_code == 500
        assert "Something went wrong on our end." in answer.text
        assert "secret" not in answer.text
        assert "content-security-policy" in answer.headers

    @pytest.mark.parametrize("path", ["/try/missing", "/nowhere", "/jobs/nonsense/progress"])
    async def test_wrong_address_gets_an_html_page(self, browse: Browse, path: str) -> None:
        answer = await (await browse()).get(path)

        assert answer.status_code in {404, 422}
        assert answer.headers["content-type"].startswith("text/html")
        assert "<h1" in answer.text

    async def test_forbidden_user_gets_403(self, browse: Browse) -> None:
        answer = await (await browse()).post("/try/done")

        assert answer.status_code == 403
        assert "This requires the role admin" in answer.text

    async def test_refused_post_redirects_back_with_a_message(self, browse: Browse) -> None:
        member = await browse()

        pressed = await member.post(
            "/try/conflict", headers={"Referer": f"{ORIGIN}/settings/account"}
        )
        shown = await member.get("/settings/account")

        assert pressed.status_code == 303
        assert pressed.headers["location"] == "/settings/account"
        assert "It is paused by &lt;member&gt;; resume it first." in shown.text

    @pytest.mark.parametrize(
        ("path", "status", "words"),
        [
            ("/try/conflict", 409, "It is paused by &lt;member&gt;; resume it first."),
            ("/try/field", 422, "Name: is member."),
            ("/try/done", 403, "This requires the role admin; ask an admin."),
        ],
    )
    async def test_htmx_gets_a_message_for_the_page(
        self, browse: Browse, path: str, status: int, words: str
    ) -> None:
        answer = await (await browse()).post(path, headers=HTMX)

        assert answer.status_code == status
        assert answer.headers["hx-retarget"] == "#flashes"
        assert answer.headers["hx-reswap"] == "beforeend"
        assert words in answer.text

    async def test_missing_build_says_what_to_do(
        self, browse: Browse, app: FastAPI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        member = await browse()
        routes = PageRoutes((*PRIVATE, *PUBLIC))
        monkeypatch.setattr(app.state.pages, "assets", Assets())
        monkeypatch.setattr(
            app.state.pages, "environment", build_environment(Assets(), routes, app.state.settings)
        )

        for path in ("/sign-in", "/settings/workspace", "/nowhere"):
            answer = await member.get(path)
            assert answer.status_code == 503, path
            assert "make assets" in answer.text, path
        assert (await member.get("/healthz")).status_code == 200


class TestPresence:
    async def test_outage_is_shown_and_lists_still_work(
        self, browse: Browse, temporal: FakeTemporal
    ) -> None:
        member = await browse()
        temporal.is_ready = False
        before = await member.get("/settings/workspace")
        await asyncio.sleep(0)

        answer = await member.get("/settings/workspace")
        for_admins = await (await browse(Role.ADMIN)).get("/settings/workspace")

        assert "Texts are delayed." not in before.text  # the first answer does not wait
        assert answer.status_code == 200
        assert "Texts are delayed." in answer.text
        assert "No worker is running." not in answer.text
        assert "No worker is running." in for_admins.text


class TestBuiltFiles:
    @pytest.fixture
    def named(self, app: FastAPI) -> str:
        path: str = app.state.pages.assets.path("main.css")
        return path

    @pytest.mark.parametrize(
        ("taken", "encoding"), [("gzip, br", "br"), ("gzip;q=1.0", "gzip"), ("identity", None)]
    )
    async def test_assets_are_cached_and_compressed(
        self, anybody: httpx.AsyncClient, named: str, taken: str, encoding: str | None
    ) -> None:
        answer = await anybody.get(named, headers={"Accept-Encoding": taken})

        assert answer.status_code == 200
        assert answer.headers.get("content-encoding") == encoding
        assert answer.headers["content-type"].startswith("text/css")
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"

    async def test_unknown_asset_name_is_an_error(self, anybody: httpx.AsyncClient) -> None:
        assert (await anybody.get("/static/build/../../app.py")).status_code == 404
        assert (await anybody.get("/static/build/main-OLD.css")).status_code == 404

    async def test_page_loads_few_bytes(self, app: FastAPI, named: str) -> None:
        files = app.state.pages.assets.files.values()
        sizes = {name: (BUILT / f"{name}.gz").stat().st_size for name in files}

        assert sum(sizes.values()) < 100_000, sizes


def test_two_routes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two page routes are called show_broken"):
        PageRoutes((trying, trying))
