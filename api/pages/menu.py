"""What the sidebar and the tabs of the settings show; a page that is not built yet is not here."""

from dataclasses import dataclass

from domain.statuses import Role


@dataclass(frozen=True)
class Entry:
    """One entry of a menu.

    Attributes:
        label: Its words.
        path: The page it leads to; it is current on that page and all below it.
        icon: The name of a Tabler icon.
        role: The least role that sees it.
    """

    label: str
    path: str
    icon: str
    role: Role = Role.VIEWER

    def is_current(self, path: str) -> bool:
        """Whether a page is this one or below it."""
        return path == self.path or path.startswith(f"{self.path}/")


SIDEBAR = (
    Entry("Sequences", "/sequences", icon="route"),
    Entry("Conversations", "/conversations", icon="messages"),
    Entry("Settings", "/settings", icon="settings"),
)
"""The first is where one lands after signing in."""

SETTINGS = (
    Entry("Workspace", "/settings/workspace", icon="building"),
    Entry("My account", "/settings/account", icon="user"),
)
"""The tabs of the settings; the first is where `/settings` leads."""
