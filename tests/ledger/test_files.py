"""The file of a segment: what is refused and how, and what its users may do to it."""

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tallygate.ledger import LedgerError, implementation_name, open_ledger
from tallygate.ledger.interface import Ledger
from tallygate.ledger.schema import Kind, MeasureSchema, TableSchema

from .conftest import Driver
from .tables import CALL, TABLES, cells, gauges, totals

MEBIBYTE = 1 << 20


def native(path: Path, tables: tuple[TableSchema, ...] = TABLES, **options: int) -> Ledger:
    return open_ledger(tables, path, implementation="native", **options)


def test_two_ledgers_on_one_path_in_one_process(tmp_path: Path) -> None:
    first, second = native(tmp_path / "ledger"), native(tmp_path / "ledger")
    a, b = first.tables[0].row("m", "r"), second.tables[0].row("m", "r")
    assert a.cell == b.cell
    a.record(0.25, 3)
    b.record(0.25, 3)
    assert totals(first)[0] == totals(second)[0] == 2
    one, two = first.tables[1].row("a").begin(), second.tables[1].row("a").begin()
    assert gauges(first)[("a",)][0] == gauges(second)[("a",)][0] == 2
    assert first.statistics().workers == 1
    first.close()
    assert gauges(second)[("a",)][0] == 1
    a.record(0.25, 3)
    b.record(0.25, 3)
    assert totals(second)[0] == 3
    assert one.finish()
    assert two.finish()
    assert gauges(second)[("a",)][0] == 0
    second.close()


def test_a_reopened_file_goes_on(tmp_path: Path) -> None:
    for round in range(1, 4):
        ledger = native(tmp_path / "ledger")
        ledger.tables[0].row("m", "r").record(0.25, 3)
        ledger.tables[1].row("a").set(0, 5)
        ledger.tables[0].row("m", "r").exemplify("ab" * 16, "cd" * 8)
        ledger.close()
        del ledger
        ledger = native(tmp_path / "ledger")
        assert cells(ledger, 0, ledger.tables[0].rows()[1])[0] == round
        assert gauges(ledger)[("a",)] == [0, 0, 0, 0]
        assert len(ledger.exemplars()) == 1
        ledger.close()


def test_only_its_owner_may_read_it_and_it_takes_little_space(tmp_path: Path) -> None:
    ledger = native(tmp_path / "ledger")
    status = os.stat(tmp_path / "ledger")
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_size == ledger.statistics().capacity_bytes == 256 * MEBIBYTE
    assert status.st_blocks * 512 <= MEBIBYTE
    ledger.close()


def test_the_memory_is_read_only_and_stays(tmp_path: Path) -> None:
    ledger = native(tmp_path / "ledger")
    memory, row = ledger.memory, ledger.tables[0].row("m", "r")
    assert (memory.format, memory.readonly, memory.nbytes) == ("q", True, 256 * MEBIBYTE)
    row.record(0.25, 3)
    cell = row.cell
    ledger.close()
    del ledger, row
    assert memory[cell] == 1


def test_a_missing_directory(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "ledger"
    with pytest.raises(LedgerError) as refused:
        native(path)
    assert str(refused.value) == (
        f"cannot open the ledger {path}: No such file or directory; "
        "make the directory, and make it and the file writable for this user, or choose another path"
    )


def test_an_unwritable_directory(drive: Driver, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        if os.getuid() == 0 and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    refused = drive("files", "as_nobody", str(locked / "ledger"))
    assert refused.startswith(f"cannot open the ledger {locked / 'ledger'}: Permission denied; ")
    assert "writable for this user" in refused


def test_a_file_that_another_user_owns(drive: Driver, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(b"")
    path.chmod(0o400)
    refused = drive("files", "as_nobody", str(path))
    assert refused.startswith(f"cannot open the ledger {path}: Permission denied; ")


@pytest.mark.parametrize("content", [b"x", b"some other file " * 1000, bytes(100_000)])
def test_a_foreign_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(content)
    with pytest.raises(LedgerError) as refused:
        native(path)
    assert str(refused.value) == (
        f"cannot open the ledger {path}: the file is not a ledger; "
        "choose another path, or remove the file if nobody needs it"
    )
    assert path.read_bytes() == content


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name, cause in (("link", "Too many levels of symbolic links"), ("pipe", "it is no regular file")):
        with pytest.raises(LedgerError, match=cause):
            native(tmp_path / name)
    with pytest.raises(LedgerError, match="Is a directory"):
        native(tmp_path)
    assert not (tmp_path / "target").exists()


def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_bytes(b"")
    ledger = native(tmp_path / "ledger")
    ledger.tables[0].row("m", "r").record(0.25, 3)
    assert totals(ledger)[0] == 1
    ledger.close()


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    native(path).close()
    with path.open("r+b") as file:
        file.seek(8)
        file.write((99).to_bytes(4, "little"))
    with pytest.raises(LedgerError, match="made by another version of the ledger; stop the processes"):
        native(path)


@pytest.mark.parametrize("size", [100, 4096, 100 * MEBIBYTE, 300 * MEBIBYTE])
def test_a_file_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "ledger"
    native(path).close()
    os.truncate(path, size)
    with pytest.raises(LedgerError, match="the file is damaged"):
        native(path)


@pytest.mark.parametrize(
    "other",
    [
        replace(CALL, name="calls"),
        replace(CALL, budget=9),
        replace(CALL, dimensions=("model", "path")),
        replace(CALL, measures=CALL.measures[:2]),
        replace(CALL, measures=(replace(CALL.measures[0], boundaries=(1, 2)), *CALL.measures[1:])),
        replace(CALL, measures=(replace(CALL.measures[0], exponent=-6), *CALL.measures[1:])),
    ],
)
@pytest.mark.parametrize("still_open", [True, False])
def test_other_tables_are_refused(tmp_path: Path, other: TableSchema, still_open: bool) -> None:
    path = tmp_path / "ledger"
    ledger = native(path)
    ledger.tables[0].row("m", "r").record(0.25, 3)
    if not still_open:
        ledger.close()
        del ledger
    with pytest.raises(LedgerError) as refused:
        native(path, (other, *TABLES[1:]))
    assert str(refused.value) == (
        f"cannot open the ledger {path}: the file holds other tables (dimensions, measures, boundaries, exponents or "
        "budgets differ); stop the processes that use it and remove the file, or choose another path"
    )
    assert totals(native(path))[0] == 1


def test_capacity_and_workers_of_a_file_stay(tmp_path: Path) -> None:
    native(tmp_path / "ledger", capacity_bytes=4 * MEBIBYTE).close()
    ledger = native(tmp_path / "ledger", capacity_bytes=8 * MEBIBYTE)
    assert ledger.statistics().capacity_bytes == 4 * MEBIBYTE
    ledger.close()


def test_too_small_a_capacity_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="capacity_bytes"):
        native(tmp_path / "ledger", capacity_bytes=8192)
    assert not (tmp_path / "ledger").exists()


def test_a_limit_on_file_sizes(drive: Driver, tmp_path: Path) -> None:
    refused = drive("files", "file_size_limit", str(tmp_path / "ledger"))
    assert refused.startswith(f"cannot open the ledger {tmp_path / 'ledger'}: File too large; ")
    assert "ulimit -f" in refused
    assert not (tmp_path / "ledger").exists()


@pytest.fixture
def small_file_system(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of one mebibyte."""
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run([*as_root(), "mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs", str(where)], check=True)
    yield where
    subprocess.run([*as_root(), "umount", str(where)], check=True)


def as_root() -> list[str]:
    return [] if os.getuid() == 0 else ["sudo", "-n"]


def test_a_full_file_system(drive: Driver, small_file_system: Path) -> None:
    path = small_file_system / "ledger"
    result = drive("files", "full_file_system", str(path))
    assert result["totals"][0] == 20_000
    assert result["totals"][6] == 60_000
    assert result["overflowed"] > 10_000
    assert result["rows"] > 1_000
    assert result["rows"] == result["distinct"]
    assert result["refused"].startswith(
        f"cannot open the ledger {path}.second: No space left on device; free some space"
    )
    assert not result["left_behind"]


def test_descriptors_closed_and_reused_by_others(drive: Driver, tmp_path: Path) -> None:
    result = drive("files", "closed_descriptors", str(tmp_path / "ledger"))
    assert result["ended"] == 0
    assert result["others_untouched"]
    assert result["totals"][0] == 201
    assert (result["rows"], result["overflowed"], result["dropped"]) == (202, 0, 0)
    assert result["gauges"][0] == 201


def test_a_removed_file_goes_on_counting(drive: Driver, tmp_path: Path) -> None:
    result = drive("files", "unlinked", str(tmp_path / "ledger"))
    assert result["totals"][0] == 3
    assert (result["rows"], result["overflowed"]) == (3, 1)


def test_one_descriptor_and_none_is_left(drive: Driver, tmp_path: Path) -> None:
    before, during, after = drive("files", "descriptors", str(tmp_path / "ledger"))
    assert (during, after) == (before + 1, before)


def test_a_creator_that_is_stopped_holds_up_nobody(drive: Driver, tmp_path: Path) -> None:
    result = drive("files", "stopped_creator", str(tmp_path / "ledger"))
    assert result["ended"] == 0
    assert (result["rows"], result["overflowed"]) == (3, 50)
    assert result["totals"][0] == result["meanwhile"] + 51
    assert result["meanwhile"] > 1_000  # nobody kept the interpreter while waiting
    assert 2 <= result["waited"] < 10  # the patience for the first, none for the others


def test_a_path_in_any_bytes(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/ledger \xff \xc3\xa9"
    ledger = open_ledger(TABLES, os.fsdecode(path), implementation="native")
    ledger.close()
    assert os.path.exists(path)
    with pytest.raises(LedgerError, match="zero byte"):
        native(tmp_path / "zero\0byte")


# ---- choosing ----


def test_the_twin_refuses_a_path(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"cannot be shared between processes; leave the path out .* compiler"):
        open_ledger(TABLES, tmp_path / "ledger", implementation="python")


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYGATE_LEDGER", raising=False)
    assert implementation_name() == "native"
    monkeypatch.setenv("TALLYGATE_LEDGER", "python")
    assert implementation_name() == "python"
    assert type(open_ledger(TABLES)).__module__ == "tallygate.ledger.python"
    monkeypatch.setenv("TALLYGATE_LEDGER", "rust")
    with pytest.raises(LedgerError, match="set it to native or python"):
        implementation_name()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TableSchema("t", (), (MeasureSchema("n", Kind.SUM, 19),)), "table t, measure n: exponent is 19"),
        (
            TableSchema("t", (), (MeasureSchema("n", Kind.DISTRIBUTION, 0, (2, 1)),)),
            "measure n: boundaries must ascend",
        ),
        (TableSchema("t", (), (MeasureSchema("n", Kind.SUM, 0, (1,)),)), "measure n: only a distribution"),
        (TableSchema("t", (), (), budget=-1), "table t: budget is -1"),
        (TableSchema("t", tuple(map(str, range(65))), ()), "table t: 65 dimensions"),
    ],
)
def test_tables_that_no_ledger_can_hold(table: TableSchema, message: str) -> None:
    with pytest.raises(LedgerError, match=message):
        open_ledger([table])
    for capacity in (0, -1, 1 << 60):
        with pytest.raises(LedgerError, match=f"capacity_bytes is {capacity}: "):
            open_ledger([CALL], capacity_bytes=capacity)
    with pytest.raises(LedgerError, match="max_workers is 0: "):
        open_ledger([CALL], max_workers=0)
    with pytest.raises(LedgerError, match="two tables have the same name"):
        open_ledger([CALL, CALL])
