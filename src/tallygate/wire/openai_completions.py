"""OpenAI completions: /v1/completions, the form before chats."""

from tallygate.wire.openai_chat import OpenAIChat


class OpenAICompletions(OpenAIChat):
    """Completions. Requests, chunks and usage are those of chat completions, with ``text`` in place of messages."""

    name = "openai_completions"
    operation = "text_completion"
    endpoint = "/completions"
