"""Runs the benchmarks of all instrumentations, each in a process of its own: what one patches is no other's business.

python -m benchmarks.instrument [NAME ...]
"""

import subprocess
import sys
from pathlib import Path

SHARED = {"__init__", "__main__", "comparing"}


def main() -> int:
    names = sys.argv[1:] or sorted({file.stem for file in Path(__file__).parent.glob("*.py")} - SHARED)
    return max(
        [
            subprocess.run([sys.executable, "-m", f"benchmarks.instrument.{name}"], check=False).returncode
            for name in names
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
