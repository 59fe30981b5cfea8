"""Rules for the whole repository."""

import ast
import importlib.machinery
import importlib.metadata
import io
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 600
MANY_NAMES = 200


@cache
def _files() -> list[Path]:
    """List our Python files, without hidden folders and npm packages."""
    found: list[Path] = []
    for folder, inner, files in os.walk(ROOT):
        inner[:] = [name for name in inner if name[0] != "." and name != "node_modules"]
        found += [Path(folder, name) for name in files if name.endswith(".py")]
    return found


def _top_level_names() -> set[str]:
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    return packages | {file.stem for file in ROOT.glob("*.py")}


@cache
def _installed() -> Mapping[str, list[str]]:
    """List the packages installed, by the top-level names that they claim."""
    return importlib.metadata.packages_distributions()


@pytest.mark.parametrize("name", sorted(_top_level_names()))
def test_no_package_claims_a_name_of_ours(name: str) -> None:
    claimed = _installed()
    found = importlib.machinery.PathFinder.find_spec(name, [str(ROOT), *sys.path])

    assert name not in sys.stdlib_module_names
    assert name not in claimed, f"{name} is also a module of {claimed.get(name)}"
    assert found is not None
    assert found.origin is not None
    assert Path(found.origin).is_relative_to(ROOT)


def test_package_markers_are_empty() -> None:
    markers = [file for file in _files() if file.name == "__init__.py"]

    assert markers
    assert [file for file in markers if file.read_bytes()] == []


def _locks() -> list[Path]:
    return sorted([*ROOT.glob("requirements*.txt"), *ROOT.glob("bench/peers/requirements*.txt")])


def test_locks_name_no_index() -> None:
    locks = _locks()
    addresses = re.compile(
        r"://|^\s*(-i|-f|--index-url|--extra-index-url|--find-links)\b", re.MULTILINE
    )

    assert [str(lock.relative_to(ROOT)) for lock in locks] == [
        "bench/peers/requirements-celery.txt",
        "bench/peers/requirements-dbos.txt",
        "bench/peers/requirements-procrastinate.txt",
        "requirements-dev.txt",
        "requirements.txt",
    ]
    assert [lock.name for lock in locks if addresses.search(lock.read_text())] == []


def test_every_locked_package_has_an_exact_version_and_a_hash() -> None:
    for lock in _locks():
        entries = re.split(r"\n(?=\S)", lock.read_text().strip())
        loose = [e for e in entries if not re.match(r"[\w.\[\]-]+==\S+[^\n]*\\\n\s+--hash=", e)]
        assert loose == []


def test_modules_have_at_most_600_lines() -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_bytes().splitlines()) for file in _files()
    }

    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_ci_runs_make_test_only() -> None:
    run = ROOT / ".ci" / "run"
    lines = run.read_text().splitlines()

    assert os.access(run, os.X_OK)
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1] == "set -euo pipefail"
    assert lines[-1] == "make test"


_WRITES_ENROLLMENTS = re.compile(
    r"\b(?:update|insert\s+into|delete\s+from|merge\s+into)\s+(?:only\s+)?enrollments\b"
    r"|\b(?:update|insert|delete|upsert)\(Enrollment\)",
    re.IGNORECASE,
)


def test_four_modules_write_enrollments() -> None:
    elsewhere = ("tests", "bench", "migrations")
    writers = {
        str(file.relative_to(ROOT))
        for file in _files()
        if file.relative_to(ROOT).parts[0] not in elsewhere
        and _WRITES_ENROLLMENTS.search(file.read_text())
    }

    known = ("enrollments", "pauses", "replies", "skips", "variables", "waits")
    assert writers == {f"storage/enrollments/{name}.py" for name in known}


def test_every_contract_covers_every_package() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"tests", "bench"}

    assert set(configuration["root_packages"]) == packages


def test_only_settings_reads_the_environment() -> None:
    reads = re.compile(r"\bos\.(environ|getenv|putenv)\b|from os import .*\b(environ|getenv)\b")
    python = [file for file in _files() if "tests" not in file.parts and file.name != "settings.py"]

    assert [file for file in python if reads.search(file.read_text())] == []


def test_example_names_every_setting_with_its_default() -> None:
    import settings  # noqa: PLC0415 (the layout does not otherwise depend on it)

    example = (ROOT / ".env.example").read_text()
    shown = dict(re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", example, re.MULTILINE))
    fields = [
        *settings.ApiSettings.model_fields.items(),
        *settings.StandaloneSettings.model_fields.items(),
    ]
    names = {str(field.validation_alias or name).upper() for name, field in fields}

    assert set(shown) == names
    for name, field in fields:
        default = field.get_default()
        if field.is_required() or default is None:
            continue
        seconds = getattr(default, "total_seconds", None)
        text = f"{seconds():.12g}" if seconds else str(default)
        variable = str(field.validation_alias or name).upper()
        assert shown[variable].lower() == text.lower(), variable


@cache
def _texts() -> dict[str, str]:
    """Read our text files, by path: those that git knows, or all Python files without git."""
    inside = (ROOT / ".git").exists()
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True) if inside else None
    names = listed.stdout.decode().split("\0")[:-1] if listed else map(str, _files())
    found: dict[str, str] = {}
    for file in (ROOT / name for name in names):
        content = file.read_bytes() if file.is_file() else b"\0"
        if b"\0" not in content:
            found[str(file.relative_to(ROOT))] = content.decode()
    return found


_OUTSIDE = re.compile(
    r"\bDESIGN\b"
    r"|\b(?:CONVENTIONS|HOUSE|COPY|FACTS)\.md\b"
    r"|\b[Ss]ections? \d"
    r"|\b[Ii]ssues? \d"
    r"|\[M\]"
)
"""Citations that a reader of the repository cannot look up."""

_RFC_SECTION = re.compile(r"(?:RFC \d+|\b\d+bis),\s+section \d[\d.]*")
_CITED_HEADING = re.compile(r'docs/design\.md,\s+"([^"]+)"')


def test_no_file_cites_documents_outside_the_repository() -> None:
    cited = {
        name: found
        for name, text in _texts().items()
        if name != "tests/test_layout.py"
        # Texts of people cite nothing: "Section 8" is a housing voucher.
        and not (name.startswith("tests/domain/suppression/intent/") and name.endswith(".tsv"))
        and _OUTSIDE.search(text)  # in few files; those alone are searched without their RFCs
        and (found := _OUTSIDE.findall(_RFC_SECTION.sub("", text)))
    }

    assert cited == {}


@pytest.mark.parametrize(
    "text", ["Section 5: never twice", "see DESIGN", "Issue 2 of 4", "57 s [M]", "sections 3 and 5"]
)
def test_citation_of_an_outside_document_is_noticed(text: str) -> None:
    assert _OUTSIDE.search(_RFC_SECTION.sub("", text))


def test_every_cited_heading_of_the_design_exists() -> None:
    design = (ROOT / "docs" / "design.md").read_text()
    headings = set(re.findall(r"^#+ (.+)$", design, re.MULTILINE))
    cited = {
        (name, " ".join(heading.split()))
        for name, text in _texts().items()
        if name != "tests/test_layout.py"
        for heading in _CITED_HEADING.findall(text)
    }

    assert cited
    assert {(name, heading) for name, heading in cited if heading not in headings} == set()


_BUILT = re.compile(r"^(api/static/build|screenshots|\.segue|\.venv|manifest\.json)(/|$)")
"""Files that commands write and git ignores."""

_PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
_FILE = re.compile(r"\.(css|html|ini|js|json|md|py|sh|toml|tsv|txt|ya?ml)$")
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_BACKTICKED = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_CITED_NAME = re.compile(r"([\w./-]+\.py)::([\w:.]+)")


@cache
def _documents() -> dict[Path, str]:
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    return {file: file.read_text() for file in files}


def _is_path(text: str) -> bool:
    """Return whether a word in backticks is a path in the repository that git knows."""
    if not _PATH.fullmatch(text) or _BUILT.match(text):
        return False
    inside, _, rest = text.partition("/")
    return bool(_FILE.search(text)) or (bool(rest or "/" in text) and (ROOT / inside).is_dir())


def _exists(path: str) -> bool:
    """Return whether a path exists, from the root or from `tests`."""
    path = path.rstrip("/")
    return any(True for folder in (ROOT, ROOT / "tests") for _ in folder.glob(path))


def test_every_path_in_the_documents_exists() -> None:
    lost = {
        (file.name, path)
        for file, text in _documents().items()
        for cited in _BACKTICKED.findall(_CODE.sub("", text))
        if _is_path(path := cited.partition("::")[0]) and not _exists(path)
    }

    assert lost == set()


def _defined(body: Sequence[ast.stmt], outer: str = "") -> Iterator[str]:
    """List functions, classes and constants, and methods with and without their class."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield from {name, outer + name}
            case ast.ClassDef(name=name, body=inner):
                yield name
                yield from _defined(inner, f"{name}.")
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield outer + name
            case _:
                pass


@cache
def _names_in(path: str) -> frozenset[str]:
    """Read what a module defines; its path is from the root or from `tests`."""
    files = [file for folder in (ROOT, ROOT / "tests") if (file := folder / path).is_file()]
    return frozenset(name for file in files for name in _defined(ast.parse(file.read_text()).body))


def test_every_name_in_the_documents_exists() -> None:
    cited = {
        (file.name, *found.groups())
        for file, text in _documents().items()
        for word in _BACKTICKED.findall(text)
        if (found := _CITED_NAME.fullmatch(word))
    }

    assert len(cited) > MANY_NAMES
    assert {one for one in cited if one[2].replace("::", ".") not in _names_in(one[1])} == set()


def test_walks_name_every_route_that_sends() -> None:
    walks = (ROOT / "docs" / "walks.md").read_text()
    sending = {
        f"{file.relative_to(ROOT)}::{node.name}"
        for file in _files()
        if file.is_relative_to(ROOT / "api") and "Sends" in (source := file.read_text())
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.AsyncFunctionDef)
        and any("Sends" in ast.unparse(mark) for mark in node.decorator_list)
    }

    assert len(sending) > 1
    assert {route for route in sending if f"`{route}`" not in walks} == set()


def test_every_link_in_the_documents_leads_somewhere() -> None:
    lost = {
        (file.name, link)
        for file, text in _documents().items()
        for link in _LINK.findall(_CODE.sub("", text))
        if not (file.parent / link).exists()
    }

    assert lost == set()


@pytest.mark.parametrize(
    ("text", "is_path"),
    [
        ("worker.py", True),
        ("services/nowhere/", True),
        ("domain/*/ports.py", True),
        ("messages/<uuid>", False),
        ("/api/contacts", False),
        ("api/static/build", False),
        ("segue-send", False),
    ],
)
def test_path_in_a_document_is_recognized(text: str, *, is_path: bool) -> None:
    assert _is_path(text) is is_path


AREAS = {
    "access",
    "contacts",
    "enrollments",
    "event_webhooks",
    "jobs",
    "maintenance",
    "messaging",
    "platform",
    "sequences",
    "suppression",
}


def _rooms(folder: str) -> set[str]:
    """List the top of a folder, without the package marker."""
    return {
        entry.name
        for entry in (ROOT / folder).iterdir()
        if entry.name not in {"__init__.py", "__pycache__"}
    }


@pytest.mark.parametrize(
    ("layer", "beside"),
    [("domain", {"statuses"}), ("services", {"factory.py"}), ("storage", {"schema.py", "tables"})],
)
def test_every_layer_has_the_same_areas(layer: str, beside: set[str]) -> None:
    assert _rooms(layer) == AREAS | beside


@pytest.mark.parametrize("layer", ["domain", "services", "storage"])
def test_tests_mirror_the_areas(layer: str) -> None:
    folders = {
        name for name in _rooms(f"tests/{layer}") if (ROOT / "tests" / layer / name).is_dir()
    }

    assert folders - AREAS <= {"statuses"}


def test_contract_of_the_areas_names_every_area() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [contract] = [one for one in contracts["contracts"] if one["name"].startswith("areas:")]

    for area in AREAS:
        assert f"services.{area} : storage.{area} : domain.{area}" in contract["layers"]


_FORMER_NAMES = {
    "Enrolment": "Enrollment or EnrollResult",
    "enrolment": "enrollment",
    "Standing": "EnrollmentState or ActiveSuppression",
    "stands_anew": "a guard of a transition",
    "Opening": "NextAction",
    "Call": "SendRequest",
    "Answer": "SendResult",
    "Verdict": "Decision",
    "Learned": "Evidence",
    "Fact": "Ended",
    "Unsettled": "NeedsReconciliation",
    "Endings": "Finishing",
    "consequences": "interpret and apply",
    "CatchUp": "Backfill",
    "read_wish": "read_intent",
    "job_acts": "handlers",
    "Batch": "BulkActions",
    "ContactList": "EnrollmentList",
    "contact_list": "enrollment_list",
    "Vitals": "Health",
    "VitalSigns": "HealthReport",
    "Presence": "Availability",
    "rezoning": "reschedule",
    "retiming": "reschedule",
    "rezoned_due": "rescheduled_due",
    "Place": "NextStep",
    "Course": "SequenceSnapshot",
    "Due": "DueDelivery",
    "Moved": "RescheduledStep",
    "Waiting": "WaitingStep",
    "BREATH": "CLOCK_SKEW_BACKOFF",
    "_looks": "_wakeups",
    "kick": "Database.after_commit",
}
"""Identifiers that a newcomer had to learn, and the field's words that replaced them."""


_FORMER = re.compile(rf"\b(?:{'|'.join(_FORMER_NAMES)})\b")


def _former_names(file: Path) -> set[str]:
    """Return the former names that a module uses, but for attributes of others."""
    text = file.read_text()
    if not _FORMER.search(text):
        return set()
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        token.string
        for before, token in pairwise(tokens)
        if token.type == tokenize.NAME and before.string != "." and token.string in _FORMER_NAMES
    }


def test_no_module_uses_a_former_name() -> None:
    used = {
        str(file.relative_to(ROOT)): sorted(found)
        for file in _files()
        if "migrations" not in file.parts
        if (found := _former_names(file))
    }

    assert used == {}
