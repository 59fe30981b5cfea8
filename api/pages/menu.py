"""Entries of the sidebar and of the settings tabs."""

from dataclasses import dataclass

from domain.statuses.access import Role


@dataclass(frozen=True)
class Entry:
    """One entry of a menu.

    Attributes:
        role: The weakest role that sees it.
        count: The page function that counts what waits there; empty if there is none.
        key: What leads there after G on the keyboard; empty for nothing.
    """

    label: str
    path: str
    icon: str
    role: Role = Role.VIEWER
    count: str = ""
    key: str = ""

    def is_current(self, path: str) -> bool:
        """Whether a page is this entry's or below it."""
        return path == self.path or path.startswith(f"{self.path}/")


SIDEBAR = (
    Entry("Sequences", "/sequences", icon="route", key="s"),
    Entry("Contacts", "/contacts", icon="users", key="c"),
    Entry("Groups", "/groups", icon="users-group", key="g"),
    Entry("Conversations", "/conversations", icon="messages", count="count_conversations", key="i"),
    Entry("Review", "/reviews", icon="message-question", count="count_reviews", key="r"),
    Entry("Reports", "/reports", icon="chart-bar", key="p"),
    Entry("Settings", "/settings", icon="settings", key=","),
)
"""The sidebar; its first page is the one shown after signing in."""

SETTINGS = (
    Entry("Workspace", "/settings/workspace", icon="building"),
    Entry("Senders", "/settings/senders", icon="device-mobile"),
    Entry("Fields", "/settings/fields", icon="id"),
    Entry("Saved replies", "/settings/saved-replies", icon="message-bolt"),
    Entry("Users", "/settings/users", icon="users", role=Role.ADMIN),
    Entry("Opt-outs", "/settings/opt-outs", icon="ban"),
    Entry("Webhooks", "/settings/webhooks", icon="webhook", role=Role.ADMIN),
    Entry("Activity", "/settings/activity", icon="activity"),
    Entry("Audit log", "/settings/audit", icon="history", role=Role.ADMIN),
    Entry("My account", "/settings/account", icon="user"),
)
"""The settings tabs; `/settings` leads to the first."""
