import socket
from collections.abc import Iterator

import pytest

from standalone import ports
from standalone.errors import PartError
from standalone.ports import PortOf


@pytest.fixture
def busy_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(ports, "_LEAVING_SECONDS", 0)
    with socket.create_server((ports.LOOPBACK, 0)) as listener:
        yield listener.getsockname()[1]


def test_busy_port_error_names_part_and_variable(busy_port: int) -> None:
    wanted = [
        PortOf("PostgreSQL", ports.free_port(), "SEGUE_POSTGRES_PORT"),
        PortOf("The API", busy_port, "SEGUE_API_PORT"),
    ]

    with pytest.raises(PartError) as refused:
        ports.check_free(wanted)

    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith(f"The API cannot start: port {busy_port} is taken.")
    suggested = int(message.split("SEGUE_API_PORT=")[1].removesuffix(" make up"))
    assert suggested != busy_port
    ports.check_free([PortOf("The API", suggested, "SEGUE_API_PORT")])


def test_answering_port_differs_from_silent_one(busy_port: int) -> None:
    assert ports.answers(busy_port)
    assert not ports.answers(ports.free_port())
