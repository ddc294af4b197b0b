"""TLS as users have it: the gateway's program with certificates, curl and the openai SDK, a provider of one's own."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import openai
import pytest

from tallygate.gateway.server import TLS, read_body
from tallygate.gateway.settings import ConfigurationError, load
from tallygate.gateway.settings.shape import leaves
from tallygate.simulator import Simulator
from tests.gateway.apis import APIS
from tests.gateway.certificates import Authority, encrypted
from tests.gateway.processes import served
from tests.gateway.running import ask, gateway
from tests.gateway.server.listening import Message, Receive, Send, answer
from tests.gateway.server.listening import listening as serving

PATIENCE = 30


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def curl(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status and outputs."""
    done = subprocess.run(
        ["curl", "-sS", "--max-time", str(PATIENCE), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


async def test_the_program_speaks_https_on_both_listeners(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue()
    clients = Authority(tmp_path, "clients")
    shown, shown_key = clients.issue("prometheus", stem="scraper")
    api = {"certificate": str(certificate), "key": str(encrypted(key, "open sesame")), "key_password": "open sesame"}
    metrics = {"certificate": str(certificate), "key": str(key), "client_ca": str(clients.file), "minimum_version": 1.3}
    async with Simulator() as simulator:
        with served(
            tmp_path,
            simulator.url,
            server={"tls": api, "workers": 2},
            metrics={"listener": {"port": 0, "tls": metrics}},
        ) as running:
            url = str(running.said[-1]["url"])
            assert url == f"https://127.0.0.1:{running.port}"
            status, body, _ = await asyncio.to_thread(curl, "--cacert", authority.file, f"{url}/health")
            assert (status, body) == (0, '{"status":"ok"}')
            assert (await asyncio.to_thread(curl, f"{url}/health"))[0] == 60  # not trusted
            assert (await asyncio.to_thread(curl, url.replace("https", "http")))[0] in (52, 56)  # no TLS, no answer

            client = openai.AsyncOpenAI(
                base_url=f"{url}/v1", api_key="k", http_client=openai.DefaultAsyncHttpxClient(verify=authority.client())
            )
            async with client:
                reply = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
                stream = await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hi"}], stream=True
                )
                pieces = [piece async for piece in stream]
            assert reply.choices[0].message.content
            assert pieces[-1].choices[0].finish_reason == "stop"

            scrape = running.metrics_url
            assert scrape.startswith("https://127.0.0.1:")
            trusted = ("--cacert", authority.file, scrape)
            status, page, _ = await asyncio.to_thread(curl, "--cert", shown, "--key", shown_key, *trusted)
            assert status == 0
            assert "tallygate_llm_calls_total" in page
            assert (await asyncio.to_thread(curl, *trusted))[0] != 0
            old = ("--tls-max", "1.2", "--cert", shown, "--key", shown_key)
            assert (await asyncio.to_thread(curl, *old, *trusted))[0] != 0


async def test_a_provider_of_ones_own_authority(authority: Authority) -> None:
    """``upstream.ca_file`` lets it be trusted; without it nothing is sent."""
    certificate, key = authority.issue()
    asked: list[bytes] = []

    async def provider(scope: Message, receive: Receive, send: Send) -> None:
        asked.append(await read_body(scope, receive, 100_000, 5))
        await answer(send, b'{"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}')

    api = APIS[0]
    async with serving(provider, tls=TLS(str(certificate), str(key))) as own:
        settings: dict[str, Any] = {
            "providers": {"own": {"base_url": f"https://localhost:{own.port}/v1", "api_key": "key-of-own"}}
        }
        async with gateway(settings) as running:
            refused = await ask(running.url + api.path("m", False), api.body("m", False))
        async with gateway(settings | {"upstream": {"ca_file": str(authority.file)}}) as running:
            served_ = await ask(running.url + api.path("m", False), api.body("m", False))
    assert refused.status == 502
    message = json.loads(refused.body)["error"]["message"]
    assert message.startswith(f"cannot connect to localhost:{own.port}: its certificate is not trusted (")
    assert served_.status == 200
    assert len(asked) == 1


def test_no_setting_turns_the_check_of_certificates_off() -> None:
    """Whatever a setting is called that does: it would have to be added here, too."""
    words = ("verify", "insecure", "check_hostname", "skip", "trust")
    assert [path for path in leaves() if any(word in "_".join(path) for word in words)] == []
    assert [path for path in leaves() if path[0] == "upstream"] == [("upstream", "ca_file")]


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> dict[str, str]:
    certificate, key = authority.issue()
    return {
        "CERT": str(certificate),
        "KEY": str(key),
        "OTHER": str(authority.issue(stem="other")[1]),
        "LOCKED": str(encrypted(key, "open sesame")),
        "GONE": str(tmp_path / "gone.pem"),
    }


PEM = "name a PEM file that the gateway may read"
WRONG = {
    'server.tls = { key = "KEY" }': "server.tls.certificate in FILE: is missing; add certificate",
    'server.tls = { certificate = "GONE", key = "KEY" }': "server.tls.certificate in FILE: "
    f"the file 'GONE' cannot be read: No such file or directory; {PEM}",
    'server.tls = { certificate = "CERT" }': "server.tls.key in FILE: "
    "is not set, and the certificate's file holds no key; name the private key's file",
    'server.tls = { certificate = "CERT", key = "OTHER" }': "server.tls.key in FILE: "
    "does not belong to the certificate; name the key that the certificate was made for",
    'server.tls = { certificate = "CERT", key = "LOCKED" }': "server.tls.key_password in FILE: "
    "is not set, but the key is encrypted; set it, or use a plain key",
    'server.tls = { certificate = "CERT", key = "LOCKED", key_password = "hunter2" }': "server.tls.key_password in "
    "FILE: does not open the key; check it",
    'server.tls = { certificate = "CERT", key = "KEY", minimum_version = "1.1" }': "server.tls.minimum_version in "
    "FILE: \"1.1\": is none of 1.2, 1.3; did you mean '1.3'?",
    'metrics.listener.tls = { certificate = "CERT", key = "KEY", client_ca = "GONE" }': "metrics.listener.tls."
    f"client_ca in FILE: the file 'GONE' cannot be read: No such file or directory; {PEM}",
    'upstream.ca_file = "GONE"': f"upstream.ca_file in FILE: the file 'GONE' cannot be read: "
    f"No such file or directory; {PEM}",
    'upstream.ca_file = "KEY"': "upstream.ca_file in FILE: the file 'KEY' holds no certificate in PEM form; "
    "name a file with a line -----BEGIN CERTIFICATE-----",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_cannot_be_used_is_told_before_the_start(tmp_path: Path, files: dict[str, str], text: str) -> None:
    def filled(template: str, quote: str) -> str:
        for name, path in files.items():
            template = template.replace(f"{quote}{name}{quote}", f"{quote}{path}{quote}")
        return template

    file = tmp_path / "gateway.toml"
    file.write_text(filled(text, '"') + '\n[providers.local]\nbase_url = "http://127.0.0.1:8000/v1"\n')
    with pytest.raises(ConfigurationError) as error:
        load({}, file, {}, None)
    assert [str(problem).replace(str(file), "FILE") for problem in error.value.problems] == [filled(WRONG[text], "'")]
