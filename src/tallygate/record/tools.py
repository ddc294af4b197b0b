"""Tools that agents use: their own, those of MCP servers, and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from tallygate.context import current
from tallygate.errors import TOOL_ERROR_TYPES, ToolErrorType
from tallygate.facts import OUTCOMES, CommandRun, MCPOperation, MCPServerState, MCPSession, MCPSessionActive, ToolCall
from tallygate.record.classify import is_cancellation
from tallygate.record.failures import shown
from tallygate.record.places import Place
from tallygate.record.recording import Recording
from tallygate.record.tracker import Tracker, outcome_of

if TYPE_CHECKING:
    from tallygate.context import Dimensions

    ToolKey = tuple[
        type[ToolCall], str, str, *tuple[str | None, ...], Dimensions | None, tuple[tuple[str, str | None], ...]
    ]

MCP_METHODS: Final = frozenset(
    {
        "initialize",
        "ping",
        "completion/complete",
        "elicitation/create",
        "logging/setLevel",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "roots/list",
        "sampling/createMessage",
        "tools/call",
        "tools/list",
        "notifications/cancelled",
        "notifications/elicitation/complete",
        "notifications/initialized",
        "notifications/message",
        "notifications/progress",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
        "notifications/roots/list_changed",
        "notifications/tools/list_changed",
    }
)
"""Methods of the Model Context Protocol; others are 'other'."""

SERVER_STATES: Final = MCPServerState.state.values
SIDES: Final = MCPOperation.side.values
_OF_AGENTS: Final = ("agent_id", "agent_name", "agent_type", "route", "source")


def tool_error_of(problem: BaseException | None) -> str:
    """'' for none and for a cancellation, else one of ToolErrorType, for an exception that left a tool call."""
    if problem is None or is_cancellation(problem):
        return ""
    told = getattr(problem, "error_type", None)
    if isinstance(told, ToolErrorType):
        return told.value
    if isinstance(problem, TimeoutError):
        return ToolErrorType.TIMEOUT.value
    if isinstance(problem, ConnectionError):
        return ToolErrorType.TRANSPORT.value
    return ToolErrorType.TOOL_ERROR.value


class ToolCallTracker(Tracker):
    """One call of a tool. An exception that leaves the block is the tool's, unless it says otherwise."""

    fact = ToolCall
    __slots__ = ("request_size", "response_size")

    def __init__(self, recorder: Recording, key: ToolKey) -> None:
        super().__init__(recorder, key)
        self.request_size: int | None = None
        """Bytes of the arguments; None when not known."""
        self.response_size: int | None = None
        """Bytes of the result; None when not known."""

    def find(self, recorder: Recording) -> Place:
        _, server, tool, *given, context, custom = cast("ToolKey", self.key)
        around = dict(context or ())
        known = [
            around.pop(name, "") if value is None else value for name, value in zip(_OF_AGENTS, given, strict=True)
        ]
        around.pop("external_agent_id", None)
        before = recorder.texts(ToolCall, (server, tool, *known))
        labels = recorder.custom_values(ToolCall, {**around, **dict(custom)})
        return Place(recorder.tables[ToolCall], before, labels, going=("completed", ""))

    def finish(self, error_type: str = "", outcome: str = "") -> bool:
        """Record the call. error_type: one of ToolErrorType when it failed. False when it was finished before.

        outcome: completed, failed or cancelled; when it is not told, the error type says it.
        """
        if error_type and error_type not in TOOL_ERROR_TYPES:
            error_type = self._word("error_type", error_type, TOOL_ERROR_TYPES, ToolErrorType.OTHER.value)
        told = "failed" if error_type else "completed"
        if not outcome:
            outcome = told
        elif outcome not in OUTCOMES:
            outcome = self._word("outcome", outcome, OUTCOMES, told)
        return self._record((outcome, error_type), self.request_size, self.response_size)

    def _end(self, problem: BaseException | None) -> bool:
        if problem is None:
            return self._record(("completed", ""), self.request_size, self.response_size)
        return self.finish(tool_error_of(problem), outcome_of(problem))


class MCPOperationTracker(Tracker):
    """One request of the protocol, at either end."""

    fact = MCPOperation
    __slots__ = ()

    def find(self, recorder: Recording) -> Place:
        side, server, method, tool = recorder.texts(MCPOperation, self.key[1:])
        side = recorder.word(MCPOperation, "side", side, SIDES, "client")
        method = method if method in MCP_METHODS else "other"
        before = (side, server, method, tool if method == "tools/call" else "")
        return Place(recorder.tables[MCPOperation], before, going=("",))

    def finish(self, error_type: str = "") -> bool:
        """Record it. error_type: one of ToolErrorType when it failed. False when it was finished before."""
        if error_type and error_type not in TOOL_ERROR_TYPES:
            error_type = self._word("error_type", error_type, TOOL_ERROR_TYPES, ToolErrorType.OTHER.value)
        return self._record((error_type,))

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish(tool_error_of(problem))


class MCPSessionTracker(Tracker):
    """One session: counted as active until it ends."""

    fact = MCPSession
    __slots__ = ()

    def find(self, recorder: Recording) -> Place:
        side, server = recorder.texts(MCPSession, self.key[1:])
        side = recorder.word(MCPSession, "side", side, SIDES, "client")
        active = recorder.tables[MCPSessionActive].row(side, server)
        return Place(recorder.tables[MCPSession], (side, server), going=active)

    def finish(self, outcome: str = "completed") -> bool:
        """Record it. outcome: completed, failed or cancelled. False when it was finished before."""
        return self._record((self._word("outcome", outcome, OUTCOMES, "failed"),))

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish(outcome_of(problem))


class CommandTracker(Tracker):
    """One command. Finished with its exit code; an exception means that it never ran to its end."""

    fact = CommandRun
    __slots__ = ("exit_code", "output_size")

    def __init__(self, recorder: Recording, key: tuple[object, ...]) -> None:
        super().__init__(recorder, key)
        self.exit_code: int | None = None
        """As the system tells it: 0 to 255, or -N for signal N; None when it never ran."""
        self.output_size: int | None = None
        """Bytes it wrote; None when not known."""

    def find(self, recorder: Recording) -> Place:
        command = recorder.texts(CommandRun, self.key[1:])
        return Place(recorder.tables[CommandRun], command, going=("completed", "0"))

    def finish(self, exit_code: int | None = None, output_size: int | None = None) -> bool:
        """Record it; what is None is what the attributes say. False when it was finished before."""
        return self._close(exit_code if exit_code is not None else self.exit_code, output_size, None)

    def _end(self, problem: BaseException | None) -> bool:
        return self._close(self.exit_code, None, problem)

    def _close(self, exit_code: int | None, output_size: int | None, problem: BaseException | None) -> bool:
        if exit_code is not None and not isinstance(exit_code, int):
            told = TypeError(f"exit_code {shown(exit_code)} is no number")
            self._recorder.failed(CommandRun, told, "invalid_dimension")
            exit_code = None
        outcome = outcome_of(problem) if problem is not None or not exit_code else "failed"
        # Shells fold whatever does not fit into 8 bits, so that there are only so many codes.
        code = "" if exit_code is None else str(exit_code if -64 <= exit_code <= 255 else exit_code & 255)
        return self._record((outcome, code), output_size if output_size is not None else self.output_size)


class ToolRecording(Recording):
    """Writing facts of tools, MCP and commands."""

    def track_tool_call(
        self,
        /,
        tool: str,
        server: str = "",
        agent_id: str | None = None,
        agent_name: str | None = None,
        agent_type: str | None = None,
        route: str | None = None,
        source: str | None = None,
        **custom: str | None,
    ) -> ToolCallTracker:
        """A tracker for one call of a tool. server: the MCP server that has it, '' for one of the program's own.

        What is None comes from the ``context``. custom: values of the configured custom labels.
        """
        labels = tuple(self.identified(custom).items()) if custom or self.identities is not None else ()
        return ToolCallTracker(
            self, (ToolCall, server, tool, agent_id, agent_name, agent_type, route, source, current.get(), labels)
        )

    def track_mcp_operation(self, side: str, server: str, method: str, tool: str = "") -> MCPOperationTracker:
        """A tracker for one request of the protocol. side: client or server. tool: for tools/call."""
        return MCPOperationTracker(self, (MCPOperation, side, server, method, tool))

    def track_mcp_session(self, side: str, server: str) -> MCPSessionTracker:
        """A tracker for one session. side: client or server."""
        return MCPSessionTracker(self, (MCPSession, side, server))

    def set_mcp_sessions(self, server: str, count: float, side: str = "client") -> None:
        """How many sessions with a server this worker has open: for those who count themselves, 0 included."""
        if self._known(MCPSessionActive, "side", side, SIDES):
            self._set(MCPSessionActive, (side, server), {MCPSessionActive.now: count})

    def set_mcp_server_state(self, server: str, state: str | None) -> None:
        """The state its deployment is in (facts.MCPServerState); None when there is no such server any more."""
        if state is not None and not self._known(MCPServerState, "state", state, SERVER_STATES):
            return
        for candidate in SERVER_STATES:
            self._set(MCPServerState, (server, candidate), {MCPServerState.holds: int(candidate == state)})

    def track_command(self, command: str) -> CommandTracker:
        """A tracker for one run of a command. command: the name of the program, not its arguments."""
        return CommandTracker(self, (CommandRun, command))
