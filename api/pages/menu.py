"""What the sidebar and the tabs of the settings show; a page that is not built yet is not here."""

from dataclasses import dataclass

from domain.statuses.access import Role


@dataclass(frozen=True)
class Entry:
    """One entry of a menu.

    Attributes:
        label: Its words.
        path: The page it leads to; it is current on that page and all below it.
        icon: The name of a Tabler icon.
        role: The least role that sees it.
        count: The function of the page that says how many wait there, if any may.
    """

    label: str
    path: str
    icon: str
    role: Role = Role.VIEWER
    count: str = ""

    def is_current(self, path: str) -> bool:
        """Whether a page is this one or below it."""
        return path == self.path or path.startswith(f"{self.path}/")


SIDEBAR = (
    Entry("Sequences", "/sequences", icon="route"),
    Entry("Contacts", "/contacts", icon="users"),
    Entry("Groups", "/groups", icon="users-group"),
    Entry("Conversations", "/conversations", icon="messages"),
    Entry("Review", "/reviews", icon="message-question", count="count_reviews"),
    Entry("Settings", "/settings", icon="settings"),
)
"""The first is where one lands after signing in."""

SETTINGS = (
    Entry("Workspace", "/settings/workspace", icon="building"),
    Entry("Senders", "/settings/senders", icon="device-mobile"),
    Entry("Users", "/settings/users", icon="users", role=Role.ADMIN),
    Entry("Opt-outs", "/settings/opt-outs", icon="ban"),
    Entry("Webhooks", "/settings/webhooks", icon="webhook", role=Role.ADMIN),
    Entry("Activity", "/settings/activity", icon="activity"),
    Entry("Audit log", "/settings/audit", icon="history", role=Role.ADMIN),
    Entry("My account", "/settings/account", icon="user"),
)
"""The tabs of the settings; the first is where `/settings` leads."""
