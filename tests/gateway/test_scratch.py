"""The place in memory of a ledger that workers share."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tallygate.gateway.scratch import PREFIX, scratch_ledger

HOLDER = """
import sys
from pathlib import Path
from tallygate.gateway.scratch import scratch_ledger
with scratch_ledger(Path(sys.argv[1])) as ledger:
    ledger.write_text("used")
    print(ledger, flush=True)
    sys.stdin.read()
"""


def test_it_is_gone_at_the_end(tmp_path: Path) -> None:
    with scratch_ledger(tmp_path) as ledger:
        ledger.write_text("used")
        assert ledger.parent.parent == tmp_path
        assert ledger.parent.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", [signal.SIGKILL, None], ids=["killed", "alive"])
def test_what_a_killed_gateway_left_is_removed_and_nothing_else(tmp_path: Path, end: signal.Signals | None) -> None:
    (tmp_path / f"{PREFIX}of-somebody").mkdir()
    (tmp_path / f"{PREFIX}of-somebody" / "notes").write_text("mine")
    (tmp_path / f"{PREFIX}file").write_text("mine")
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        if end is not None:
            os.kill(process.pid, end)
            process.wait()
            assert theirs.exists()
        with scratch_ledger(tmp_path) as ours:
            assert ours.parent != theirs.parent
            assert theirs.exists() == (end is None)
            assert theirs.parent.exists() == (end is None)
        if end is None:
            process.communicate("")
    assert not theirs.parent.exists()
    assert {path.name for path in tmp_path.rglob("*")} == {f"{PREFIX}of-somebody", "notes", f"{PREFIX}file"}
