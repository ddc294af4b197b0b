"""The names of statements, and what their texts say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.instrument.queries import OTHER, Registry, Statement
from tallygate.instrument.support.sql import bare, comments, folded, is_transaction, normal, operation_and_table
from tests.instrument.db_page import hash_of

SAME = {
    "select 1": ["SELECT 1", "  select\n\t1 "],
    "select * from chats where id = $1": [
        "SELECT * FROM chats WHERE id = $1",
        "select * from chats -- all\nwhere id = $1",
    ],
    "select * from t where id in (?)": ["SELECT * FROM t WHERE id IN (?)", "SELECT * FROM t WHERE id IN (?, ?, ?)"],
    "select * from t where id in($1) and x = $2": [
        "SELECT * FROM t WHERE id IN($1) AND x = $2",
        "SELECT * FROM t WHERE id IN($1, $2,$3) AND x = $4",
    ],
    "select * from t where x = $2 and id in ($1)": [
        "select * from t where x = $2 and id in ($1)",
        "select * from t where x = $11 and id in ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
    ],
    "select * from t where id in ($1::varchar)": ["SELECT * FROM t WHERE id IN ($1::VARCHAR, $2::VARCHAR)"],
    "select * from t where id in (:id_1_1)": ["SELECT * FROM t WHERE id IN (:id_1_1, :id_1_2)"],
    "select * from t where id in (%(id_1_1)s::integer)": [
        "SELECT * FROM t WHERE id IN (%(id_1_1)s::INTEGER, %(id_1_2)s::INTEGER)"
    ],
    "select * from t where id not in (%s) and a = %s": ["select * from t where id not in (%s, %s) and a = %s"],
    "select * from t where id in (?) and kind = ?": [
        "SELECT * FROM t WHERE id IN (1, -2, 3.5) AND kind = 'x'",
        "SELECT * FROM t WHERE id IN (4) AND kind = 'it''s'",
        "SELECT * FROM t WHERE id IN ('a', 'b') AND kind = E'it\\'s'",
        "SELECT * FROM t WHERE id IN (NULL) AND kind = $tag$it's$tag$",
    ],
    "insert into t (a, b) values (?, ?) returning id": [
        "INSERT INTO t (a, b) VALUES (?, ?) RETURNING id",
        "INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?) RETURNING id",
    ],
    "insert into t (a, b) values ($1, $2) on conflict do nothing": [
        "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING"
    ],
    "select * from t where n = ? and flag = 1 limit 25 offset 100": [
        "SELECT * FROM t WHERE n = 123456 AND flag = 1 LIMIT 25 OFFSET 100",
        "SELECT * FROM t WHERE n = 77.5 AND flag = 1 LIMIT 25 OFFSET 100",
    ],
    "select t1.c10 from t1 where a = $10 and b = :b_12 and c = ?": [
        "SELECT t1.c10 FROM t1 WHERE a = $10 AND b = :b_12 AND c = 0xDEADBEEF"
    ],
    "select \u0130 from t": ["SELECT \u0130 FROM t"],
}


@pytest.mark.parametrize(("wanted", "texts"), SAME.items(), ids=str)
def test_statements_that_differ_in_values_alone_are_one(wanted: str, texts: list[str]) -> None:
    assert {folded(text) for text in texts} == {wanted}


def test_a_plain_statement_is_hashed_as_it_is_stated() -> None:
    """Collapsed and in lower case: the hash can be told from the statement by anybody."""
    text = "SELECT id,  title FROM Chats\n WHERE owner = $1 ORDER BY updated DESC LIMIT 50"
    wanted = hash_of("select id, title from chats where owner = $1 order by updated desc limit 50")
    assert Registry().describe(text) == Statement(wanted, "Chats", "select")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT a FROM chats", ("select", "chats")),
        ("(SELECT a FROM public.chats) UNION (SELECT 1)", ("select", "chats")),
        ('SELECT a FROM "public"."My Chats" AS c', ("select", "My Chats")),
        ("SELECT a FROM `db`.`chats`", ("select", "chats")),
        ("select a from only chats", ("select", "chats")),
        ("SELECT (SELECT max(x) FROM other), 2 FROM chats JOIN users ON TRUE", ("select", "chats")),
        ("SELECT extract(year FROM day), a IS DISTINCT FROM b FROM days", ("select", "days")),
        ("SELECT 'x FROM secrets' FROM chats", ("select", "chats")),
        ("SELECT * FROM generate_series(1, 9)", ("select", "")),
        ("SELECT * FROM (SELECT 1 FROM chats) q", ("select", "")),
        ("SELECT * FROM $1", ("select", "")),
        ("SELECT * FROM", ("select", "")),
        ("SELECT 1", ("select", "")),
        (f"SELECT * FROM {'t' * 65}", ("select", "")),
        ("SELECT * FROM t WHERE x = 'it\\'s' ", ("select", "")),
        ("INSERT INTO chats(a) SELECT a FROM old", ("insert", "chats")),
        ("insert or replace into chats values (1)", ("insert", "chats")),
        ("REPLACE INTO chats VALUES (1)", ("insert", "chats")),
        ("UPDATE ONLY s.chats SET a = (SELECT 1 FROM b)", ("update", "chats")),
        ("UPDATE OR IGNORE chats SET a = 1", ("update", "")),
        ("DELETE FROM chats WHERE a", ("delete", "chats")),
        ("WITH x AS (SELECT 1 FROM y) SELECT * FROM x", ("select", "")),
        ("WITH x AS (SELECT 1 FROM y) SELECT * FROM z, x", ("select", "z")),
        ("WITH x AS (DELETE FROM y RETURNING *) INSERT INTO z SELECT * FROM x", ("insert", "z")),
        ("/* hint */ -- more\n SELECT * FROM chats;", ("select", "chats")),
        ("EXPLAIN SELECT 1 FROM chats", ("other", "")),
        ("CREATE TABLE chats (a int)", ("other", "")),
        ("", ("other", "")),
    ],
)
def test_operation_and_table(text: str, wanted: tuple[str, str]) -> None:
    assert operation_and_table(text) == wanted


@pytest.mark.parametrize(
    "text",
    ["BEGIN;", "begin", "COMMIT", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY;",
     "ROLLBACK TO SAVEPOINT a;", "/* x */ RELEASE SAVEPOINT sa_1", "END"],
)  # fmt: skip
def test_what_divides_transactions_is_not_recorded(text: str) -> None:
    assert is_transaction(text)
    assert Registry().describe(text) is None


@pytest.mark.parametrize("text", ["BEGIN pay(:1); END;", "SELECT 1", "commits", "", "start slave"])
def test_what_is_recorded(text: str) -> None:
    assert not is_transaction(text)


def test_registered_by_text() -> None:
    registry = Registry()
    registry.register("by_ids", "SELECT *\nFROM chats WHERE id IN (?)")
    registry.load({"gone": "DELETE FROM chats", "paid": "SELECT 1 FROM bills WHERE state = 'paid'"})
    for text in ("select * from chats where id in (?)", "/* trace=1 */ SELECT * FROM chats WHERE id IN (?, ?)"):
        assert registry.describe(text) == Statement("by_ids", "chats", "select")
    assert registry.describe("delete from CHATS") == Statement("gone", "chats", "delete")
    assert registry.describe("SELECT 1 FROM bills WHERE state = 'open'") == Statement("paid", "bills", "select")
    assert [statement.query for statement in registry.registered] == ["by_ids", "gone", "paid"]


def test_registered_texts_that_differ_in_a_literal_are_told_apart() -> None:
    registry = Registry()
    registry.register("paid", "SELECT 1 FROM bills WHERE state = 'paid'")
    registry.register("open", "SELECT 1 FROM bills WHERE state = 'open'")
    names = [registry.describe(f"SELECT 1 FROM bills WHERE state = '{state}'") for state in ("paid", "open", "lost")]
    assert [found and found.query for found in names] == [
        "paid", "open", hash_of("select 1 from bills where state = ?"),
    ]  # fmt: skip


def test_a_name_can_have_several_texts_and_a_text_one_name() -> None:
    registry = Registry()
    registry.register("chats", "SELECT 1 FROM chats")
    registry.register("chats", "SELECT 1 FROM old_chats")
    registry.register("chats", "select 1 FROM chats")
    assert registry.registered == (Statement("chats", "chats", "select"), Statement("chats", "old_chats", "select"))
    with pytest.raises(
        ValueError, match=r"query 'others' has the text of 'chats'; register a statement under one name"
    ):
        registry.register("others", "select  1 from chats")


@pytest.mark.parametrize("name", ["", "1st", "hash-0123456789abcdef", "a b", "é", "a" * 65, 'x"', None])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no plain name; use a letter or underscore"):
        Registry().register(name, "SELECT 1")


def test_a_text_that_is_empty() -> None:
    with pytest.raises(ValueError, match=r"query 'a' has an empty text; give its SQL, or none at all"):
        Registry().register("a", " \n")


@pytest.mark.parametrize("bound", [-1, 1.5, True, "9"])
def test_bounds_are_whole_numbers(bound: int) -> None:
    with pytest.raises(ValueError, match=r"most_hashes=.* is no bound; give a whole number from 0 on"):
        Registry().configure(most_hashes=bound)


COMMENTED = [
    "/* query_id: list_chats */ SELECT 1 FROM chats",
    "SELECT 1 FROM chats /*name:list_chats*/",
    "-- name: list_chats\nSELECT 1 FROM chats",
    "-- name: list_chats^\nSELECT 1 FROM chats",
    "-- name: list_chats :many\nSELECT 1 FROM chats",
    "SELECT 1 -- query_id: list_chats\n FROM chats",
]


@pytest.mark.parametrize("text", COMMENTED)
def test_a_comment_chooses_among_registered_names(text: str) -> None:
    registry = Registry(most_comment_names=0)
    unnamed = Statement(hash_of("select 1 from chats"), "chats", "select")
    assert registry.describe(text) == unnamed
    registry.register("list_chats")
    assert registry.describe(text) == Statement("list_chats", "chats", "select")
    assert registry.describe("SELECT 1 FROM chats") == unnamed


@pytest.mark.parametrize(
    "text",
    ["SELECT '/* query_id: list_chats */'", 'SELECT "-- name: list_chats"',
     "SELECT 1 /* it is query_id: list_chats */", "SELECT 1 /* query_id: list_chats, and more */",
     "SELECT 1 /* query_id: */", "SELECT $$ /* name: list_chats */ $$"],
)  # fmt: skip
def test_what_is_no_comment_or_says_more_chooses_nothing(text: str) -> None:
    registry = Registry(most_comment_names=9)
    registry.register("list_chats")
    found = registry.describe(text)
    assert found is not None
    assert found.query.startswith("hash-")


def test_the_first_statement_of_a_name_tells_the_table_of_all() -> None:
    """So that texts which vary cannot make more rows than there are names."""
    registry = Registry()
    registry.register("search")
    assert not registry.registered
    for text in ("/* query_id: search */ SELECT 1 FROM a", "/* query_id: search */ DELETE FROM b"):
        assert registry.describe(text) == Statement("search", "a", "select")
    assert registry.registered == (Statement("search", "a", "select"),)


@pytest.mark.parametrize(
    "text", ["/* query_id: list_chats */ SELECT 1 FROM chats", " \n-- name: list_chats :many\nSELECT 1 FROM chats"]
)
def test_a_comment_with_which_a_statement_begins_brings_a_name(text: str) -> None:
    registry = Registry()
    assert registry.describe(text) == Statement("list_chats", "chats", "select")
    assert registry.describe("SELECT 2 FROM chats /* query_id: list_chats */") == Statement(
        "list_chats", "chats", "select"
    )


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 FROM chats /* query_id: evil */",
        "SELECT 1 FROM chats -- name: evil",
        "/* user: x */ /* query_id: evil */ SELECT 1 FROM chats",
        "/* user: query_id: evil */ SELECT 1 FROM chats",
        "/* query_id: evil one */ SELECT 1 FROM chats",
        "/* query_id: evil' */ SELECT 1 FROM chats",
        f"/* query_id: {'e' * 65} */ SELECT 1 FROM chats",
        "-- user: x\n-- name: evil\nSELECT 1 FROM chats",
    ],
)
def test_what_users_get_into_comments_brings_no_name(text: str) -> None:
    assert Registry().describe(text) == Statement(hash_of("select 1 from chats"), "chats", "select")


def test_names_that_nobody_registered_are_bounded() -> None:
    registry = Registry(most_comment_names=2, most_hashes=0)
    names = [registry.describe(f"/* name: n{number} */ SELECT 1") for number in (1, 2, 3, 1)]
    assert [found and found.query for found in names] == ["n1", "n2", OTHER, "n1"]


def test_hashes_are_bounded_and_the_rest_tells_no_table() -> None:
    registry = Registry(most_hashes=2)
    found = [registry.describe(f"SELECT {column} FROM {column}") for column in ("a", "b", "c", "a")]
    assert found == [
        Statement(hash_of("select a from a"), "a", "select"),
        Statement(hash_of("select b from b"), "b", "select"),
        Statement(OTHER, "", "select"),
        Statement(hash_of("select a from a"), "a", "select"),
    ]


def test_a_statement_of_a_megabyte() -> None:
    """All lengths are one statement, and none takes long or is kept."""
    registry = Registry()
    found = {registry.describe("INSERT INTO t VALUES (?, ?)" + ", (?, ?)" * count) for count in (1, 9_999, 130_000)}
    assert found == {Statement(hash_of("insert into t values (?, ?)"), "t", "insert")}


@given(st.text(alphabet="'\"`$/*-\\()? ,inIN=e1aé\n;.:%", max_size=60))
def test_any_text_has_a_name(text: str) -> None:
    found = Registry().describe(text)
    assert found is None or found.query == hash_of(folded(text))
    assert all(comment in text for comment in comments(text))


@given(st.from_regex(r"[a-zA-Z0-9 ']{4,30}", fullmatch=True))
def test_values_are_nowhere(value: str) -> None:
    quoted = value.replace("'", "''")
    text = f"SELECT 1 FROM chats WHERE owner = '{quoted}' AND x = 1"
    assert bare(text) == "SELECT 1 FROM chats WHERE owner = ? AND x = 1"
    assert Registry().describe(text) == Statement(hash_of(normal(bare(text))), "chats", "select")
