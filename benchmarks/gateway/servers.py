"""The servers under load: the simulated provider, gateways, LiteLLM's proxy."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.gateway.load import KEY, MODEL, STREAMING_MODEL
from benchmarks.processes import Server, free_port, running

PEER = Path(__file__).resolve().parents[1] / ".venv-litellm"


@contextmanager
def simulator(scratch: Path) -> Iterator[Server]:
    """The simulated provider on core 1."""
    port = free_port()
    command = [sys.executable, "-m", "tallygate.cli", "simulate", "--port", str(port)]
    with running("direct", command, port=port, ready="/health", core=1, log=scratch / "simulator.log") as server:
        yield server


@contextmanager
def tallygate(
    scratch: Path,
    provider: str,
    name: str = "tallygate",
    *,
    sections: Mapping[str, Any] | None = None,
    master_key: str | None = KEY,
    workers: int = 1,
    core: int | None = 0,
) -> Iterator[Server]:
    """A gateway in front of ``provider``; ``sections``: of its settings, beside the server's own; core None: any."""
    port = free_port()
    settings = {
        "server": {"port": port, "workers": workers, **({"master_key": master_key} if master_key else {})},
        "providers": {
            "openai": {
                "kind": "openai",
                "base_url": f"{provider}/v1",
                "api_key": "sk-upstream",
                "models": [MODEL, STREAMING_MODEL],
            }
        },
        **(sections or {}),
    }
    config = scratch / f"{port}.yaml"
    config.write_text(json.dumps(settings))  # JSON is YAML
    command = [sys.executable, "-m", "tallygate.cli", "serve", "--config", str(config)]
    with running(name, command, port=port, ready="/health", core=core, log=scratch / f"{port}.log") as server:
        yield server


@contextmanager
def litellm(scratch: Path, provider: str) -> Iterator[Server]:
    """LiteLLM's proxy on core 0; it is installed into an environment of its own."""
    if not (PEER / "bin" / "litellm").exists():
        print("installing litellm[proxy] into its own environment ...", flush=True)
        venv.create(PEER, with_pip=True)
        subprocess.run([PEER / "bin" / "pip", "install", "--quiet", "litellm[proxy]"], check=True)
    port = free_port()
    config = scratch / "litellm.yaml"
    models = "".join(
        f"  - model_name: {model}\n    litellm_params:\n      model: openai/{model}\n"
        f"      api_base: {provider}/v1\n      api_key: sk-upstream\n"
        for model in (MODEL, STREAMING_MODEL)
    )
    config.write_text(f"model_list:\n{models}general_settings:\n  master_key: {KEY}\n")
    command = [str(PEER / "bin" / "litellm"), "--config", str(config), "--port", str(port), "--num_workers", "1"]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True", "LITELLM_LOG": "ERROR"}
    with running(
        "litellm",
        command,
        port=port,
        ready="/health/liveliness",
        core=0,
        environment=environment,
        log=scratch / "litellm.log",
    ) as server:
        yield server
