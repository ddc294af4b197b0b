"""Log lines: their form, what a start says, and that no secret gets into them."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tallygate.gateway.logs import Redaction, configure_logging, log_start
from tallygate.gateway.settings import Settings

SECRETS = ("master-secret", "sk-provider", 'quote"d/secret', "scrape-secret")


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def settings(**further: Any) -> Settings:
    return Settings.model_validate(
        {
            "server": {"master_key": SECRETS[0]},
            "providers": {"p": {"base_url": "http://x", "api_key": SECRETS[1], "headers": {"X-A": SECRETS[2]}}},
            **further,
        }
    )


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key != "time"} for line in lines(capsys)]


def test_a_start_is_told_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    configured = settings()
    configure_logging(configured)
    log_start(configured, [("127.0.0.1", 4000)])
    assert told(capsys) == [
        {
            "level": "INFO",
            "msg": "prometheus metrics enabled",
            "endpoint": "/metrics",
            "prometheus_metrics_url": "http://127.0.0.1:4000/metrics",
        },
        {
            "level": "INFO",
            "msg": "gateway is listening",
            "url": "http://127.0.0.1:4000",
            "live_page_url": "http://127.0.0.1:4000/dashboard",
            "providers": ["p"],
            "workers": 1,
        },
    ]


def test_a_line_begins_with_time_level_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings())
    structlog.get_logger("any").info("said", b=1, a=2)
    (line,) = lines(capsys)
    assert list(line) == ["time", "level", "msg", "b", "a"]
    assert len(line["time"]) == len("2026-01-01T00:00:00.000Z")
    assert line["time"].endswith("Z")


def test_metrics_that_are_off_and_no_master_key(capsys: pytest.CaptureFixture[str]) -> None:
    configured = settings(server={}, metrics={"enabled": False})
    configure_logging(configured)
    log_start(configured, [("0.0.0.0", 4000)])
    off, warning, listening = told(capsys)
    assert off == {"level": "INFO", "msg": "prometheus metrics disabled"}
    assert warning == {
        "level": "WARNING",
        "msg": "no master key is set: whoever reaches this address can use the providers",
        "mend": "set TALLYGATE_MASTER_KEY, or server.master_key in the file",
    }
    assert listening["url"] == "http://127.0.0.1:4000"


def test_metrics_that_nobody_may_read(capsys: pytest.CaptureFixture[str]) -> None:
    configured = settings(server={}, accounts={"enabled": True})
    configure_logging(configured)
    log_start(configured, [("127.0.0.1", 4000)])
    assert told(capsys)[1] == {
        "level": "WARNING",
        "msg": "callers need keys and nobody has one for the metrics: they cannot be read",
        "mend": "set metrics.secret, or metrics.listener to have them on a port of their own",
    }


def test_metrics_on_their_own_listener(capsys: pytest.CaptureFixture[str]) -> None:
    configured = settings(metrics={"listener": {"host": "::1", "port": 0}, "endpoint": "/m"})
    configure_logging(configured)
    log_start(configured, [("127.0.0.1", 4000), ("::1", 3131)])
    assert lines(capsys)[0]["prometheus_metrics_url"] == "http://[::1]:3131/m"


def test_text_for_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings(log={"format": "plain"}))
    structlog.get_logger("any").warning("it happened", count=3, what="two words", names=["a", "b"])
    line = capsys.readouterr().err
    assert line[8:] == ' WARNING it happened  count=3  what="two words"  names=a,b\n'


@pytest.mark.parametrize("form", ["json", "plain"])
@pytest.mark.parametrize("sign", ["\n", "\r", "\x1b[2J", "\x9b2J", "\x7f", "\u2028", "\u2029", "\x85", "\0"])
def test_what_clients_write_ends_no_line(capsys: pytest.CaptureFixture[str], form: str, sign: str) -> None:
    configure_logging(settings(log={"format": form}))
    forged = f"a{sign}00:00:00 ERROR forged"
    structlog.get_logger("any").warning("it happened", what=forged, names=[forged])
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 1
    assert sign not in written[:-1]
    assert written.count("forged") == 2


def test_the_standard_library_logs_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings())
    logging.getLogger("uvicorn.error").warning("%d of %s", 3, "four")
    assert told(capsys) == [{"level": "WARNING", "msg": "3 of four"}]


def test_levels_below_the_configured_one_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings(log={"level": "warning"}))
    structlog.get_logger("any").info("no")
    logging.getLogger("other").info("no")
    structlog.get_logger("any").error("yes")
    assert [line["msg"] for line in lines(capsys)] == ["yes"]


def test_configuring_again_does_not_double_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        configure_logging(settings())
    structlog.get_logger("any").info("once")
    assert len(lines(capsys)) == 1


@pytest.mark.parametrize("form", ["json", "plain"])
def test_no_secret_gets_through(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure_logging(settings(log={"format": form}, metrics={"secret": SECRETS[3]}))
    log = structlog.get_logger("any")
    for secret in SECRETS:
        log.info(f"in the message {secret}", value=f"in {secret} text", nested={"a": [secret, {"b": secret.encode()}]})
        logging.getLogger("uvicorn").warning("in %s arguments", secret)
        log.info("as an object", what=ValueError(secret), also=(secret,))
        try:
            raise ValueError(f"in a message: {secret}")
        except ValueError:
            log.exception("in an exception")
            logging.exception("in an exception of the standard library")
    written = capsys.readouterr().err
    assert written.count("********") >= 8 * len(SECRETS)
    plain = written.replace('\\"', '"').replace("\\\\", "\\")
    assert [secret for secret in SECRETS if secret in plain or secret in written] == []


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        ({"authorization": "Basic abc"}, {"authorization": "********"}),
        ({"X-Api-Key": "abc"}, {"X-Api-Key": "********"}),
        ({"headers": {"cookie": "abc", "accept": "*/*"}}, {"headers": {"cookie": "********", "accept": "*/*"}}),
        ({"input_tokens": 12, "api_key": None, "ok": True}, {"input_tokens": 12, "api_key": None, "ok": True}),
        ({"a": "Bearer abc.def, then"}, {"a": "Bearer ********, then"}),
        ({"a": "GET /v1beta/models?key=abc&alt=sse"}, {"a": "GET /v1beta/models?key=********&alt=sse"}),
        ({"a": "key sk-proj-abcdefgh is wrong"}, {"a": "key ******** is wrong"}),
        ({"a": "xy"}, {"a": "********"}),
        ({"a": "an xylophone"}, {"a": "an xylophone"}),
        ({"a": "known%20secret and known secret"}, {"a": "******** and ********"}),
    ],
)
def test_redaction(event: dict[str, Any], shown: dict[str, Any]) -> None:
    assert Redaction(["xy", "known secret"])(None, "", event) == shown
