"""Tools that agents use: their own, those of MCP servers, and commands."""

from tallygate.declare import Dimension, Distribution, Fact, Gauge
from tallygate.errors import TOOL_ERROR_TYPES
from tallygate.facts.words import OUTCOMES, SECONDS
from tallygate.ledger.schema import Combine


class ToolCall(Fact):
    """One call of a tool: of the program's own, or through MCP."""

    takes_custom_labels = True

    server = Dimension("MCP server that has the tool, as configured; '' for a tool of the program's own")
    tool = Dimension("name of the tool, as the program or the server lists it")
    agent_id = Dimension("as LLMCall.agent_id")
    agent_name = Dimension("as LLMCall.agent_name")
    agent_type = Dimension("as LLMCall.agent_type")
    route = Dimension("as LLMCall.route")
    source = Dimension("as LLMCall.source")
    outcome = Dimension("how it ended; cancelled by its caller is not a failure", values=OUTCOMES)
    error_type = Dimension("'' unless failed, else one of errors.ToolErrorType", values=("", *TOOL_ERROR_TYPES))

    duration = Distribution("seconds", "call to result", exponent=SECONDS)
    request_size = Distribution("bytes", "arguments as they were sent")
    response_size = Distribution("bytes", "result as it was received")


class MCPOperation(Fact):
    """One request or notification between an MCP client and a server."""

    side = Dimension("which end measured it", values=("client", "server"))
    server = Dimension("name of the MCP server, as configured")
    method = Dimension("method of the protocol, initialize, tools/call, ...; 'other' for one that it does not have")
    tool = Dimension("as ToolCall.tool, for tools/call; else ''")
    error_type = Dimension("as ToolCall.error_type", values=ToolCall.error_type.values)

    duration = Distribution("seconds", "request to response", exponent=SECONDS)


class MCPSession(Fact):
    """One session between an MCP client and a server that has ended."""

    side = Dimension("as MCPOperation.side", values=MCPOperation.side.values)
    server = Dimension("as MCPOperation.server")
    outcome = Dimension("how it ended", values=OUTCOMES)

    duration = Distribution("seconds", "initialization to end", exponent=SECONDS)


class MCPSessionActive(Fact):
    """MCP sessions that are open now."""

    side = Dimension("as MCPOperation.side", values=MCPOperation.side.values)
    server = Dimension("as MCPOperation.server")

    now = Gauge("", "how many are open")


class MCPServerState(Fact):
    """What has become of the deployment of an MCP server."""

    server = Dimension("as MCPOperation.server")
    state = Dimension(
        "a state of its deployment",
        values=("not_created", "pending", "running", "failed", "succeeded", "hibernated", "waking"),
    )

    holds = Gauge("", "1 for the state it is in, else 0", combine=Combine.LATEST)


class CommandRun(Fact):
    """One command run for an agent, in a sandbox or not."""

    command = Dimension("name of the program, as the application lists it")
    outcome = Dimension("how it ended; any other exit code than 0 is a failure", values=OUTCOMES)
    exit_code = Dimension("0 to 255; '-N' when signal N ended it; '' when it never ran")

    duration = Distribution("seconds", "start to exit", exponent=SECONDS)
    output_size = Distribution("bytes", "what it wrote")
