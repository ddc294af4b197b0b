"""The machine's state: what kills, torn files, full disks and wrong places do to it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest
from structlog.testing import capture_logs

from tallygate.gateway.state.environment import BOOT, FILE, Environment, StateError

WRITER = """
import os, sys
from pathlib import Path
from tallygate.gateway.state.environment import Environment

environment = Environment(Path(sys.argv[1]))
names = environment.database("names")
with environment.write() as transaction:
    transaction.put(b"kept", b"1", db=names)
transaction = environment.write()
transaction.put(b"lost", b"1", db=names)
print("in the middle", flush=True)
sys.stdin.read()
"""


def read(environment: Environment, name: bytes) -> bytes | None:
    names = environment.database("names")
    with environment.read() as transaction:
        return transaction.get(name, db=names)


def put(environment: Environment, **entries: str) -> None:
    names = environment.database("names")
    with environment.write() as transaction:
        for key, value in entries.items():
            transaction.put(key.encode(), value.encode(), db=names)


def test_several_of_one_directory(tmp_path: Path) -> None:
    first, second = Environment(tmp_path / "state"), Environment(tmp_path / "other" / ".." / "state")
    put(first, one="1")
    assert read(second, b"one") == b"1"
    first.close()
    first.close()
    put(second, two="2")
    assert read(second, b"two") == b"2"
    second.close()
    again = Environment(tmp_path / "state")
    assert read(again, b"one") == b"1"
    again.close()


def test_what_raises_is_undone(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    names = environment.database("names")

    def write_and_fail() -> None:
        with environment.write() as transaction:
            transaction.put(b"one", b"1", db=names)
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert read(environment, b"one") is None
    environment.close()


def test_a_process_that_is_killed_while_it_writes(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"in the middle\n"
        writer.send_signal(signal.SIGKILL)
    put(environment, mine="2")  # the dead one's lock is free
    assert [read(environment, name) for name in (b"kept", b"lost", b"mine")] == [b"1", None, b"2"]
    assert (tmp_path / BOOT).exists()
    environment.close()
    assert not (tmp_path / BOOT).exists(), "flushed by the last to leave"


def test_readers_that_were_killed_hold_no_pages(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    reader = WRITER.replace("transaction = environment.write()", "reading = environment.read()").replace(
        'transaction.put(b"lost", b"1", db=names)', "reading.get(b'kept', db=names)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", reader, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in the middle\n"
        assert environment.free_dead_readers() == 0
        process.send_signal(signal.SIGKILL)
    assert environment.free_dead_readers() == 1
    environment.close()


def test_a_file_of_a_machine_that_stopped_is_read_and_goes_on(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    put(environment, **{f"entry-{number:05}": "x" * 100 for number in range(5000)})
    environment.close()
    (tmp_path / BOOT).write_text("another boot")
    with capture_logs() as logs:
        environment = Environment(tmp_path)
    assert [entry["event"] for entry in logs] == ["state was not closed before the machine stopped; all of it was read"]
    assert read(environment, b"entry-04999") == b"x" * 100
    put(environment, more="1")
    environment.close()
    assert not [path for path in tmp_path.iterdir() if "broken" in path.name or "copy" in path.name]


def test_a_file_that_was_torn_is_set_aside(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    put(environment, **{f"entry-{number:05}": "x" * 100 for number in range(5000)})
    environment.close()
    with open(tmp_path / FILE, "r+b") as file:  # all pages but the first two
        file.seek(2 * 4096)
        file.write(os.urandom(400 * 4096))
    (tmp_path / BOOT).write_text("another boot")
    with capture_logs() as logs:
        environment = Environment(tmp_path)
    assert [entry["event"] for entry in logs] == ["state is broken and was set aside; a new one is begun"]
    assert Path(logs[0]["aside"]).stat().st_size > 400 * 4096
    assert read(environment, b"entry-04999") is None
    put(environment, more="1")
    environment.close()


def test_what_is_no_state_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"something else" * 1000)
    with capture_logs() as logs:
        environment = Environment(tmp_path)
    assert Path(logs[0]["aside"]).read_bytes() == b"something else" * 1000
    put(environment, more="1")
    environment.close()


def test_a_state_of_another_version_is_left_alone(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    put(environment, one="1")
    environment.close()
    with open(tmp_path / FILE, "r+b") as file:
        header = bytearray(file.read(8192))
        for page in (0, 4096):
            header[page + 20] += 5  # the version that stands after the magic number
        file.seek(0)
        file.write(header)
    with pytest.raises(StateError, match=r"^cannot open .*data format v6 is not supported.*; start the version that"):
        Environment(tmp_path)
    with open(tmp_path / FILE, "rb") as file:
        assert file.read(8192) == header


def test_a_full_environment_keeps_what_it_has(tmp_path: Path) -> None:
    environment = Environment(tmp_path, size=256 * 1024)
    put(environment, one="1")
    with pytest.raises(lmdb.MapFullError):
        put(environment, **{str(number): "x" * 2000 for number in range(1000)})
    put(environment, two="2")
    assert [read(environment, name) for name in (b"one", b"two", b"0")] == [b"1", b"2", None]
    environment.close()


def test_a_larger_environment_of_another_process(tmp_path: Path) -> None:
    environment = Environment(tmp_path, size=512 * 1024)
    put(environment, one="1")
    fill = WRITER.replace('b"kept", b"1"', 'b"kept", b"x" * 2_000_000').replace(
        "sys.stdin.read()", "transaction.abort()"
    )
    subprocess.run([sys.executable, "-c", fill, str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
    assert read(environment, b"kept") == b"x" * 2_000_000
    put(environment, two="2")
    environment.close()


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Environment(tmp_path)
    environment._handle._until_reserve = 0  # type: ignore[union-attr]
    environment._handle._reserved = 0  # type: ignore[union-attr]

    def full(file: int, begin: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StateError, match=r"state.lmdb cannot grow: No space left on device; make room on its disk"):
        environment.write()
    with pytest.raises(StateError, match="cannot grow"):
        environment.write()
    monkeypatch.undo()
    put(environment, one="1")
    environment.close()


def test_the_disk_has_room_for_what_comes_next(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    assert (tmp_path / FILE).stat().st_blocks * 512 >= 32 * 1024 * 1024
    assert environment.used_bytes < 1024 * 1024
    environment.close()


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mend = "set shared.state_directory to a directory that the gateway may write to"
    with pytest.raises(StateError, match=rf"^cannot use {tmp_path}/file: File exists; {mend}$"):
        Environment(tmp_path / "file")
    with pytest.raises(StateError, match=rf"^cannot use {tmp_path}/file/state: Not a directory; {mend}$"):
        Environment(tmp_path / "file" / "state")
