"""The command line: parse, call, print."""


def main() -> None:
    """Run the command that the arguments name."""
    from tallygate.cli.commands import app

    app()
