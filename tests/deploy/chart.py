"""The chart as helm renders it, kept in ``rendered/`` so that tests need no helm.

After a change of the chart or of ``values/`` run ``python -m tests.deploy.chart``: it lints and renders with the helm
in the path (``go install helm.sh/helm/v3/cmd/helm@v3.19.0``). Until then the tests fail.
"""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.deploy import DEPLOY

CHART = DEPLOY / "helm" / "tallygate"
HERE = Path(__file__).parent
VALUES = tuple(sorted((HERE / "values").glob("*.yaml")))
KUBERNETES = "1.33.0"


def digest(values: Path) -> str:
    """Of all files of the chart, and of the values it is rendered with."""
    whole = hashlib.sha256()
    for file in (*sorted(file for file in CHART.rglob("*") if file.is_file()), values):
        whole.update(f"{file.name}\n".encode() + file.read_bytes())
    return whole.hexdigest()


def rendered(values: str) -> tuple[str, list[dict[str, Any]]]:
    """The digest of what was rendered, and the manifests."""
    text = (HERE / "rendered" / f"{values}.yaml").read_text()
    return text.splitlines()[0].removeprefix("# "), [one for one in yaml.safe_load_all(text) if one]


def main() -> None:
    """Lint the chart, and render it with each file of values."""
    for values in VALUES:
        subprocess.run(["helm", "lint", "--strict", "--quiet", str(CHART), "--values", str(values)], check=True)
        command = ["helm", "template", "tallygate", str(CHART), "--namespace", "llm", "--values", str(values)]
        done = subprocess.run([*command, "--kube-version", KUBERNETES], check=True, stdout=subprocess.PIPE, text=True)
        (HERE / "rendered" / values.name).write_text(f"# {digest(values)}\n{done.stdout}")


if __name__ == "__main__":
    main()
