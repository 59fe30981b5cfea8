"""Import contacts from CSV text, as the upload and the job's workflow do."""

from collections.abc import AsyncIterator
from typing import Any

from domain.statuses.jobs import JobState
from storage.jobs.jobs import JobDetails, RowResult
from tests.kits.sending import SendingKit

HEADER = "first_name,last_name,phone,time_zone,line_type\n"


async def chunks(text: str, size: int = 50_000) -> AsyncIterator[bytes]:
    """Yield a file as an upload delivers it."""
    data = text.encode()
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def upload(kit: SendingKit, text: str, **how: Any) -> JobDetails:
    """Upload a file and start its job."""
    importing = kit.services.importing
    job_id = await importing.receive(chunks(text), kit.world.user_id, **how)
    return await importing.start(job_id, kit.world.user_id)


async def import_contacts(kit: SendingKit, text: str, **how: Any) -> list[RowResult]:
    """Import a file to its end; return the rows' results."""
    job = await upload(kit, text, **how)
    while (await kit.services.jobs.run_chunk(job.id)).more:
        pass
    ended = await kit.services.jobs.get(job.id)
    assert (ended.state, ended.done) == (JobState.DONE, ended.total)
    found, _ = await kit.services.jobs.results(job.id, limit=1_000_000)
    return found
