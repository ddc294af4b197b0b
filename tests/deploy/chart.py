"""The chart: its files that the code exports, and what helm renders, kept in ``rendered/`` so that tests need no helm.

After a change of boards, rules, the chart or ``values/`` run ``python -m tests.deploy.chart``: it writes those files,
then, if the chart or the values are others, lints and renders with the helm in the path
(``go install helm.sh/helm/v3/cmd/helm@v3.19.0``). Until then the tests fail. What is rendered holds the boards and
rules of ``files/`` here, not the chart's: another board needs no helm.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tallygate.dashboards import boards, encode
from tallygate.rules import rules_file
from tests.deploy import DEPLOY

CHART = DEPLOY / "helm" / "tallygate"
FILES = CHART / "files"
HERE = Path(__file__).parent
STAND_INS = HERE / "files"
VALUES = tuple(sorted((HERE / "values").glob("*.yaml")))
KUBERNETES = "1.33.0"


@cache
def files() -> dict[str, str]:
    """What the chart's ``files/`` are to hold, by path in it: boards without a space too many, and the rules."""
    found = {"tallygate.rules.yml": rules_file("tallygate")}
    for board in boards():
        model = json.loads(encode(board.dashboard()))
        found[f"dashboards/{board.uid}.json"] = json.dumps(model, separators=(",", ":"), sort_keys=True) + "\n"
    return found


def held(directory: Path) -> dict[str, str]:
    """What a directory holds, by path in it."""
    return {str(file.relative_to(directory)): file.read_text() for file in directory.rglob("*") if file.is_file()}


def digest(values: Path) -> str:
    """Of all that is rendered: the chart without its files, those that stand for them, and the values."""
    whole = hashlib.sha256()
    own = (file for file in CHART.rglob("*") if file.is_file() and not file.is_relative_to(FILES))
    for file in (*sorted(own), *sorted(STAND_INS.rglob("*.*")), values):
        whole.update(f"{file.name}\n".encode() + file.read_bytes())
    return whole.hexdigest()


def rendered(values: str) -> tuple[str, list[dict[str, Any]]]:
    """The digest of what was rendered, and the manifests."""
    text = (HERE / "rendered" / f"{values}.yaml").read_text()
    return text.splitlines()[0].removeprefix("# "), [one for one in yaml.safe_load_all(text) if one]


def main() -> None:
    """Write the chart's files; lint it; render it with each file of values."""
    shutil.rmtree(FILES, ignore_errors=True)
    for name, content in files().items():
        (FILES / name).parent.mkdir(parents=True, exist_ok=True)
        (FILES / name).write_text(content)
    if all(rendered(values.stem)[0] == digest(values) for values in VALUES):
        return
    with tempfile.TemporaryDirectory() as directory:
        chart = Path(directory) / CHART.name
        shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns(FILES.name))
        shutil.copytree(STAND_INS, chart / FILES.name)
        for values in VALUES:
            subprocess.run(["helm", "lint", "--strict", "--quiet", str(CHART), "--values", str(values)], check=True)
            command = ["helm", "template", "tallygate", str(chart), "--namespace", "llm", "--values", str(values)]
            done = subprocess.run(
                [*command, "--kube-version", KUBERNETES], check=True, stdout=subprocess.PIPE, text=True
            )
            (HERE / "rendered" / values.name).write_text(f"# {digest(values)}\n{done.stdout}")


if __name__ == "__main__":
    main()
