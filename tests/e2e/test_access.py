"""Signatures, tokens and roles at the edges."""

from uuid import uuid4

import httpx
import pytest

from domain.statuses.access import TokenScope
from simulator.webhooks import signature
from tests.e2e.people import Desk

INBOUND = "/webhooks/twilio/inbound"
STATUS = "/webhooks/twilio/status"


def forms(desk: Desk, account_sid: str) -> dict[str, dict[str, str]]:
    """Build the webhook forms of a STOP and of a failed text."""
    person = desk.person()
    common = {"AccountSid": account_sid, "MessageSid": f"SM{uuid4().hex}", "ApiVersion": "2010"}
    return {
        INBOUND: {**common, "From": person.phone, "To": "+12064440001", "Body": "STOP"},
        STATUS: {**common, "MessageStatus": "failed", "ErrorCode": "30007"},
    }


@pytest.mark.parametrize("path", [INBOUND, STATUS])
def test_forged_webhook_is_refused(desk: Desk, path: str) -> None:
    """A wrong signature is refused with 403 and has no effect."""
    stack = desk.stack
    url = f"{stack.api_url}{path}"
    form = forms(desk, stack.account_sid)[path]
    genuine = signature(stack.auth_token, url, form)
    for forged in (None, "", "bm90IGEgc2lnbmF0dXJl", signature("guessed", url, form)):
        headers = {} if forged is None else {"X-Twilio-Signature": forged}
        answer = httpx.post(url, data=form, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "invalid_signature")
    changed = {**form, "Extra": "1"}
    answer = httpx.post(url, data=changed, headers={"X-Twilio-Signature": genuine})
    assert answer.status_code == 403
    if path == INBOUND:
        search = desk.get("/api/contacts", search=form["From"].lstrip("+"))
        assert [one["opted_out"] for one in search["items"]] == [False]


def test_webhook_of_another_account_is_refused(desk: Desk) -> None:
    """A valid signature does not help: the account must be ours."""
    url = f"{desk.stack.api_url}{INBOUND}"
    form = forms(desk, "AC" + "0" * 32)[INBOUND]
    headers = {"X-Twilio-Signature": signature(desk.stack.auth_token, url, form)}
    assert httpx.post(url, data=form, headers=headers).status_code == 403


def test_repeated_webhook_is_accepted(desk: Desk) -> None:
    url = f"{desk.stack.api_url}{INBOUND}"
    form = forms(desk, desk.stack.account_sid)[INBOUND]
    headers = {"X-Twilio-Signature": signature(desk.stack.auth_token, url, form)}
    for _ in range(2):
        assert httpx.post(url, data=form, headers=headers).status_code == 200
    search = desk.get("/api/contacts", search=form["From"].lstrip("+"))
    assert [one["opted_out"] for one in search["items"]] == [True]


@pytest.mark.parametrize("token", ["", "sgt_guessed"])
def test_request_without_valid_token_is_refused(desk: Desk, token: str) -> None:
    """Everything except health and webhooks needs a token."""
    some_id = uuid4()
    with desk.signed_in(token) as api:
        for path in (
            "/api/contacts",
            "/api/groups",
            "/api/senders",
            "/api/sequences",
            "/api/users",
            f"/api/sequences/{some_id}/contacts",
            f"/api/enrollments/{some_id}",
        ):
            answer = api.get(path)
            assert answer.status_code == 401, path
            assert answer.headers["content-type"] == "application/problem+json"
            assert "bearer" in answer.headers["www-authenticate"].lower()
        for path in (
            f"/api/sequences/{some_id}/enrollments",
            "/api/enrollments/batch/send-message",
            "/api/enrollments/batch/mark-finished",
            f"/api/sequences/{some_id}/activate",
        ):
            assert api.post(path, json={}).status_code == 401, path
        assert api.get("/healthz").status_code == 200
        assert api.get("/readyz").status_code == 200


def test_viewer_only_reads_and_member_cannot_manage(desk: Desk) -> None:
    """A viewer reads; a member works; only an admin manages."""
    person, line = desk.person(), desk.line()
    sequence_id = desk.sequence(line, activate=False)
    tokens = {}
    for role in ("viewer", "member"):
        email = f"{uuid4().hex}@example.com"
        user = desk.post("/api/users", {"email": email, "role": role}, status=201)
        asked = {"name": "e2e", "scopes": list(TokenScope)}
        made = desk.post(f"/api/users/{user['id']}/tokens", asked, status=201)
        tokens[role] = made["token"]
    actions = [
        (f"/api/sequences/{sequence_id}/activate", None),
        (f"/api/sequences/{sequence_id}/enrollments", {"contact_ids": [person.id]}),
        ("/api/enrollments/batch/mark-finished", {"enrollment_ids": [str(uuid4())]}),
    ]
    with desk.signed_in(tokens["viewer"]) as viewer:
        assert viewer.get(f"/api/sequences/{sequence_id}").status_code == 200
        assert viewer.get(f"/api/sequences/{sequence_id}/contacts").status_code == 200
        for path, body in actions:
            answer = viewer.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path
    assert desk.counts(sequence_id) == {}
    with desk.signed_in(tokens["member"]) as member:
        for path, body in actions:
            assert member.post(path, json=body).is_success, path
        assert member.get("/api/users").status_code == 403
        assert member.post(f"/api/senders/{line.id}/release").status_code == 403
