"""`tallygate users`, `keys` and `credits`. What they need is imported when they run, so that help comes at once."""

from __future__ import annotations

from typing import Annotated

import typer

from tallygate.cli.options import ENV_FILE, JSON, Config, Dotenv

users = typer.Typer(no_args_is_help=True, help="Users and teams: who may call, and who pays.")
keys = typer.Typer(no_args_is_help=True, help="API keys of users.")
credits = typer.Typer(no_args_is_help=True, help="Credits of users who pay beforehand.")

WhichUser = Annotated[str, typer.Argument(metavar="USER", help="Id or name of the user or team.")]
WhichKey = Annotated[str, typer.Argument(metavar="KEY", help="Id of the key; `tallygate keys list` tells it.")]

Plan = Annotated[str | None, typer.Option(help="Name of the plan: a label on the metrics.")]
TrialEnds = Annotated[
    str | None, typer.Option("--trial-ends", metavar="TIME", help="End of the trial: 2027-01-31, 30d, or none.")
]
BillingCycle = Annotated[
    str | None, typer.Option(metavar="CYCLE", help="Of a subscription: weekly, monthly, quarterly, yearly, or none.")
]
Prepaid = Annotated[
    bool | None, typer.Option("--prepaid/--postpaid", help="Refuse calls that the credits do not cover, or do not.")
]
Models = Annotated[
    str | None, typer.Option(metavar="NAMES", help="Models that may be asked for, between commas; none: all.")
]
RequestsPerMinute = Annotated[
    str | None, typer.Option("--requests-per-minute", metavar="NUMBER", help="Limit, or none.")
]
TokensPerMinute = Annotated[str | None, typer.Option("--tokens-per-minute", metavar="NUMBER", help="Limit, or none.")]
Concurrency = Annotated[str | None, typer.Option(metavar="NUMBER", help="Requests at the same time, or none.")]
DailyBudget = Annotated[str | None, typer.Option(metavar="USD", help="What a day in UTC may cost, or none.")]
MonthlyBudget = Annotated[str | None, typer.Option(metavar="USD", help="What a month in UTC may cost, or none.")]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="TIME", help="When it works no longer: 2027-01-31, 30d, or none.")
]
Caches = Annotated[
    bool | None, typer.Option("--cache/--no-cache", help="Answer from the response cache without a header asking.")
]
Grace = Annotated[str, typer.Option(metavar="TIME", help="How long the old secret goes on working: 15m, 24h, 0s.")]
Note = Annotated[str, typer.Option(help="What it is for.")]
Once = Annotated[
    str | None, typer.Option("--idempotency-key", metavar="TEXT", help="The same again under it is done once.")
]


@users.command("create")
def create_user(
    name: Annotated[str, typer.Argument(help="Nobody else's.")],
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    team: Annotated[bool, typer.Option("--team", help="A team that shares its keys.")] = False,
    plan: Plan = None,
    trial_ends: TrialEnds = None,
    billing_cycle: BillingCycle = None,
    prepaid: Prepaid = None,
    models: Models = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrency: Concurrency = None,
    daily_budget: DailyBudget = None,
    monthly_budget: MonthlyBudget = None,
    json: JSON = False,
) -> None:
    """Make a user or a team."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    tell.user(
        do.with_accounts(
            config,
            env_file,
            lambda accounts: accounts.create_user(
                **do.user_fields(
                    name=name,
                    kind="team" if team else None,
                    plan=plan,
                    trial_ends_at=trial_ends,
                    billing_cycle=billing_cycle,
                    prepaid=prepaid,
                    models=models,
                    requests_per_minute=requests_per_minute,
                    tokens_per_minute=tokens_per_minute,
                    concurrency=concurrency,
                    daily_budget=daily_budget,
                    monthly_budget=monthly_budget,
                )
            ),
        ),
        json,
    )


@users.command("set")
def change_user(
    user: WhichUser,
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    plan: Plan = None,
    trial_ends: TrialEnds = None,
    billing_cycle: BillingCycle = None,
    prepaid: Prepaid = None,
    models: Models = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrency: Concurrency = None,
    daily_budget: DailyBudget = None,
    monthly_budget: MonthlyBudget = None,
    json: JSON = False,
) -> None:
    """Change what is given; the rest stays as it is."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    tell.user(
        do.with_accounts(
            config,
            env_file,
            lambda accounts: accounts.change_user(
                user,
                **do.user_fields(
                    name=name,
                    plan=plan,
                    trial_ends_at=trial_ends,
                    billing_cycle=billing_cycle,
                    prepaid=prepaid,
                    models=models,
                    requests_per_minute=requests_per_minute,
                    tokens_per_minute=tokens_per_minute,
                    concurrency=concurrency,
                    daily_budget=daily_budget,
                    monthly_budget=monthly_budget,
                ),
            ),
        ),
        json,
    )


@users.command("show")
def show_user(user: WhichUser, config: Config = None, env_file: Dotenv = ENV_FILE, json: JSON = False) -> None:
    """All that is known of a user."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    tell.user(do.with_accounts(config, env_file, lambda accounts: accounts.user(user)), json)


@users.command("list")
def list_users(
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    status: Annotated[str | None, typer.Option(help="active or inactive.")] = None,
    plan: Annotated[str | None, typer.Option(help="Of this plan.")] = None,
    json: JSON = False,
) -> None:
    """All users, oldest first."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    found = do.with_accounts(
        config,
        env_file,
        lambda accounts: do.every(
            lambda after: accounts.users(status=status, plan=plan, after=after, limit=do.AT_ONCE)
        ),
    )
    tell.users(found, json)


@users.command("activate")
def activate_user(user: WhichUser, config: Config = None, env_file: Dotenv = ENV_FILE, json: JSON = False) -> None:
    """Let the user's keys work again."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    work = do.with_accounts(config, env_file, lambda accounts: accounts.change_user(user, status="active"))
    tell.user(work, json)


@users.command("deactivate")
def deactivate_user(user: WhichUser, config: Config = None, env_file: Dotenv = ENV_FILE, json: JSON = False) -> None:
    """Let none of the user's keys work, from now on."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    work = do.with_accounts(config, env_file, lambda accounts: accounts.change_user(user, status="inactive"))
    tell.user(work, json)


@keys.command("create")
def create_key(
    user: WhichUser,
    name: Annotated[str, typer.Argument(help="What it is for; no other key of the user has it.")],
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    expires: Expires = None,
    models: Models = None,
    caches: Caches = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrency: Concurrency = None,
    daily_budget: DailyBudget = None,
    monthly_budget: MonthlyBudget = None,
    json: JSON = False,
) -> None:
    """Make a key and print it: now, and never again."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    made = do.with_accounts(
        config,
        env_file,
        lambda accounts: accounts.create_key(
            user,
            **do.key_fields(
                name=name,
                expires_at=expires,
                models=models,
                caches=caches,
                requests_per_minute=requests_per_minute,
                tokens_per_minute=tokens_per_minute,
                concurrency=concurrency,
                daily_budget=daily_budget,
                monthly_budget=monthly_budget,
            ),
        ),
    )
    tell.new_key(made, json)


@keys.command("set")
def change_key(
    key: WhichKey,
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    expires: Expires = None,
    models: Models = None,
    caches: Caches = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrency: Concurrency = None,
    daily_budget: DailyBudget = None,
    monthly_budget: MonthlyBudget = None,
    json: JSON = False,
) -> None:
    """Change what is given; the rest stays as it is."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    changed = do.with_accounts(
        config,
        env_file,
        lambda accounts: accounts.change_key(
            key,
            **do.key_fields(
                name=name,
                expires_at=expires,
                models=models,
                caches=caches,
                requests_per_minute=requests_per_minute,
                tokens_per_minute=tokens_per_minute,
                concurrency=concurrency,
                daily_budget=daily_budget,
                monthly_budget=monthly_budget,
            ),
        ),
    )
    tell.key(changed, json)


@keys.command("show")
def show_key(key: WhichKey, config: Config = None, env_file: Dotenv = ENV_FILE, json: JSON = False) -> None:
    """All that is known of a key; not the key itself."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    tell.key(do.with_accounts(config, env_file, lambda accounts: accounts.key(key)), json)


@keys.command("list")
def list_keys(
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Of this user, by id or name.")] = None,
    status: Annotated[str | None, typer.Option(help="active, inactive or expired.")] = None,
    json: JSON = False,
) -> None:
    """All keys, oldest first."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    found = do.with_accounts(
        config,
        env_file,
        lambda accounts: do.every(lambda after: accounts.keys(user=user, status=status, after=after, limit=do.AT_ONCE)),
    )
    tell.keys(found, json)


@keys.command("rotate")
def rotate_key(
    key: WhichKey, config: Config = None, env_file: Dotenv = ENV_FILE, grace: Grace = "0s", json: JSON = False
) -> None:
    """Give a key a new secret and print it; the old one stops working at the end of the grace."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    made = do.with_accounts(
        config, env_file, lambda accounts: accounts.rotate_key(key, grace_seconds=do.seconds("grace", grace))
    )
    tell.new_key(made, json)


@keys.command("activate")
def activate_key(key: WhichKey, config: Config = None, env_file: Dotenv = ENV_FILE, json: JSON = False) -> None:
    """Let a key work again."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    tell.key(do.with_accounts(config, env_file, lambda accounts: accounts.change_key(key, status="active")), json)


@keys.command("deactivate")
def deactivate_key(key: WhichKey, config: Config = None, env_file: Dotenv = ENV_FILE, json: JSON = False) -> None:
    """Let a key work no more, from now on."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    tell.key(do.with_accounts(config, env_file, lambda accounts: accounts.change_key(key, status="inactive")), json)


@credits.command("grant")
def grant(
    user: WhichUser,
    usd: Annotated[str, typer.Argument(metavar="USD", help="How much, as in 25 or 0.50.")],
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    note: Note = "",
    idempotency_key: Once = None,
    json: JSON = False,
) -> None:
    """Add credits to a user."""
    from tallygate.cli import accounting as do

    do.grant(config, env_file, user, usd, 1, note, idempotency_key, json)


@credits.command("take")
def take(
    user: WhichUser,
    usd: Annotated[str, typer.Argument(metavar="USD", help="How much, as in 25 or 0.50.")],
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
    note: Note = "",
    idempotency_key: Once = None,
    json: JSON = False,
) -> None:
    """Take credits away again, as a correction."""
    from tallygate.cli import accounting as do

    do.grant(config, env_file, user, usd, -1, note, idempotency_key, json)


@credits.command("list")
def list_credits(user: WhichUser, config: Config = None, env_file: Dotenv = ENV_FILE, json: JSON = False) -> None:
    """Every grant and correction of a user, oldest first."""
    from tallygate.cli import accounting as do
    from tallygate.cli import telling as tell

    found = do.with_accounts(
        config,
        env_file,
        lambda accounts: do.every(lambda after: accounts.credits(user, after=after, limit=do.AT_ONCE)),
    )
    tell.credits(found, json)
