"""docker-compose.yml and Dockerfile: their content, and their commands run on real servers.

The tests have no container engine. They run the commands with the environment of the compose file
on the files that the Dockerfile copies.
"""

import asyncio
import fnmatch
import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
import yaml
from psycopg import sql
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

import manage
from settings import CONTAINER_GRACE, START_TO_CLOSE, ApiSettings, Settings, WorkerSettings
from standalone import temporal
from standalone.ports import LOOPBACK, free_port
from standalone.postgres import EmbeddedPostgres
from standalone.temporal import TemporalServer
from tests.workflows.plays import eventually
from workflows.limits import ENROLLMENT_QUEUE, SEND_QUEUE

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
LOCK = (ROOT / "requirements.txt").read_text()
EXAMPLE = (ROOT / "deploy" / "env.example").read_text()
SERVICES: dict[str, dict[str, Any]] = {
    # The services without a profile; tests/test_monitoring.py has the rest.
    name: service
    for name, service in COMPOSE["services"].items()
    if "profiles" not in service
}
OURS: dict[str, type[Settings]] = {
    "set-up": Settings,
    "api": ApiSettings,
    "worker": WorkerSettings,
}
ONE_SHOTS = {"temporal-schema", "set-up"}
DATABASE_PASSWORDS = {"POSTGRES_PASSWORD", "SEGUE_DB_PASSWORD", "TEMPORAL_DB_PASSWORD"}
REFERENCE = re.compile(r"\$\{(?P<name>\w+)(?P<mark>:[?-])(?P<rest>[^}]*)\}")
METRICS = ("METRICS_ADDRESS", "SDK_METRICS_ADDRESS")
PATIENCE = 60


def environment(name: str) -> dict[str, str]:
    return {key: str(value) for key, value in SERVICES[name].get("environment", {}).items()}


def required() -> set[str]:
    """List the variables that the file requires."""
    found = REFERENCE.finditer(yaml.safe_dump(COMPOSE, width=10_000))
    return {each["name"] for each in found if each["mark"] == ":?"}


def variables(kind: type[Settings], *, only_required: bool = False) -> set[str]:
    return {
        str(field.validation_alias or name).upper()
        for name, field in kind.model_fields.items()
        if field.is_required() or not only_required
    }


def composed(text: str, given: Mapping[str, str]) -> str:
    """Replace references by values, as Compose does."""

    def value(reference: re.Match[str]) -> str:
        found = given.get(reference["name"], "")
        assert found or reference["mark"] == ":-", f"{reference['name']}: {reference['rest']}"
        return found or reference["rest"]

    return REFERENCE.sub(value, text).replace("$$", "$")


def commands(name: str) -> list[list[str]]:
    """List the commands that a service of ours runs, in order."""
    words: list[str] = SERVICES[name]["command"]
    if words[:2] != ["sh", "-c"]:
        return [words]
    steps = words[2].split(" && ")
    return [shlex.split(step.removeprefix("exec ")) for step in steps]


def copied() -> list[str]:
    """List what the Dockerfile copies from the project into the image."""
    builder = (ROOT / "Dockerfile").read_text().split("\nFROM ")[2]
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", builder, re.MULTILINE)
    return [source for line in lines for source in line.split()]


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def test_services_are_those_of_production() -> None:
    assert set(SERVICES) == {
        *("postgres", "temporal-schema", "temporal", "temporal-ui"),
        *("set-up", "api", "worker"),
    }


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OURS)))
def test_foreign_images_are_official_and_pinned(name: str) -> None:
    image = SERVICES[name]["image"]

    assert re.fullmatch(r"(postgres|temporalio/(server|admin-tools|ui)):\d+\.\d+(\.\d+)?", image)


def test_servers_have_the_versions_of_the_tests(
    postgres_server: EmbeddedPostgres,
) -> None:
    cli = subprocess.run(
        [temporal._find_cli(), "--version"], capture_output=True, text=True, check=True
    )
    versions = re.search(r"Server (?P<server>[\d.]+), UI (?P<ui>[\d.]+)", cli.stdout)
    with psycopg.connect(postgres_server.url()) as connection:
        major = connection.info.server_version // 10000

    assert versions
    assert SERVICES["temporal"]["image"] == f"temporalio/server:{versions['server']}"
    assert SERVICES["temporal-schema"]["image"] == f"temporalio/admin-tools:{versions['server']}"
    assert SERVICES["temporal-ui"]["image"] == f"temporalio/ui:{versions['ui']}"
    assert SERVICES["postgres"]["image"].startswith(f"postgres:{major}.")


@pytest.mark.parametrize("name", OURS)
def test_commands_name_existing_programs(name: str) -> None:
    for program, *words in commands(name):
        match program, words:
            case "python", ["-m", "manage", *arguments]:
                assert manage._parser().parse_args(arguments).command == arguments[0]
            case "python", ["-m", module]:
                assert Path(str(importlib.import_module(module).__file__)) == ROOT / f"{module}.py"
            case "uvicorn", ["--factory", factory, *_]:
                module, _, attribute = factory.partition(":")
                assert callable(getattr(importlib.import_module(module), attribute))
            case _:
                assert [program, *words] == ["alembic", "upgrade", "head"]


def test_required_variables_match_required_settings() -> None:
    wanted = variables(ApiSettings, only_required=True) - {"DATABASE_URL"}

    assert required() == wanted | DATABASE_PASSWORDS | {"FORWARDED_ALLOW_IPS"}
    assert set(re.findall(r"^([A-Z_]+)=$", EXAMPLE, re.MULTILINE)) == required()


@pytest.mark.parametrize("name", OURS)
def test_service_gets_required_secrets_only(name: str) -> None:
    kind = OURS[name]
    given = environment(name)
    secrets = {key for key, value in given.items() if ":?" in value}

    assert variables(kind, only_required=True) == secrets - {"FORWARDED_ALLOW_IPS"}
    assert given["DATABASE_URL"].endswith("@postgres:5432/segue")
    assert given["TEMPORAL_ADDRESS"] == "temporal:7233"


@pytest.mark.parametrize("name", ["api", "worker"])
def test_every_setting_can_be_set(name: str) -> None:
    assert variables(OURS[name]) - set(environment(name)) == set()


def test_time_limits_nest() -> None:
    given = {**dict.fromkeys(required(), "x"), "DRAIN_SECONDS": ""}
    api = commands("api")[0]
    [drain] = [word.partition("=")[2] for word in api if word.startswith("--timeout-graceful")]

    assert seconds(SERVICES["worker"]["stop_grace_period"]) == CONTAINER_GRACE.total_seconds()
    assert composed(environment("worker")["DRAIN_SECONDS"], given) == ""  # so the default applies
    default = Settings.model_fields["drain"].default
    assert START_TO_CLOSE < default < CONTAINER_GRACE
    assert int(drain) < seconds(SERVICES["api"]["stop_grace_period"])


def test_each_service_waits_for_what_it_needs() -> None:
    waits = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    healthy, done = "service_healthy", "service_completed_successfully"

    assert waits == {
        "postgres": {},
        "temporal-schema": {"postgres": healthy},
        "temporal": {"temporal-schema": done},
        "temporal-ui": {"temporal": healthy},
        "set-up": {"postgres": healthy, "temporal": healthy},
        "api": {"set-up": done},
        "worker": {"set-up": done},
    }
    waited_for = {name for each in waits.values() for name, how in each.items() if how == healthy}
    assert {name for name in waited_for if "healthcheck" not in SERVICES[name]} == set()
    assert all("healthcheck" in SERVICES[name] for name in ("api", "worker"))


def test_services_restart_except_finished_one_shots() -> None:
    restarts = {name: service["restart"] for name, service in SERVICES.items()}

    assert restarts == {
        name: "on-failure:5" if name in ONE_SHOTS else "unless-stopped" for name in SERVICES
    }


def test_no_secret_is_in_the_files() -> None:
    secret = re.compile(r"PASSWORD|PWD|SECRET|TOKEN|_URL$")
    harmless = {
        *("TEMPORAL_UI_URL", "TWILIO_API_BASE_URL", "TWILIO_LOOKUPS_BASE_URL"),
        "SECOND_READER_URL",
    }
    written = {
        (name, key): value
        for name in SERVICES
        for key, value in environment(name).items()
        if secret.search(key) and key not in harmless
    }

    assert written
    assert [where for where, value in written.items() if ":?" not in value] == []
    assert re.findall(r"^[A-Z_]*(?:PASSWORD|TOKEN|SECRET)=.+$", EXAMPLE, re.MULTILINE) == []


def test_only_the_api_and_the_ui_are_published() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert set(published) == {"api", "temporal-ui"}
    ports = [composed(port, {}) for name in sorted(published) for port in published[name]]
    assert ports == ["127.0.0.1:8000:8000", "127.0.0.1:8233:8080"]
    assert published["temporal-ui"][0].startswith("127.0.0.1:"), "it has no sign-in"
    assert not [name for name, service in SERVICES.items() if "network_mode" in service]


def test_servers_are_on_the_inside_only() -> None:
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]}

    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert all("inside" in service["networks"] for service in SERVICES.values())
    assert outside == {"api", "worker", "temporal-ui"}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_few_privileges(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "volumes" not in service
    assert "container_name" not in service, "it could not be scaled"


def test_mounted_files_exist_and_are_read_only() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    bound = [mount.split(":") for mount in mounts if mount.startswith(".")]

    assert bound
    assert {tuple(rest) for _, *rest in bound if rest[-1] != "ro"} == set()
    assert [source for source, *_ in bound if not (ROOT / source).is_dir()] == []


def test_temporal_has_the_configuration_of_standalone() -> None:
    folder, inside = SERVICES["temporal"]["volumes"][0].removesuffix(":ro").split(":")
    path = environment("temporal")["DYNAMIC_CONFIG_FILE_PATH"]
    text = (ROOT / folder / Path(path).relative_to(inside)).read_text()
    settings = {key: entry for key, [entry] in yaml.safe_load(text).items()}
    values = {key: str(entry["value"]).lower() for key, entry in settings.items()}
    only = {key: entry["constraints"] for key, entry in settings.items() if "constraints" in entry}

    assert values == temporal._DYNAMIC_CONFIG
    # One partition limits a queue's throughput, so only the paced queue has one.
    assert only == {key: {"taskQueueName": SEND_QUEUE} for key in values if "Partitions" in key}


def test_image_is_built_from_the_lock_and_runs_unprivileged() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assets, builder, final = dockerfile.split("\nFROM ")[1:]

    assert assets.startswith("node:24-slim ")
    assert "npm ci --ignore-scripts" in assets
    assert "COPY --from=assets /build/api/static/build api/static/build" in builder
    assert "--require-hashes" in builder
    assert "--only-binary :all:" in builder
    # Without these, uvicorn takes slower ones and says nothing.
    assert all(f"\n{server}==" in LOCK for server in ("httptools", "uvloop"))
    assert re.findall(r"^(?:FROM )?(python\S+)", f"{builder}\n{final}", re.MULTILINE) == [
        "python:3.11-slim",
        "python:3.11-slim",
    ]
    assert re.findall(r"^COPY (.+)$", final, re.MULTILINE) == [
        "--from=builder /venv /venv",
        "--from=builder /app /app",
    ]
    assert re.findall(r"^USER (.+)$", final, re.MULTILINE) == ["10001"]
    assert "STOPSIGNAL SIGTERM" in final
    assert "HEALTHCHECK" not in dockerfile, "the compose file has it"


def test_image_holds_only_production_code() -> None:
    packages = {folder.parent.name for folder in ROOT.glob("*/__init__.py")}
    sources = {*copied()} - {"requirements.txt"}

    assert packages - sources == {"bench", "simulator", "standalone", "tests"}
    assert sources - packages == {
        *("alembic.ini", "manage.py", "settings.py", "worker.py"),
        *({"migrations"} - packages),
    }


def test_build_context_holds_only_copied_files() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    again = [rule for rule in rules[1:] if not rule.startswith("!")]

    assert rules[0] == "*"
    assert allowed == set(copied())
    assert [rule for rule in again if fnmatch.fnmatch("**/.env", rule)]
    assert "**/__pycache__" in again


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a folder with the content of the image's working directory."""
    folder = tmp_path_factory.mktemp("image")
    for source in copied():
        found = ROOT / source
        if found.is_dir():
            # Compiled files are copied too: the Dockerfile compiles, and nothing does later.
            ignored = shutil.ignore_patterns(".env*", "node_modules")
            shutil.copytree(found, folder / source, ignore=ignored)
        else:
            shutil.copy(found, folder)
    return folder


def programs_environment(**changes: str) -> dict[str, str]:
    """Build the environment of a container beyond the compose file."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": "/nonexistent",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **changes,
    }


def test_build_id_follows_the_code(tmp_path: Path, image: Path) -> None:
    """Derived from the code: changed code has another one."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    [command] = re.findall(r"^RUN (find .+> build\.env)$", text, re.MULTILINE)
    command = command.replace("/build/requirements.txt", str(ROOT / "requirements.txt"))
    shown = "import settings; print(settings.Settings.load().segue_build_id)"
    shown += f"; import os; os.environ['SEGUE_BUILD_ID'] = 'mine'; {shown}"
    env = programs_environment(DATABASE_URL="postgresql://u@127.0.0.1/x")
    builds: list[str] = []
    for changed in (False, False, True):
        folder = tmp_path / f"app-{len(builds)}"
        shutil.copytree(image, folder, ignore=shutil.ignore_patterns("__pycache__"))
        if changed:
            (folder / "worker.py").write_text("")
        subprocess.run(["/bin/sh", "-ec", command], cwd=folder, check=True)
        run = [sys.executable, "-c", shown]
        builds += subprocess.check_output(run, cwd=folder, env=env, text=True).split()

    first, mine, again, _, other, _ = builds
    assert re.fullmatch("[0-9a-f]{12}", first)
    assert first == again != other
    assert mine == "mine"


@pytest.fixture(scope="module")
def without_the_rest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder that hides from a program what the image's environment lacks."""
    locked = re.findall(r"^([\w.-]+)(?:\[.*\])?==", LOCK, re.MULTILINE)
    files = [
        file
        for found in importlib.metadata.distributions()
        if re.sub("[-_.]+", "-", found.name).lower() not in locked
        for file in found.files or ()
    ]
    names = {file.parts[0].removesuffix(".py") for file in files}
    hidden = dict.fromkeys(name for name in names if name.isidentifier())
    folder = tmp_path_factory.mktemp("without")
    # As if they were not installed.
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update({hidden})\n")
    return folder


@dataclass(frozen=True)
class Deployment:
    """The values and addresses of one deployment."""

    image: Path
    given: Mapping[str, str]
    addresses: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, str]]
    without_the_rest: Path

    def substituted(self, text: str) -> str:
        for name, address in self.addresses.items():
            text = text.replace(name, address)
        return text

    def environment(self, service: str) -> dict[str, str]:
        given = {
            key: composed(self.substituted(value), self.given)  # no address is sought in secrets
            for key, value in environment(service).items()
        }
        # Containers have their own addresses; the programs here share one.
        here = {"PYTHONPATH": str(self.without_the_rest), **self.metrics.get(service, {})}
        return programs_environment(**{**given, **here})

    async def start(
        self, service: str, command: Sequence[str] | None = None
    ) -> asyncio.subprocess.Process:
        words = [
            composed(self.substituted(word), self.given)
            for word in command or SERVICES[service]["command"]
        ]
        return await asyncio.create_subprocess_exec(
            *words,
            cwd=self.image,
            env=self.environment(service),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, service: str, command: Sequence[str] | None = None) -> str:
        """Run a command to its end; return its output."""
        process = await self.start(service, command)
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, out.decode()
        return out.decode()


@pytest.fixture
def deployment(
    image: Path,
    without_the_rest: Path,
    postgres_server: EmbeddedPostgres,
    temporal_server: TemporalServer,
) -> Iterator[Deployment]:
    """Create databases as the postgres image does, for a new namespace."""
    given = {
        **{name: uuid4().hex for name in DATABASE_PASSWORDS},
        "TEMPORAL_NAMESPACE": f"compose-{uuid4().hex[:8]}",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": uuid4().hex,
        **{f"TWILIO_{name}_BASE_URL": f"http://{LOOPBACK}:9" for name in ("API", "LOOKUPS")},
        "PUBLIC_BASE_URL": "https://segue.example.com",
        "SESSION_SECRET": uuid4().hex,
        "FORWARDED_ALLOW_IPS": "172.16.0.0/12",
        "SEGUE_BUILD_ID": "v1",
    }
    assert required() <= set(given)
    script = ROOT / "deploy" / "postgres" / "databases.sql"
    subprocess.run(
        [
            *(str(postgres_server._binaries / "psql"), "--no-psqlrc", "--quiet"),
            *("-v", "ON_ERROR_STOP=1", "--file", str(script), postgres_server.url()),
        ],
        env={**programs_environment(), **given},
        check=True,
    )
    port = str(free_port())
    yield Deployment(
        image,
        given,
        {
            "postgres:5432": postgres_server.address,
            "temporal:7233": temporal_server.address,
            "--host=0.0.0.0": f"--host={LOOPBACK}",
            "8000": port,
        },
        {
            service: {name: f"{LOOPBACK}:{free_port()}" for name in METRICS}
            for service in ("api", "worker")
        },
        without_the_rest,
    )
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        for database in ("segue", "temporal", "temporal_visibility"):
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(database)))
        for role in ("segue_app", "temporal"):
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture
async def namespace(
    deployment: Deployment, temporal_server: TemporalServer
) -> AsyncIterator[Client]:
    """Connect to the deployment's namespace; end its schedules and workflows afterwards."""
    client = await Client.connect(
        temporal_server.address, namespace=deployment.given["TEMPORAL_NAMESPACE"]
    )
    yield client
    async for schedule in await client.list_schedules():
        await client.get_schedule_handle(schedule.id).delete()
    async for workflow in client.list_workflows("ExecutionStatus = 'Running'"):
        await client.get_workflow_handle(workflow.id).terminate()


async def polled(client: Client, queue: str) -> bool:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    try:
        answer = await client.workflow_service.describe_task_queue(request)
    except RPCError:
        return False
    return bool(answer.pollers)


@pytest.mark.timeout(240)
async def test_commands_run_as_written_on_locked_packages(
    deployment: Deployment, namespace: Client
) -> None:
    """The image's environment lacks the tests' packages, which are here too."""
    hidden = await deployment.run(
        "api", ["python", "-c", "import sys; print(sys.modules['pytest'])"]
    )
    assert hidden == "None\n"
    said = await deployment.run("set-up")
    assert f"created the namespace {namespace.namespace}" in said
    assert "workers v1 are current from now on" in said

    api, worker = await asyncio.gather(deployment.start("api"), deployment.start("worker"))
    try:
        async with httpx.AsyncClient(
            base_url=deployment.substituted(f"http://{LOOPBACK}:8000")
        ) as http:

            async def ready() -> bool:
                assert api.returncode is None
                try:
                    return (await http.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, patience=2 * PATIENCE)
        await eventually(lambda: polled(namespace, ENROLLMENT_QUEUE))
        await eventually(lambda: polled(namespace, SEND_QUEUE))
        check = SERVICES["api"]["healthcheck"]["test"]
        assert check[0] == "CMD"
        await deployment.run("api", check[1:])
        check = SERVICES["worker"]["healthcheck"]["test"]
        composed_address = environment("worker")["METRICS_ADDRESS"].rpartition(":")[2]
        address = deployment.metrics["worker"]["METRICS_ADDRESS"]
        here = [word.replace(f"{LOOPBACK}:{composed_address}", address) for word in check[1:]]
        assert here != check[1:]
        await deployment.run("worker", here)
        async with httpx.AsyncClient() as http:
            for service in ("api", "worker"):
                for name, series in zip(
                    METRICS, ("segue_part_up", "temporal_request"), strict=True
                ):
                    page = await http.get(f"http://{deployment.metrics[service][name]}/metrics")
                    assert series in page.text, (service, name)
    finally:
        for process in (api, worker):
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        ends = await asyncio.wait_for(
            asyncio.gather(api.communicate(), worker.communicate()), PATIENCE
        )

    logs = [out.decode() for out, _ in ends]
    assert api.returncode in {0, -signal.SIGTERM}, logs[0]
    assert worker.returncode == 0, logs[1]
    assert "draining" in logs[1]
    assert [value for value in _secrets(deployment) if value in "".join(logs)] == []


def _secrets(deployment: Deployment) -> list[str]:
    names = DATABASE_PASSWORDS | {"TWILIO_AUTH_TOKEN", "SESSION_SECRET"}
    return [deployment.given[name] for name in names]
