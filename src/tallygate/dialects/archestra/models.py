"""Archestra's families of models and of MCP tools."""

from tallygate.declare import CUSTOM_LABELS
from tallygate.dialects.families import Counter, Gauge, Histogram, split
from tallygate.facts import LLMCall, MCPServerState, ToolCall

REQUEST_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60)
FIRST_TOKEN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)
TOKENS_PER_SECOND = (5, 10, 25, 50, 75, 100, 150, 200, 300)
TOKENS = (4, 16, 64, 256, 1024, 4096, 16384, 65536)
REQUEST_BYTES = (100, 500, 1000, 5000, 10000, 50000, 100000)
RESPONSE_BYTES = (*REQUEST_BYTES, 500000)

agent = (
    LLMCall.provider,
    LLMCall.model.as_({"": "unknown"}),
    LLMCall.agent_id,
    LLMCall.agent_name,
    LLMCall.agent_type,
    LLMCall.external_agent_id,
    LLMCall.source,
    CUSTOM_LABELS,
)
status_code = LLMCall.status_code.as_({"network_error": "0"})

LLM = (
    Histogram(
        "llm_request_duration_seconds",
        LLMCall.duration,
        by=(*agent, status_code),
        buckets=REQUEST_SECONDS,
        help="LLM request duration in seconds, to the last byte; status_code 0 is a network error",
    ),
    Counter(
        "llm_tokens_total",
        split("type", input=LLMCall.uncached_input_tokens, output=LLMCall.output_tokens),
        by=agent,
        help="Tokens used; input leaves out those read from or written to a prompt cache",
    ),
    Counter(
        "llm_cache_tokens_total",
        split("cache_type", read=LLMCall.cache_read_tokens, write=LLMCall.cache_write_tokens),
        by=agent,
        help="Input tokens read from and written to the providers' prompt caches",
    ),
    Counter("llm_cost_total", LLMCall.cost, by=agent, help="Cost of LLM requests in USD"),
    Counter(
        "llm_blocked_tools_total",
        LLMCall.blocked_tools,
        by=agent,
        help="Tool calls in replies that a policy blocked",
    ),
    Histogram(
        "llm_time_to_first_token_seconds",
        LLMCall.time_to_first_token,
        by=agent,
        buckets=FIRST_TOKEN_SECONDS,
        help="Time to the first token of streamed LLM requests, in seconds",
    ),
    Histogram(
        "llm_tokens_per_second",
        LLMCall.output_tokens_per_second,
        by=agent,
        buckets=TOKENS_PER_SECOND,
        help="Output tokens per second of the whole LLM request",
    ),
    Histogram(
        "llm_token_usage",
        LLMCall.total_tokens,
        by=agent,
        buckets=TOKENS,
        as_written=True,
        help="Tokens, input and output, of one LLM request",
    ),
)

tool = (
    ToolCall.agent_id,
    ToolCall.agent_name,
    ToolCall.agent_type,
    ToolCall.server.named("mcp_server_name"),
    ToolCall.tool.named("tool_name"),
)
status = ToolCall.outcome.as_(
    {"completed": "success", "failed": "error", "cancelled": "success"}  # who leaves made no error
).named("status")
of_mcp = ToolCall.server.not_among("")

MCP = (
    Counter(
        "mcp_tool_calls_total",
        ToolCall.count.where(of_mcp),
        by=(*tool, status.from_zero("completed", "failed"), CUSTOM_LABELS),
        help="Calls of tools of MCP servers",
    ),
    Histogram(
        "mcp_tool_call_duration_seconds",
        ToolCall.duration.where(of_mcp),
        by=(*tool, status, CUSTOM_LABELS),
        buckets=REQUEST_SECONDS,
        help="Duration of calls of tools of MCP servers, in seconds",
    ),
    Histogram(
        "mcp_request_size_bytes",
        ToolCall.request_size.where(of_mcp),
        by=(*tool, status, CUSTOM_LABELS),
        buckets=REQUEST_BYTES,
        help="Size of the arguments of calls of tools of MCP servers, in bytes",
    ),
    Histogram(
        "mcp_response_size_bytes",
        ToolCall.response_size.where(of_mcp),
        by=(*tool, status, CUSTOM_LABELS),
        buckets=RESPONSE_BYTES,
        help="Size of the results of calls of tools of MCP servers, in bytes",
    ),
    Gauge(
        "mcp_server_deployment_status",
        MCPServerState.holds,
        by=(MCPServerState.server.named("server_name"), MCPServerState.state),
        help="1 for the state that the deployment of an MCP server is in, 0 for the others",
    ),
)
