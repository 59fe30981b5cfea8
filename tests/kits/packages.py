"""Which installed packages the lock of the image names, and which are here for the tests alone."""

import importlib.metadata
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def locked_packages() -> set[str]:
    """List what the image's environment has."""
    lock = (ROOT / "requirements.txt").read_text()
    return {*re.findall(r"^([\w.-]+)(?:\[.*\])?==", lock, re.MULTILINE)}


def other_modules() -> set[str]:
    """List the modules of the packages that are here too, for the tests."""
    locked = locked_packages()
    return {
        name
        for found in importlib.metadata.distributions()
        if re.sub("[-_.]+", "-", found.name).lower() not in locked
        for name in {file.parts[0].removesuffix(".py") for file in found.files or ()}
        if name.isidentifier()
    }
