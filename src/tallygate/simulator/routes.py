"""Which API a path belongs to."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from tallygate.simulator.apis.anthropic_messages import AnthropicMessages
from tallygate.simulator.apis.api import Api
from tallygate.simulator.apis.gemini_embed import GeminiEmbed
from tallygate.simulator.apis.gemini_generate import GeminiGenerate
from tallygate.simulator.apis.openai_chat import OpenAIChat
from tallygate.simulator.apis.openai_completions import OpenAICompletions
from tallygate.simulator.apis.openai_embeddings import OpenAIEmbeddings
from tallygate.simulator.apis.openai_responses import OpenAIResponses

_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)(/.*)")
_PREFIX = re.compile(r"(?:/openai)?(?:/v1(?:beta\d*|alpha)?)?(/.*)")
_METHOD = re.compile(r"(?:/.*)?/models/(.+):(\w+)")

_POSTS: dict[str, Api] = {
    "/chat/completions": OpenAIChat(),
    "/completions": OpenAICompletions(),
    "/responses": OpenAIResponses(),
    "/embeddings": OpenAIEmbeddings(),
    "/messages": AnthropicMessages(),
}
_METHODS: dict[str, tuple[Api, bool]] = {
    "generateContent": (GeminiGenerate(), False),
    "streamGenerateContent": (GeminiGenerate(), True),
    "embedContent": (GeminiEmbed(), False),
    "batchEmbedContents": (GeminiEmbed(), False),
}


@dataclass(frozen=True, slots=True)
class Route:
    """What a path says."""

    api: Api
    model: str
    """The model or deployment in the path; ''."""
    query: dict[str, str]


def route_of(target: str) -> Route | None:
    """The API of a request's target, whatever version prefix it has; None when it is none."""
    path, _, query = target.partition("?")
    options = dict(parse_qsl(query))
    path = unquote(path)
    method = _METHOD.fullmatch(path)
    if method is not None and method[2] in _METHODS:
        api, stream = _METHODS[method[2]]
        # Whether it streams is in the path alone: it is handed on beside the query's own options.
        return Route(api, method[1], options | {"method": method[2], "stream": "true" if stream else ""})
    deployment = _DEPLOYMENT.fullmatch(path)
    if deployment is not None:
        api_of = _POSTS.get(deployment[2])
        return None if api_of is None else Route(api_of, deployment[1], options)
    bare = _PREFIX.fullmatch(path)
    api_of = None if bare is None else _POSTS.get(bare[1])
    return None if api_of is None else Route(api_of, "", options)


def models_path(target: str) -> tuple[str, str] | None:
    """(version prefix, model or '') of a target below ``/models``; None for any other."""
    path = unquote(target.partition("?")[0])
    match = re.fullmatch(r"((?:/openai)?(?:/v1(?:beta\d*|alpha)?)?)/models(?:/(.+))?", path)
    return None if match is None else (match[1], match[2] or "")
