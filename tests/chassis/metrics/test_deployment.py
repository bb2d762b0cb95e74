"""What deploy/ holds fits the application: what a rule or a dashboard names is told, and every alert has its runbook."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from shared.infra.metrics.backlog import FAMILIES
from tests.architecture.tree import ROOT
from tests.chassis.metrics.conftest import Measured

RULES: Final = ROOT / "deploy" / "prometheus"
DASHBOARDS: Final = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
RUNBOOKS: Final = ROOT / "docs" / "operations.md"

WORDS: Final = {"and", "or", "unless", "by", "on", "without", "ignoring", "group_left", "group_right", "bool", "offset"}
OF_PROMETHEUS: Final = {"up": {"job", "instance"}}
EVERYWHERE: Final = {"job", "instance", "le"}

SELECTOR: Final = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
GROUPING: Final = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)")
NAME: Final = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
LABEL: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def names(expr: str) -> set[str]:
    """The metrics that an expression of PromQL names."""
    bare = GROUPING.sub("", re.sub(r"\{[^}]*\}|\[[^]]*\]|\"[^\"]*\"", "", expr))
    return {name for name in NAME.findall(bare) if name not in WORDS}


def labels(expr: str) -> Iterator[tuple[str, str]]:
    """The labels that it selects by, each with its metric."""
    for metric, matchers in SELECTOR.findall(expr):
        for label in LABEL.findall(re.sub(r"\"[^\"]*\"", "", matchers)):
            yield metric, label


def test_the_names_and_labels_of_an_expression_are_found():
    expr = 'sum by (le, x) (rate(a_total{b=~"c=d",e!="f"}[5m])) / on (g) h:i_j > 14.4 * 0.001 unless absent(k{l="m"}) == 0'
    assert names(expr) == {"a_total", "h:i_j", "k"}
    assert set(labels(expr)) == {("a_total", "b"), ("a_total", "e"), ("k", "l")}


def rules(file: str) -> list[dict[str, Any]]:
    groups = msgspec.yaml.decode((RULES / file).read_bytes())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def asked(dashboard: Path) -> list[str]:
    panels = msgspec.json.decode(dashboard.read_bytes())["panels"]
    return [target["expr"].replace("$__rate_interval", "1m") for panel in panels for target in panel.get("targets", ())]


ALERTS: Final = rules("alerts.yml")
RECORDED: Final = {rule["record"] for rule in rules("recording.yml")}
EXPRESSIONS: Final = {
    **{rule["alert"]: [rule["expr"]] for rule in ALERTS},
    **{rule["record"]: [rule["expr"]] for rule in rules("recording.yml")},
    **{dashboard.name: asked(dashboard) for dashboard in DASHBOARDS},
}


@pytest.fixture(scope="module")
async def told(measured: Measured) -> Mapping[str, set[str]]:
    """The samples that the application tells, each with its labels."""
    scrape = await measured.scrape()
    declared = {family.name: set(family.labels) for family in measured.container.shared.metrics().families()}
    declared |= {name: set(labels) for name, (_, labels) in FAMILIES.items()}
    found: dict[str, set[str]] = {}
    for name, kind in scrape.types.items():
        samples = {"counter": [f"{name}_total"], "histogram": [f"{name}_{part}" for part in ("bucket", "sum", "count")]}.get(kind, [name])
        found |= {sample: declared.get(sample, declared.get(name, set())) for sample in samples}
    return found


@pytest.mark.parametrize("where", EXPRESSIONS)
async def test_every_metric_and_label_that_is_named_is_told_by_the_application(where: str, told: Mapping[str, set[str]]):
    known = {**told, **OF_PROMETHEUS, **{name: set[str]() for name in RECORDED}}
    for expr in EXPRESSIONS[where]:
        assert names(expr), expr
        assert names(expr) - known.keys() == set(), expr
        assert [(metric, label) for metric, label in labels(expr) if label not in known[metric] | EVERYWHERE] == [], expr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_what_it_means_and_what_to_do(rule: dict[str, Any]):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    document, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (ROOT / document, anchor) == (RUNBOOKS, rule["alert"].lower())
    assert f"\n### {rule['alert']}\n" in RUNBOOKS.read_text(encoding="utf-8")


def test_there_is_no_runbook_without_an_alert():
    headings = re.findall(r"^### (\w+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(rule["alert"] for rule in ALERTS)


def test_every_alert_is_seen_to_fire_and_to_keep_quiet_in_a_unit_test():
    tests = msgspec.yaml.decode((RULES / "alerts.test.yml").read_bytes())["tests"]
    tried = [(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]]
    missing = [(rule["alert"], fires) for rule in ALERTS for fires in (True, False) if (rule["alert"], fires) not in tried]
    assert missing == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_provisioned_and_its_panels_ask_the_provisioned_source(dashboard: Path):
    board = msgspec.json.decode(dashboard.read_bytes())
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    sources = msgspec.yaml.decode((provisioning / "datasources" / "tenon.yml").read_bytes())["datasources"]
    assert board["uid"] == f"tenon-{dashboard.stem}"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    shown = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in shown} <= {source["uid"] for source in sources}
    assert [panel["title"] for panel in shown if not panel["title"] or not panel["targets"]] == []
    (provider,) = msgspec.yaml.decode((provisioning / "dashboards" / "tenon.yml").read_bytes())["providers"]
    mounted = compose()["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in mounted


def compose() -> dict[str, Any]:
    return dict(msgspec.yaml.decode((ROOT / "docker-compose.yml").read_bytes()))


def test_prometheus_reads_the_rules_and_asks_the_port_that_the_documents_name():
    config = msgspec.yaml.decode((RULES / "prometheus.yml").read_bytes())
    assert [file for file in config["rule_files"] if not (RULES / file).exists()] == []
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "tenon"
    (target,) = job["static_configs"][0]["targets"]
    assert f"TENON_METRICS_PORT={target.rpartition(':')[2]} " in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert f"TENON_METRICS_PORT={target.rpartition(':')[2]}" in RUNBOOKS.read_text(encoding="utf-8")


def test_every_service_of_the_composition_has_a_profile_a_fixed_version_and_no_door_to_the_outside():
    services: dict[str, dict[str, Any]] = compose()["services"]
    assert {profile for service in services.values() for profile in service["profiles"]} >= {"core", "observability"}
    for name, service in services.items():
        version = service["image"].rpartition(":")[2]
        assert re.match(r"v?\d", version), f"{name}: {service['image']}"
        ports: Sequence[str] = service.get("ports", ())
        assert [port for port in ports if not port.startswith("127.0.0.1:")] == [], name
        if service.get("network_mode") == "host":
            assert "127.0.0.1" in str([service.get("command"), service.get("environment")]), f"{name} listens to everybody"
        sources = [volume.partition(":")[0] for volume in service.get("volumes", ())]
        assert [source for source in sources if source.startswith(".") and not (ROOT / source).is_dir()] == [], name
        assert [source for source in sources if not source.startswith(".") and source not in compose()["volumes"]] == [], name
