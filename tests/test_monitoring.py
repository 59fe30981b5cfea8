"""The dashboard, alerts and scraping match the metrics and the pages."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import temporalio.bridge
import yaml
from prometheus_client import Counter, Gauge, Histogram

from observability import metrics
from workflows.client import ENROLLED_BY_ATTRIBUTE, SEQUENCE_ATTRIBUTE

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboards/segue.json").read_text())
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
SCRAPING: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
MONITORING = {
    name: service for name, service in COMPOSE["services"].items() if "profiles" in service
}
PAGE = (ROOT / "docs/operations.md").read_text()

SDK_LABELS = {"namespace", "task_queue", "worker_type", "workflow_type"}
NO_LABELS = {"job", "instance", "le"}
SUFFIXES: dict[type, tuple[str, ...]] = {
    Counter: ("_total",),
    Histogram: ("_bucket", "_sum", "_count"),
    Gauge: ("",),
}


def ours() -> dict[str, set[str]]:
    """List our series with their labels."""
    found: dict[str, set[str]] = {}
    for measured in vars(metrics).values():
        if isinstance(measured, Counter | Gauge | Histogram):
            for suffix in SUFFIXES[type(measured)]:
                found[measured._name + suffix] = set(measured._labelnames)
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return shown + [rule["expr"] for rule in ALERTS]


def labels(query: str) -> set[str]:
    """List the labels that a query selects or groups by."""
    selected = re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|=)", query)
    grouped = [name for names in re.findall(r"by \(([^)]*)\)", query) for name in names.split(",")]
    return {name.strip() for name in [*selected, *grouped]}


@pytest.mark.parametrize("query", queries())
def test_queries_use_existing_series_and_labels(query: str) -> None:
    known = ours()
    names = set(re.findall(r"\bsegue_\w+", query))
    sdk_names = {
        re.sub("_(bucket|count|sum)$", "", name) for name in re.findall(r"\btemporal_\w+", query)
    }
    [library] = Path(temporalio.bridge.__path__[0]).glob("temporal_sdk_bridge*.so")
    inside = library.read_bytes()

    assert names | sdk_names or re.search(r"\bup\b", query)
    assert names <= set(known)
    assert {
        name for name in sdk_names if name.removeprefix("temporal_").encode() not in inside
    } == set()
    allowed = NO_LABELS.union(*(known[name] for name in names))
    assert labels(query) <= (allowed | SDK_LABELS if sdk_names else allowed)


def test_every_metric_is_shown_or_alerted_on() -> None:
    asked = " ".join(queries())
    families = {re.sub("_(bucket|count|sum)$", "", name) for name in ours()}

    assert {name for name in families if name not in asked} == set()


def test_dashboard_is_valid_for_grafana() -> None:
    positions = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    taken = [
        (x, y)
        for position in positions
        for x in range(position["x"], position["x"] + position["w"])
        for y in range(position["y"], position["y"] + position["h"])
    ]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    provisioned = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    )

    assert len(set(ids)) == len(ids)
    assert len(set(taken)) == len(taken), "no panel covers another"
    assert max(x for x, _ in taken) < 24
    assert {panel["type"] for panel in panels()} == {"stat", "timeseries"}
    assert {panel["datasource"]["uid"] for panel in panels()} == {
        source["uid"] for source in provisioned["datasources"]
    }


def test_panels_about_held_enrollments_link_to_the_pages() -> None:
    [address] = DASHBOARD["templating"]["list"]
    leading = {
        panel["title"]: link["url"]
        for panel in panels()
        for link in panel.get("links", [])
        if link in panel["fieldConfig"]["defaults"]["links"]
    }

    assert (address["name"], address["type"]) == ("segue", "textbox")
    assert leading == {
        "Held enrollments": "${segue:raw}/sequences",
        "Held by reason": "${segue:raw}/sequences",
        "Senders on hold": "${segue:raw}/settings/senders",
    }


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_is_documented(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["summary"]
    page, _, part = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/operations.md"
    assert part in {title.lower().replace(" ", "-") for title in re.findall("(?m)^## (.+)$", PAGE)}
    assert f"`{rule['alert']}`" in PAGE


def test_every_documented_alert_exists() -> None:
    names = {rule["alert"] for rule in ALERTS}

    attributes = {SEQUENCE_ATTRIBUTE.name, ENROLLED_BY_ATTRIBUTE.name}
    assert set(re.findall(r"`(Segue[A-Z]\w+)`", PAGE)) - attributes == names
    assert set(re.findall(r"`(segue_\w+)`", PAGE)) <= set(ours())


def test_scraped_ports_match_served_ports() -> None:
    ports = {
        (config["job_name"], name, source["port"])
        for config in SCRAPING["scrape_configs"]
        for source in config["dns_sd_configs"]
        for name in source["names"]
    }

    def served(service: str, variable: str) -> int:
        address: str = COMPOSE["services"][service]["environment"][variable]
        return int(address.rpartition(":")[2])

    assert ports == {
        ("segue-api", "api", served("api", "METRICS_ADDRESS")),
        ("segue-worker", "worker", served("worker", "METRICS_ADDRESS")),
        ("segue-sdk", "api", served("api", "SDK_METRICS_ADDRESS")),
        ("segue-sdk", "worker", served("worker", "SDK_METRICS_ADDRESS")),
    }


def test_metrics_are_not_published() -> None:
    published = str([service.get("ports") for service in COMPOSE["services"].values()])

    assert not re.search(r"946[45]", published)


def test_monitoring_is_optional_and_local() -> None:
    assert set(MONITORING) == {"prometheus", "grafana"}
    for service in MONITORING.values():
        assert service["profiles"] == ["monitoring"]
        assert re.fullmatch(r"(prom|grafana)/\w+:v?\d+\.\d+\.\d+", service["image"])
        assert service["restart"] == "unless-stopped"
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for mount in service["volumes"]:
            source, *rest = mount.split(":")
            assert not source.startswith(".") or (rest[-1] == "ro" and (ROOT / source).exists())
