"""``python -m tallygate.cli``: as ``tallygate``."""

from tallygate.cli import main

if __name__ == "__main__":
    main()
