"""Reading rows piece by piece."""

import pytest

from tallygate.ledger import Implementation, open_ledger
from tallygate.ledger.schema import TableSchema


@pytest.mark.parametrize("implementation", ["native", "python"])
@pytest.mark.parametrize(
    ("start", "limit", "indexes"),
    [(0, -1, [0, 1, 2, 3]), (1, 2, [1, 2]), (3, 2, [3]), (4, 2, []), (0, 0, []), (-5, 1, [0]), (2, 99, [2, 3])],
)
def test_rows_from_a_start_up_to_a_limit(
    implementation: Implementation, start: int, limit: int, indexes: list[int]
) -> None:
    ledger = open_ledger([TableSchema("calls", ("model",), ())], implementation=implementation)
    table = ledger.tables[0]
    for model in ("a", "b", "c"):
        table.row(model)
    assert [row.index for row in table.rows(start, limit)] == indexes
    ledger.close()
