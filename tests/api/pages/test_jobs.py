"""The pages of jobs, and the size of a text while it is typed."""

from uuid import UUID

import pytest

from api.pages.labels import LABELS
from domain.statuses.access import Role
from domain.statuses.jobs import JobKind, JobState
from services.factory import Services
from storage.jobs import jobs
from storage.jobs.jobs import RowResult
from storage.platform.database import Database
from tests.api.pages.conftest import HTMX, Browse


@pytest.fixture
async def job(services: Services, database: Database) -> UUID:
    """Add a job with two rows, one of them done."""
    user = await services.users.create(email="boss@example.com", role=Role.MEMBER)
    async with database.transaction() as tx:
        job_id = await jobs.create(tx, JobKind.MARK_FINISHED, user.id, {})
        await jobs.add_rows(
            tx, job_id, [RowResult(1, None, {}, user.id), RowResult(2, None, {}, job_id)]
        )
        await jobs.set_state(tx, job_id, JobState.RUNNING)
        await jobs.store_results(tx, job_id, [RowResult(1, "finished")])
    return job_id


async def test_job_progress_polls_until_the_end(browse: Browse, job: UUID) -> None:
    member = await browse()

    running = await member.get(f"/jobs/{job}/progress", headers=HTMX)
    canceled = await member.post(f"/jobs/{job}/cancel", headers=HTMX)

    assert 'hx-trigger="every 1s"' in running.text
    assert "1 of 2" in running.text
    assert f"<strong>1</strong> {LABELS.results['finished']}" in running.text
    assert f"/jobs/{job}/cancel" in running.text
    assert "Canceling" in canceled.text or "Canceled" in canceled.text
    assert f"/jobs/{job}/cancel" not in canceled.text
    # Once it has ended, the results are asked for again where one is in them.
    later = await member.get(f"/jobs/{job}?after=1")
    assert f'hx-get="/jobs/{job}?after=1" hx-trigger="job-ended from:body"' in later.text


async def test_viewer_sees_no_cancel_button_and_is_refused(browse: Browse, job: UUID) -> None:
    viewer = await browse(Role.VIEWER)

    shown = await viewer.get(f"/jobs/{job}/progress", headers=HTMX)
    refused = await viewer.post(f"/jobs/{job}/cancel", headers=HTMX)

    assert "1 of 2" in shown.text
    assert "/cancel" not in shown.text
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("Hello", ("5 characters", "1 segment")),
        ("é" * 161, ("161 characters", "2 segments")),
        ("Hi <b>😀</b>", ("<kbd>😀</kbd>", "shortens each segment")),
        ("Hi {{first_name|there}}", ("8 characters",)),
        ("Hi {{first_nam|there}}", ("first_nam",)),
    ],
)
async def test_text_is_measured_while_typing(
    browse: Browse, body: str, words: tuple[str, ...]
) -> None:
    answer = await (await browse()).post(
        "/compose/segments?field=steps.0.body", data={"steps.0.body": body}, headers=HTMX
    )

    assert answer.status_code == 200
    assert [one for one in words if one not in answer.text] == []
    assert "<b>" not in answer.text
