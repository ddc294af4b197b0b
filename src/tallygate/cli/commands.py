"""The commands and their options. What they need is imported when they run, so that help comes at once."""

from __future__ import annotations

import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tallygate.cli import accounts, dashboards, looking, rules
from tallygate.cli.options import ENV_FILE, Config, Dotenv

FAILED, MISTAKEN = 1, 2
"""Exit statuses: something went wrong; the configuration or the command line is wrong."""

app = typer.Typer(
    name="tallygate",
    help="An LLM gateway that tallies: Prometheus metrics for LLM traffic, true to the last token.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Format(StrEnum):
    """How settings are written."""

    TOML = "toml"
    YAML = "yaml"
    JSON = "json"


class Group(StrEnum):
    """What usage is summed by."""

    KEY = "key"
    USER = "user"
    PROVIDER = "provider"
    MODEL = "model"
    DAY = "day"


app.add_typer(accounts.users, name="users")
app.add_typer(accounts.keys, name="keys")
app.add_typer(accounts.credits, name="credits")
app.add_typer(dashboards.app, name="dashboards")
app.add_typer(rules.app, name="rules")
app.command()(looking.top)
app.command()(looking.doctor)


@app.callback(invoke_without_command=True)
def tallygate(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from tallygate.tally import package_version

        print(f"tallygate {package_version()}")
        raise typer.Exit


@app.command()
def serve(
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[str | None, typer.Option(metavar="NUMBER", help="Port to listen on.")] = None,
    workers: Annotated[str | None, typer.Option(metavar="NUMBER", help="Processes that serve.")] = None,
    grace: Annotated[str | None, typer.Option(metavar="SECONDS", help="Time for answers to finish at the end.")] = None,
    master_key_file: Annotated[Path | None, typer.Option(help="File with the key that callers must present.")] = None,
    metrics: Annotated[bool | None, typer.Option("--metrics/--no-metrics", help="Count, or do not.")] = None,
    metrics_endpoint: Annotated[str | None, typer.Option(metavar="PATH", help="Path of the metrics.")] = None,
    dialect: Annotated[list[str] | None, typer.Option(help="Dialect of the metrics; may be given again.")] = None,
    log_level: Annotated[str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(metavar="FORMAT", help="json or plain.")] = None,
) -> None:
    """Run the gateway. Provider keys in the environment are enough; `tallygate config` shows what is in force."""
    from tallygate.cli.settings import ended_well, settings_from

    settings = settings_from(
        {
            "server.host": host,
            "server.port": port,
            "server.workers": workers,
            "server.grace_seconds": grace,
            "metrics.enabled": metrics,
            "metrics.endpoint": metrics_endpoint,
            "metrics.dialects": dialect or None,
            "log.level": log_level,
            "log.format": log_format,
        },
        config,
        env_file,
        master_key_file,
    )
    with ended_well():
        from tallygate.gateway.run import run

        raise typer.Exit(run(settings))


@app.command("config")
def show_config(
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TOML,
) -> None:
    """Check the configuration and print what is in force, secrets masked."""
    from tallygate.cli.printing import printed
    from tallygate.cli.settings import settings_from
    from tallygate.gateway.settings import masked

    sys.stdout.write(printed(masked(settings_from({}, config, env_file)), format))


@app.command()
def usage(
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    by: Annotated[Group, typer.Option(help="What to sum by.")] = Group.USER,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day, UTC.")] = None,
    key: Annotated[str | None, typer.Option(metavar="ID", help="Of this key only.")] = None,
    user: Annotated[str | None, typer.Option(metavar="ID|NAME", help="Of this user only.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON, with all there is.")] = False,
) -> None:
    """What calls used and cost: sums by user, key, provider, model or day, from the accounts' database."""
    from tallygate.cli.settings import ended_well, settings_from
    from tallygate.cli.usage import report

    settings = settings_from({}, config, env_file, serves=False)
    with ended_well():
        days = [None if moment is None else moment.date() for moment in (since, until)]
        sys.stdout.write(report(settings, by.value, *days, key=key, user=user, as_json=json))


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 4010,
    seed: Annotated[int, typer.Option(help="Same seed, same request: same answer, same times.")] = 0,
    latency: Annotated[str, typer.Option(metavar="TIME", help="Before every reply: 0.2, 200ms, or 50ms..1s.")] = "0",
    ttft: Annotated[str, typer.Option(metavar="TIME", help="Before a stream's first content.")] = "0",
    per_token: Annotated[str, typer.Option(metavar="TIME", help="Before each further token.")] = "0",
) -> None:
    """Serve a simulated provider: OpenAI's, Anthropic's and Gemini's APIs. Model names such as gpt-4o+429 misbehave."""
    from tallygate.cli.simulating import seconds, simulate
    from tallygate.simulator import Settings

    try:
        settings = Settings(host, port, seed, seconds(latency), seconds(ttft), seconds(per_token))
    except ValueError as error:
        complain(str(error), MISTAKEN)
    raise typer.Exit(simulate(settings))


@app.command()
def demo(
    for_: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=1, help="End by itself, with a summary.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the gateway; 4000, or a free one when that is taken.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=500, help="Requests per second.")] = 10,
    seed: Annotated[int, typer.Option(help="Same seed, same traffic.")] = 0,
) -> None:
    """See it work: simulated providers, the gateway in front of them, and traffic. No key, no network."""
    from tallygate.cli.settings import ended_well

    with ended_well():
        from tallygate.demo import run

        raise typer.Exit(run(seconds=for_, port=port, rate=rate, seed=seed))


def complain(message: str, status: int) -> NoReturn:
    """End with a message on standard error."""
    print(message, file=sys.stderr)
    raise typer.Exit(status)
