from __future__ import annotations

import base64
import hashlib
import uuid

import pytest

from tallygate.context import context
from tallygate.facts import LLMCall, Query, ToolCall
from tallygate.record.credentials import is_credential
from tallygate.tally import Tally
from tests.record.reading import dropped, only_row

CREDENTIALS = [
    "sk-proj-" + "aB3dE5fG" * 4,
    "sk-ant-api03-" + "x" * 40,
    "tg-" + "A1b2C3d4" * 4,
    "Bearer abcdefgh",
    "Basic dXNlcjpwYXNz",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJl",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" + "9aZ2",
    "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r"[:35],
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "A1b2C3d4E5f6G7h8I9j0K1",
    "xoxb-1234567890-abcdefghij",
    "gsk_" + "abcDEF123456" * 3,
    "-----BEGIN RSA PRIVATE KEY-----",
    "postgresql://app:hunter2@db/app",
    base64.b64encode(hashlib.sha256(b"secret").digest()).decode(),
]
IDS = [
    "", "gpt-4o", "openai", "find_user", "a1", "agent-42", "hash-0123456789abcdef", "/users/{user_id}/messages",
    "accounts/fireworks/models/llama-v3p1-405b-instruct", "Qwen/Qwen2.5-Coder-32B-Instruct-GPTQ-Int4",
    "anthropic.claude-3-5-sonnet-20241022-v2:0", "someone@example.org", "asst_4yLKzWn0nXGSqaBcD12EfGhI",
    "postgresql://db/app", "risk-assessment-of-everything", "MyVeryLongTaskClassNameForVersion2AndVersion3Handlers",
    "task-management-for-everything-there-is", str(uuid.UUID(int=2**100 + 12345)), hashlib.sha256(b"user").hexdigest(),
]  # fmt: skip


@pytest.mark.parametrize("value", CREDENTIALS)
def test_a_credential(value: str) -> None:
    assert is_credential(value)
    assert is_credential(f"token {value}!") or value.startswith(("wJal", "AKIA"))


@pytest.mark.parametrize("value", IDS)
def test_an_ordinary_value(value: str) -> None:
    assert not is_credential(value)


def test_a_credential_becomes_no_label(tally: Tally) -> None:
    secret = CREDENTIALS[0]
    with context(agent_id=secret), tally.track_llm_call("openai", "gpt-4o", route=secret):
        pass
    tally.track_tool_call("search", agent_name=secret).finish()
    for _ in range(2):
        tally.track_query(secret).finish()
    assert only_row(tally, LLMCall).dimensions["agent_id"] == "redacted"
    assert only_row(tally, LLMCall).dimensions["route"] == "redacted"
    assert only_row(tally, ToolCall).dimensions["agent_name"] == "redacted"
    assert only_row(tally, Query).dimensions["query"] == "redacted"
    assert dropped(tally) == {("LLMCall", "credential"): 2, ("ToolCall", "credential"): 1, ("Query", "credential"): 2}
    assert secret not in repr((tally.bindings, tally.places))
    assert secret.encode() not in tally.render()
