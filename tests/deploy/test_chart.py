"""The Helm chart: what it renders fits together, and the gateway takes its configuration."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tallygate.gateway.server.supervisor import AFTER_GRACE
from tallygate.gateway.settings import Settings, load
from tests.deploy.chart import FILES, STAND_INS, VALUES, digest, files, held, rendered

Manifest = dict[str, Any]

NAMES = tuple(values.stem for values in VALUES)


class Release:
    """The manifests of one rendering."""

    def __init__(self, values: str) -> None:
        self.manifests = rendered(values)[1]

    def all(self, kind: str) -> list[Manifest]:
        return [one for one in self.manifests if one["kind"] == kind]

    def one(self, kind: str) -> Manifest:
        (found,) = self.all(kind)
        return found

    @property
    def pod(self) -> Manifest:
        pod: Manifest = self.one("StatefulSet")["spec"]["template"]
        return pod

    @property
    def container(self) -> Manifest:
        (container,) = self.pod["spec"]["containers"]
        found: Manifest = container
        return found

    def settings(self, directory: Path) -> Settings:
        """What the gateway makes of the pod's configuration file, environment and secrets."""
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in self.pod["spec"]["volumes"]}
        keys = {item["key"]: item["path"] for item in volumes["secrets"]["secret"]["items"]}
        for key, path in keys.items():
            secret = {
                "database-url": "postgresql://u@db/tallygate",
                "shared-url": "redis://valkey:6379/0",
            }.get(key, f"the-secret-called-{key}")
            (directory / path).write_text(secret)
        environ = {
            variable["name"]: variable["value"].replace(mounts["secrets"], str(directory))
            for variable in self.container["env"]
        }
        file = directory / "tallygate.yaml"
        (config,) = [one["data"] for one in self.all("ConfigMap") if "tallygate.yaml" in one["data"]]
        file.write_text(config["tallygate.yaml"])
        assert self.container["args"] == ["serve"]
        assert environ.pop("TALLYGATE_CONFIG") == f"{mounts['config']}/{file.name}"
        return load(file=file, environ=environ)


@pytest.fixture(params=NAMES)
def release(request: pytest.FixtureRequest) -> Release:
    return Release(request.param)


@pytest.mark.parametrize("values", VALUES, ids=NAMES)
def test_what_is_tested_is_what_the_chart_renders(values: Path) -> None:
    assert rendered(values.stem)[0] == digest(values), "run python -m tests.deploy.chart"


def test_the_chart_holds_the_boards_and_rules_of_the_code() -> None:
    current, found = files(), held(FILES)
    assert [name for name in current | found if current.get(name) != found.get(name)] == [], (
        "run python -m tests.deploy.chart"
    )


def test_boards_fit_into_config_maps() -> None:
    names = [Path(name).stem for name in files() if name.startswith("dashboards/")]
    assert len(names) >= 5
    for name in names:
        assert re.fullmatch(r"tallygate-[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
        # 1 MiB with all that surrounds it.
        assert len(files()[f"dashboards/{name}.json"]) < 900_000


@pytest.mark.parametrize(
    ("values", "name", "namespace", "labels", "annotations"),
    [
        ("defaults", "tallygate", None, {"grafana_dashboard": "1"}, {"grafana_folder": "Tallygate"}),
        (
            "everything",
            "gateway",
            "monitoring",
            {"grafana_dashboard": "1", "board": "yes"},
            {"grafana_folder": "Tallygate", "folder": "LLM"},
        ),
    ],
)
def test_grafana_s_sidecar_finds_the_boards(
    values: str, name: str, namespace: str | None, labels: dict[str, str], annotations: dict[str, str]
) -> None:
    (board,) = [
        one for one in Release(values).all("ConfigMap") if one["metadata"]["name"] == f"{name}-board-some-board"
    ]
    metadata = board["metadata"]
    assert metadata.get("namespace") == namespace
    assert labels.items() <= metadata["labels"].items()
    assert metadata["annotations"] == annotations
    stored = {f"dashboards/{file}": content for file, content in board["data"].items()}
    assert stored == {name: text for name, text in held(STAND_INS).items() if name.endswith(".json")}


def test_the_operator_finds_the_rules() -> None:
    whole = yaml.safe_load((STAND_INS / "tallygate.rules.yml").read_text())
    assert Release("defaults").one("PrometheusRule")["spec"] == whole
    rule = Release("everything").one("PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    # Without those that are disabled, and without a group that has nothing left; every alert has the further label.
    (group,) = rule["spec"]["groups"]
    recorded, alert, _ = whole["groups"][0]["rules"]
    assert group == {
        "name": "some",
        "rules": [recorded, {**alert, "labels": {"severity": "critical", "team": "platform"}}],
    }


def test_the_gateway_takes_the_configuration(release: Release, tmp_path: Path) -> None:
    settings = release.settings(tmp_path)
    ports = {port["name"]: port["containerPort"] for port in release.container["ports"]}
    assert settings.metrics.listener is not None
    assert ports == {"http": settings.server.port, "metrics": settings.metrics.listener.port}
    assert (settings.server.host, settings.metrics.listener.host) == ("0.0.0.0", "0.0.0.0")
    assert settings.accounts.enabled
    assert set(settings.providers) == {"openai"}


def test_secrets_come_from_the_secret(tmp_path: Path) -> None:
    settings = Release("defaults").settings(tmp_path)
    secrets = (
        settings.accounts.database_url,
        settings.shared.url,
        settings.accounts.admin_key,
        settings.metrics.secret,
        settings.providers["openai"].api_key,
    )
    assert [secret.get_secret_value() if secret else None for secret in secrets] == [
        "postgresql://u@db/tallygate",
        "redis://valkey:6379/0",
        "the-secret-called-admin-key",
        "the-secret-called-metrics-secret",
        "the-secret-called-openai-api-key",
    ]


def test_state_is_on_a_volume_of_its_own(release: Release, tmp_path: Path) -> None:
    settings = release.settings(tmp_path)
    mounts = {mount["name"]: Path(mount["mountPath"]) for mount in release.container["volumeMounts"]}
    (claim,) = release.one("StatefulSet")["spec"]["volumeClaimTemplates"]
    state = mounts[claim["metadata"]["name"]]
    assert settings.shared.state_directory.is_relative_to(state)
    assert settings.metrics.state_directory is not None
    assert settings.metrics.state_directory.is_relative_to(state)


@pytest.mark.parametrize(("values", "delay", "grace"), [("defaults", 5, 30), ("everything", 15, 120)])
def test_a_pod_has_time_to_finish_its_answers(values: str, delay: int, grace: int, tmp_path: Path) -> None:
    release = Release(values)
    assert release.settings(tmp_path).server.grace_seconds == grace
    assert release.container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", str(delay)]
    assert release.pod["spec"]["terminationGracePeriodSeconds"] >= delay + grace + AFTER_GRACE


def test_pods_have_no_privileges(release: Release) -> None:
    pod, container = release.pod["spec"], release.container
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_all_that_selects_pods_finds_them(release: Release) -> None:
    labels = release.pod["metadata"]["labels"].items()
    selectors = [
        release.one("StatefulSet")["spec"]["selector"]["matchLabels"],
        *(service["spec"]["selector"] for service in release.all("Service")),
        *(budget["spec"]["selector"]["matchLabels"] for budget in release.all("PodDisruptionBudget")),
        *(policy["spec"]["podSelector"]["matchLabels"] for policy in release.all("NetworkPolicy")),
        *(spread["labelSelector"]["matchLabels"] for spread in release.pod["spec"]["topologySpreadConstraints"]),
    ]
    assert all(selector.items() <= labels for selector in selectors)
    services = {service["metadata"]["name"] for service in release.all("Service")}
    assert release.one("StatefulSet")["spec"]["serviceName"] in services
    for scaler in release.all("HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] == release.one("StatefulSet")["metadata"]["name"]
        assert "replicas" not in release.one("StatefulSet")["spec"]


def test_probes_ask_for_health(release: Release) -> None:
    probes = [release.container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")]
    assert probes == [{"path": "/health", "port": "http"}] * 3


@pytest.mark.parametrize(("values", "path"), [("defaults", "/metrics"), ("everything", "/internal/metrics")])
def test_the_monitor_scrapes_each_pod_with_the_gateways_secret(values: str, path: str, tmp_path: Path) -> None:
    release = Release(values)
    monitor = release.one("ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    (service,) = [one for one in release.all("Service") if wanted <= one["metadata"]["labels"].items()]
    assert service["spec"]["clusterIP"] == "None"
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    credentials = endpoint["authorization"]["credentials"]
    volumes = {volume["name"]: volume for volume in release.pod["spec"]["volumes"]}
    assert credentials["name"] == volumes["secrets"]["secret"]["secretName"]
    settings = release.settings(tmp_path)
    assert settings.metrics.secret is not None
    assert settings.metrics.secret.get_secret_value() == f"the-secret-called-{credentials['key']}"
    assert endpoint["path"] == settings.metrics.endpoint == path


def test_what_is_switched_off_is_not_there() -> None:
    assert [one["kind"] for one in Release("bare").manifests] == ["ConfigMap", "Service", "Service", "StatefulSet"]
    assert {one["kind"] for one in Release("everything").manifests} == {
        "ConfigMap",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Service",
        "ServiceMonitor",
        "StatefulSet",
    }
