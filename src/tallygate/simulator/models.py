"""GET /models and /models/{id}, in the form of whoever asks."""

from typing import Any

from tallygate.simulator.answer import CREATED
from tallygate.simulator.behaviours import marks_of
from tallygate.simulator.routes import models_path

MODELS = (
    "gpt-4o",
    "gpt-4o-mini",
    "o4-mini",
    "text-embedding-3-small",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
    "gemini-2.5-flash",
    "gemini-2.5-pro",
)
"""What is listed; any other name works as well."""


def models_reply(target: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, dict[str, Any]] | None:
    """Status and document; None when the path is another."""
    found = models_path(target)
    if found is None:
        return None
    prefix, model = found
    names = {name.lower() for name, _ in headers}
    if "/v1beta" in prefix or "/v1alpha" in prefix or b"x-goog-api-key" in names:
        if "404" in marks_of(model):
            error = {"code": 404, "message": f"models/{model} is not found.", "status": "NOT_FOUND"}
            return 404, {"error": error}
        return 200, _gemini(model) if model else {"models": [_gemini(name) for name in MODELS]}
    if b"anthropic-version" in names:
        if "404" in marks_of(model):
            return 404, {"type": "error", "error": {"type": "not_found_error", "message": f"model: {model}"}}
        if model:
            return 200, _anthropic(model)
        listed = [_anthropic(name) for name in MODELS]
        return 200, {"data": listed, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    if "404" in marks_of(model):
        error = {"message": f"The model '{model}' does not exist", "type": "invalid_request_error"}
        return 404, {"error": error | {"param": "model", "code": "model_not_found"}}
    return 200, _openai(model) if model else {"object": "list", "data": [_openai(name) for name in MODELS]}


def _openai(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": CREATED, "owned_by": "simulator"}


def _anthropic(model: str) -> dict[str, Any]:
    return {"type": "model", "id": model, "display_name": model, "created_at": "2025-06-15T15:06:40Z"}


def _gemini(model: str) -> dict[str, Any]:
    return {
        "name": f"models/{model}",
        "version": "001",
        "displayName": model,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
