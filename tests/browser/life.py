"""A sequence with enrollments of every status, for tests and pictures of pages."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx

from domain.statuses.access import TokenScope
from tests.kits.polling import pauses

Json = dict[str, Any]

_LINE = "+16285550142"

NAME = "Night shift: first contact"
MEMBER = "Robin Vale"
GROUP = "Night shift applicants"

TEXTS = (
    "Hi {{first_name|there}}, Robin from Segue Staffing here. Still looking for night shifts?",
    "{{first_name|Hello}}, two places near you are open from Monday. Shall I call you?",
    "Last try from me: reply YES and I will call you today. Robin",
)

_MAGIC = {
    "700": ("Ada", "Brook"),  # answers "Sure!"
    "701": ("Hugo", "Hale"),  # answers "STOP"
    "635": ("Imani", "Grant"),  # a landline
    "005": ("Oscar", "Lund"),  # an unknown number
    "408": ("Noor", "Ortega"),  # in a country that the account may not text
}
"""Names of the contacts with the simulator's magic numbers."""

_TALK = (
    "Yes! What does it pay?",
    "22 an hour, 24 after midnight. Can you come by on Thursday at 10?",
    "Thursday is fine. Where?",
)
"""The conversation with Ada after her sequence ended: hers, ours, hers."""

_SAVED = {
    "Directions": "Hi {{first_name|there}}, we are at 12 Main St, second floor. Ring at Segue.",
    "Pay": "22 an hour, 24 after midnight.",
    "Documents": "Please bring your ID and your work permit.",
}
_NOTE = "Prefers calls before noon. Has a forklift license."

_OPT_IN = {
    "title": "Text updates from Segue Staffing",
    "wording": "I agree to receive automated texts about shifts from Segue Staffing at this number."
    " Up to 8 a month. Message and data rates may apply. Reply STOP to opt out, HELP for help.",
    "terms_url": "https://segue.example/terms",
    "slug": "night-shift",
}
_CONSENT = {
    "source": "Application form, segue.example/jobs",
    "wording": "You may text me about shifts.",
    "written": True,
}

_PLACES = (
    *("Albany", "Bristol", "Camden", "Dover", "Elgin", "Fargo", "Galena", "Hudson", "Ithaca"),
    *("Juneau", "Kenosha", "Laredo"),
)
_STRANGER = "+16465550177"
_ASKS = ("Hi, is the warehouse job still open?", "My cousin gave me this number.")
_UNSURE = "Please stop texting me before 9 am"

_ALL_STEPS = (("Carla", "Castillo"), ("Farid", "Joyner"), ("Jonas", "Moreau"))
_FIRST_STEP = (
    *(("Keiko", "Ishikawa"), ("Liam", "Farrow"), ("Marisol", "Eriksen"), ("Priya", "Abara")),
    *(("Quinn", "Drummond"), ("Rosa", "Kowalski"), ("Sven", "Nakamura"), ("Tariq", "Hale")),
)
_OPTED_OUT = ("Grace", "Grant")
_STOPPED = ("Dmitri", "Lund")

_SOON = timedelta(minutes=2)
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Life:
    """What ``bring_to_life`` created.

    Attributes:
        sequence_id: Of an active sequence with three steps, its people at rest.
        group_id: Of a group with some of them.
        contact_id: Of somebody who answered.
        enrollment_id: Of somebody who waits for the second step.
        job_id: Of work in the background that is done.
        message_id: Of a text to whoever answered, which went under a consent.
    """

    sequence_id: str
    group_id: str
    contact_id: str
    enrollment_id: str
    job_id: str
    message_id: str


class Workspace:
    """Calls the API and asserts that it succeeds.

    Args:
        url: Of the API.
        token: Of an admin.
    """

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(
            base_url=f"{url}/api", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, path: str, body: object = None) -> Json:
        return self._answer(self._client.post(path, json=body))

    def patch(self, path: str, body: object) -> Json:
        return self._answer(self._client.patch(path, json=body))

    def put(self, path: str, body: object) -> Json:
        return self._answer(self._client.put(path, json=body))

    def get(self, path: str, **query: str | int) -> Json:
        return self._answer(self._client.get(path, params=query))

    @staticmethod
    def _answer(answer: httpx.Response) -> Json:
        assert answer.is_success, f"{answer.request.url}: {answer.text}"
        found: Json = answer.json()
        return found


def bring_to_life(url: str, simulator_url: str, token: str) -> Life:
    """Enroll contacts until every status occurs, and wait until nothing changes any more.

    Args:
        url: Of an API that sends through the simulator.
        simulator_url: Of that simulator.
        token: Of an admin.
    """
    with Workspace(url, token) as admin, Workspace(url, _member_token(admin)) as member:
        return _live(admin, member, simulator_url)


def _live(admin: Workspace, member: Workspace, simulator_url: str) -> Life:
    sender_id = admin.post("/senders", {"name": "Staffing line", "phone": _LINE})["id"]
    sequence_id: str = admin.post("/sequences", _sequence(sender_id))["id"]
    admin.post(f"/sequences/{sequence_id}/activate")

    numbers = iter(range(100, 200))
    magic = [_person(admin, name, f"+1646555{7}{last}") for last, name in _MAGIC.items()]
    through, resting = (
        [_person(admin, name, f"+16465550{next(numbers)}") for name in names]
        for names in (_ALL_STEPS, _FIRST_STEP)
    )
    stopped = _person(admin, _STOPPED, f"+16465550{next(numbers)}")
    opted_out = _person(admin, _OPTED_OUT, f"+16465550{next(numbers)}")
    admin.post("/suppressions", {"phone": opted_out["phone"], "reason": "Asked on the phone"})
    group_id = admin.post("/groups", {"name": GROUP})["id"]
    for place in _PLACES:
        admin.post("/groups", {"name": f"Early shift, {place}"})
    admin.put(f"/groups/{group_id}/opt-in-page", {**_OPT_IN, "sender_id": sender_id})
    admin.post(f"/contacts/{magic[0]['id']}/consents", _CONSENT)
    admin.post(f"/groups/{group_id}/members", {"contact_ids": [one["id"] for one in resting[:5]]})

    # The steps have no delays while contacts pass them; then they get the delays to show.
    _enroll(member, sequence_id, *magic, *through, opted_out)
    _wait_for_rest(admin, sequence_id)
    shown = {"steps": _steps(timedelta(days=2)), "reply_window_seconds": 7 * 86_400}
    admin.patch(f"/sequences/{sequence_id}", shown)
    first, *_, last = _enroll(admin, sequence_id, *resting, stopped)
    _wait_for_rest(admin, sequence_id)
    admin.post("/enrollments/batch/mark-finished", {"enrollment_ids": [last["id"]]})
    ada = magic[0]
    _talk(member, simulator_url, sequence_id, ada)
    _say(simulator_url, resting[-1], _UNSURE)
    for body in _ASKS:
        _say(simulator_url, {"phone": _STRANGER}, body)
    job = admin.post(
        f"/sequences/{sequence_id}/contacts/batch",
        {"action": "add_to_group", "group_id": group_id, "filter": {"search": "hale"}},
    )
    texts = member.get(f"/contacts/{ada['id']}/messages", sort="created_at")["items"]
    return Life(sequence_id, group_id, ada["id"], first["id"], job["id"], texts[0]["id"])


def _member_token(admin: Workspace) -> str:
    known = [one for one in admin.get("/users")["items"] if one["name"] == MEMBER]
    body = {"email": "robin@segue.example", "name": MEMBER, "role": "member"}
    user = known[0] if known else admin.post("/users", body)
    asked = {"name": "life", "scopes": list(TokenScope)}
    token: str = admin.post(f"/users/{user['id']}/tokens", asked)["token"]
    return token


def _sequence(sender_id: str) -> Json:
    return {
        "name": NAME,
        "sender_id": sender_id,
        "kind": "ongoing",
        "send_window": None,
        "reply_window_seconds": 1,
        "steps": _steps(timedelta(seconds=1)),
    }


def _steps(delay: timedelta) -> list[Json]:
    return [
        {"body": text, "delay_seconds": int(delay.total_seconds()) if index else 0}
        for index, text in enumerate(TEXTS)
    ]


def _person(admin: Workspace, name: tuple[str, str], phone: str) -> Json:
    first_name, last_name = name
    return admin.post(
        "/contacts",
        {
            "first_name": first_name,
            "last_name": last_name,
            "phone": phone,
            "time_zone": "America/New_York",
        },
    )


def _enroll(workspace: Workspace, sequence_id: str, *people: Json) -> list[Json]:
    answer = workspace.post(
        f"/sequences/{sequence_id}/enrollments", {"contact_ids": [one["id"] for one in people]}
    )
    order = {one["id"]: index for index, one in enumerate(people)}
    return sorted(answer["enrolled"], key=lambda one: order[one["contact_id"]])


def _talk(member: Workspace, simulator_url: str, sequence_id: str, person: Json) -> None:
    """Exchange texts with contacts after their sequence ended."""
    theirs, ours, last = _TALK
    _say(simulator_url, person, theirs)
    people = member.get(f"/sequences/{sequence_id}/contacts", search=person["name"])["items"]
    body = {"enrollment_ids": [people[0]["enrollment_id"]], "body": ours}
    member.post("/enrollments/batch/send-message", body)
    _say(simulator_url, person, last)
    member.post(f"/contacts/{person['id']}/notes", {"body": _NOTE})
    for name, reply in _SAVED.items():
        member.post("/saved-replies", {"name": name, "body": reply})


def _say(simulator_url: str, person: Json, body: str) -> None:
    """Text from a contact's handset."""
    text = {"from": person["phone"], "to": _LINE, "body": body}
    httpx.post(f"{simulator_url}/_simulator/inbound", json=text).raise_for_status()


def _wait_for_rest(admin: Workspace, sequence_id: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    window = admin.get(f"/sequences/{sequence_id}")["reply_window_seconds"]
    for pause in pauses(0.2, 1):
        moving = _moving(admin, sequence_id, window)
        if not moving:
            return
        assert time.monotonic() < deadline, moving
        time.sleep(pause)


def _moving(admin: Workspace, sequence_id: str, window: int) -> list[Json]:
    """List the enrollments that send a text or end within minutes."""
    soon = datetime.now(UTC) + _SOON
    people = admin.get(f"/sequences/{sequence_id}/contacts", limit=200, status="active")["items"]
    return [
        one
        for one in people
        if one["activity"] == "sending"
        or (one["activity"] == "awaiting_reply" and window < _SOON.total_seconds())
        or (one["next_send_at"] and datetime.fromisoformat(one["next_send_at"]) < soon)
    ]
