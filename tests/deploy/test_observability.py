"""What watches the gateways in the compose file: its parts fit together, and to what the code exports."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tallygate.cli.commands import app
from tallygate.dashboards import boards, encode
from tallygate.dashboards.installing import FOLDER
from tallygate.dashboards.traces import ATTRIBUTES
from tallygate.dialects import DIALECTS
from tallygate.gateway.settings import load
from tallygate.promql import label_names
from tallygate.rules import Targets, groups_of
from tests.deploy.composed import COMPOSE, FILE, environment, filled, secrets
from tests.deploy.observing import service, webhook
from tests.deploy.schemas import DATA_SOURCES, PROVIDERS, TEMPO, problems

__all__ = ["secrets"]

SERVICES: dict[str, Any] = FILE["services"]
OURS = {family.name: label_names(family) for family in DIALECTS["tallygate"]}


def loaded(name: str) -> Any:
    return yaml.safe_load((COMPOSE / name).read_text())


def sources() -> dict[str, dict[str, Any]]:
    """Grafana's data sources by uid."""
    return {source["uid"]: source for source in loaded("grafana/datasources.yaml")["datasources"]}


def alertmanager_config(directory: Path, secrets: Path, **given: str) -> Path:
    """Alertmanager's configuration, its variables set to these."""
    file = directory / "alertmanager.yml"
    file.write_text(filled(FILE["configs"]["alertmanager"]["content"], given).replace("/run/secrets", str(secrets)))
    return file


def exported(directory: Path, name: str) -> Path:
    """What one of the services that write files writes, in a directory that stands for its volume."""
    (volume,) = SERVICES[name]["volumes"]
    target = directory / name
    command = [filled(word).replace(volume.partition(":")[2], str(target)) for word in SERVICES[name]["command"]]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return target


def mounted(name: str, volume: str) -> str:
    """Where a service sees a volume, read-only."""
    (found,) = [each for each in SERVICES[name]["volumes"] if each.startswith(f"{volume}:")]
    source, target, mode = found.split(":")
    assert (source, mode) == (volume, "ro")
    return str(target)


@pytest.mark.parametrize(
    ("name", "schema"),
    [("grafana/datasources.yaml", DATA_SOURCES), ("grafana/dashboards.yaml", PROVIDERS), ("tempo.yaml", TEMPO)],
)
def test_files_hold_what_is_documented(name: str, schema: dict[str, Any]) -> None:
    assert problems(loaded(name), schema) == []


def test_the_schemas_tell_what_is_wrong() -> None:
    document = loaded("grafana/datasources.yaml")
    del document["datasources"][1]["jsonData"]["implementation"]
    document["datasources"][2]["jsonData"]["traceToMetrics"] = {}
    found = problems(document, DATA_SOURCES)
    assert [problem.partition(":")[0] for problem in found] == ["$.datasources[1]", "$.datasources[2]"]


def test_data_sources_lead_to_services_and_to_each_other() -> None:
    found = sources()
    assert {source["type"] for source in found.values()} == {"prometheus", "alertmanager", "tempo"}
    ports = {"prometheus": 9090, "alertmanager": 9093, "tempo": loaded("tempo.yaml")["server"]["http_listen_port"]}
    assert {source["url"] for source in found.values()} == {f"http://{name}:{port}" for name, port in ports.items()}
    for name in ports:
        assert set(SERVICES[name]["networks"]) == set(SERVICES["grafana"]["networks"])
    prometheus = found["prometheus"]["jsonData"]
    assert found[prometheus["alertmanagerUid"]]["type"] == "alertmanager"
    assert found[found["tempo"]["jsonData"]["tracesToMetrics"]["datasourceUid"]]["type"] == "prometheus"
    (exemplars,) = prometheus["exemplarTraceIdDestinations"]
    assert exemplars["name"] == "trace_id"
    assert found[exemplars["datasourceUid"]]["type"] == "tempo"
    assert prometheus["timeInterval"] == loaded("prometheus.yml")["global"]["scrape_interval"]


def test_spans_lead_to_metrics_that_there_are() -> None:
    correlation = sources()["tempo"]["jsonData"]["tracesToMetrics"]
    tags = {tag["key"]: tag["value"] for tag in correlation["tags"]}
    assert all(ATTRIBUTES[label] == f"span.{attribute}" for attribute, label in tags.items())
    for query in correlation["queries"]:
        # Grafana takes $$ for a $ of the query's own.
        found = re.findall(r"\b(tallygate_\w+)\{\$\$__tags\}", query["query"])
        assert found, query
        for name in found:
            assert set(tags.values()) <= set(OURS[name.removesuffix("_bucket")])


@pytest.mark.parametrize("dialect", ["tallygate"])
def test_boards_find_their_data_sources(dialect: str) -> None:
    types = {source["type"] for source in sources().values()}
    for board in boards(dialect):
        model = json.loads(encode(board.dashboard()))
        asked = {each["query"] for each in model["templating"]["list"] if each["type"] == "datasource"}
        assert asked
        assert asked <= types


def test_grafana_takes_the_boards_that_are_exported(tmp_path: Path) -> None:
    (provider,) = loaded("grafana/dashboards.yaml")["providers"]
    assert provider["options"]["path"] == mounted("grafana", "dashboards")
    # The same folder as `tallygate dashboards install` uses: one does not double the other.
    assert (provider["folderUid"], provider["folder"]) == (FOLDER.uid, FOLDER.title)
    files = {file.name: file.read_text() for file in exported(tmp_path, "dashboards").iterdir()}
    assert files == {f"{board.uid}.json": encode(board.dashboard()) for board in boards()}
    assert SERVICES["grafana"]["depends_on"] == {"dashboards": {"condition": "service_completed_successfully"}}


def test_nobody_signs_up_at_grafana_and_its_password_is_a_secret() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_password"
    assert SERVICES["grafana"]["secrets"] == ["grafana_password"]
    assert not [name for name in environment if name.endswith("PASSWORD")]
    for name in ("grafana", "prometheus", "alertmanager", "tempo"):
        (port,) = SERVICES[name]["ports"]
        assert filled(port).startswith("127.0.0.1:")


def test_tempo_takes_otlp_and_keeps_it_on_its_volume() -> None:
    found = loaded("tempo.yaml")
    receivers = found["distributor"]["receivers"]["otlp"]["protocols"]
    assert {name: each["endpoint"] for name, each in receivers.items()} == {
        "grpc": "0.0.0.0:4317",
        "http": "0.0.0.0:4318",
    }
    (port,) = SERVICES["tempo"]["ports"]
    assert filled(port).endswith(":4318:4318")
    (volume,) = SERVICES["tempo"]["volumes"]
    trace = found["storage"]["trace"]
    assert all(trace[part]["path"].startswith(f"{volume.partition(':')[2]}/") for part in ("wal", "local"))


@pytest.mark.parametrize("receiver", ["nobody", "webhook", "email"])
def test_alertmanager_takes_its_configuration(tmp_path: Path, secrets: Path, receiver: str) -> None:
    file = alertmanager_config(tmp_path, secrets, ALERT_RECEIVER=receiver, ALERT_SMTP_USER="mailer")
    done = subprocess.run(["amtool", "check-config", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    routes = ("--config.file", str(file), 'severity="critical"', 'alertname="Any"')
    routed = subprocess.run(["amtool", "config", "routes", "test", *routes], capture_output=True, text=True, check=True)
    assert routed.stdout.strip() == receiver
    assert (secrets / "smtp_password").is_file()
    assert SERVICES["alertmanager"]["secrets"] == ["smtp_password"]


def test_an_alert_reaches_the_webhook(tmp_path: Path, secrets: Path) -> None:
    with webhook() as (url, posted):
        file = alertmanager_config(tmp_path, secrets, ALERT_RECEIVER="webhook", ALERT_WEBHOOK_URL=url)
        file.write_text(file.read_text().replace("group_wait: 30s", "group_wait: 0s"))
        places = {"/etc/alertmanager/alertmanager.yml": str(file), "/alertmanager": str(tmp_path / "data")}
        with service("alertmanager", "prometheus-alertmanager", places) as running:
            running.ask(
                "/api/v2/alerts", [{"labels": {"alertname": "Down", "severity": "warning", "job": "tallygate"}}]
            )
            told = posted.get(timeout=30)
    assert (told["receiver"], told["status"], told["groupLabels"]) == (
        "webhook",
        "firing",
        {"alertname": "Down", "job": "tallygate"},
    )


def test_prometheus_loads_the_rules_and_finds_alertmanager(tmp_path: Path, secrets: Path) -> None:
    rules = exported(tmp_path, "rules")
    config = tmp_path / "prometheus.yml"
    places = {"/etc/prometheus/prometheus.yml": str(config), "/prometheus": str(tmp_path / "prometheus")}
    alertmanager = {
        "/etc/alertmanager/alertmanager.yml": str(alertmanager_config(tmp_path, secrets)),
        "/alertmanager": str(tmp_path / "alertmanager"),
    }
    with service("alertmanager", "prometheus-alertmanager", alertmanager) as receiver:
        text = (COMPOSE / "prometheus.yml").read_text().replace("/run/secrets", str(secrets))
        text = text.replace(mounted("prometheus", "rules"), str(rules))
        config.write_text(text.replace("alertmanager:9093", f"127.0.0.1:{receiver.port}"))
        subprocess.run(["promtool", "check", "config", str(config)], check=True, capture_output=True)
        with service("prometheus", "prometheus", places) as running:
            groups = running.until("/api/v1/rules", lambda answer: bool(answer["data"]["groups"]))["data"]["groups"]
            found = running.until("/api/v1/alertmanagers", lambda answer: bool(answer["data"]["activeAlertmanagers"]))
            flags = running.ask("/api/v1/status/flags")["data"]
            targets = running.until("/api/v1/targets", lambda answer: bool(answer["data"]["activeTargets"]))
    assert [(group["name"], [rule["name"] for rule in group["rules"]]) for group in groups] == sorted(
        (group.name, [rule.name for rule in group.rules]) for group in groups_of("tallygate", Targets())
    )
    (one,) = found["data"]["activeAlertmanagers"]
    assert one["url"] == f"http://127.0.0.1:{receiver.port}/api/v2/alerts"
    assert (flags["storage.tsdb.retention.time"], flags["enable-feature"]) == ("30d", "exemplar-storage")
    assert sorted(
        (target["labels"]["job"], target["labels"]["instance"]) for target in targets["data"]["activeTargets"]
    ) == [
        ("observability", f"127.0.0.1:{receiver.port}"),
        ("observability", "grafana:3000"),
        ("observability", "localhost:9090"),
        ("observability", "tempo:3200"),
        ("postgres", "postgres-exporter:9187"),
        ("tallygate", "gateway-1:3131"),
        ("tallygate", "gateway-2:3131"),
    ]


def test_the_live_page_asks_this_prometheus(secrets: Path) -> None:
    found = load(file=COMPOSE / "tallygate.yaml", environ=environment("gateway-1", secrets)).dashboard
    assert found.prometheus_url is not None
    assert found.prometheus_url.get_secret_value() == sources()["prometheus"]["url"]
    ours, *_ = loaded("prometheus.yml")["scrape_configs"]
    assert found.prometheus_job == ours["job_name"]
    assert loaded("prometheus.yml")["global"]["scrape_interval"] == f"{found.prometheus_scrape_seconds:g}s"


@pytest.mark.parametrize(("variable", "value"), [("SPEND_PER_HOUR", "7"), ("AVAILABILITY_OBJECTIVE", "99")])
def test_what_alerts_go_by_is_set_in_the_environment(variable: str, value: str) -> None:
    command = SERVICES["rules"]["command"]
    (found,) = [word for word in command if f"${{{variable}:-" in word]
    option = command[command.index(found) - 1]
    assert option.removeprefix("--").replace("-", "_") == variable.lower()
    done = CliRunner().invoke(app, ["rules", "export", option, value])
    changed = Targets(**{variable.lower(): float(value)})
    expressions = [str(rule.query) for group in groups_of("tallygate", changed) for rule in group.rules]
    written = [rule["expr"] for group in yaml.safe_load(done.stdout)["groups"] for rule in group["rules"]]
    assert written == expressions
    assert written != [str(rule.query) for group in groups_of("tallygate", Targets()) for rule in group.rules]
