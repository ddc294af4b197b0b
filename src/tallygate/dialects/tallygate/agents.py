"""What agents do besides: tools, MCP servers, commands, tasks and knowledge bases."""

from tallygate.declare import CUSTOM_LABELS
from tallygate.dialects.families import Counter, Gauge, Histogram, StateSet
from tallygate.dialects.tallygate.buckets import BYTES, WORK_SECONDS
from tallygate.facts import (
    CommandRun,
    ConnectorSync,
    EmbeddingBatch,
    Ingestion,
    MCPOperation,
    MCPServerState,
    MCPSession,
    MCPSessionActive,
    Queue,
    RAGQuery,
    Task,
    TaskEvent,
    TaskInFlight,
    ToolCall,
)

TOOL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
SESSION_SECONDS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 14400, 43200)
RESULTS = (0, 1, 2, 5, 10, 20, 50, 100)

tool = (ToolCall.server, ToolCall.tool)
operation = (MCPOperation.side, MCPOperation.server, MCPOperation.method)
search = (RAGQuery.search_type,)

TOOLS = (
    Counter(
        "tallygate_tool_calls_total",
        ToolCall.count,
        by=(*tool, ToolCall.outcome, ToolCall.agent_name, ToolCall.route, ToolCall.source, CUSTOM_LABELS),
        help="Calls of tools; server is empty for tools of the program's own",
    ),
    Counter(
        "tallygate_tool_errors_total",
        ToolCall.count.where(ToolCall.error_type.not_among("")),
        by=(*tool, ToolCall.error_type.from_zero()),
        help="Calls of tools that failed, and why",
    ),
    Histogram(
        "tallygate_tool_call_duration_seconds",
        ToolCall.duration,
        by=(*tool, CUSTOM_LABELS),
        buckets=TOOL_SECONDS,
        help="Time from the call of a tool to its result, in seconds",
    ),
    Histogram(
        "tallygate_tool_request_size_bytes",
        ToolCall.request_size,
        by=tool,
        buckets=BYTES,
        help="Size of the arguments of tool calls, in bytes",
    ),
    Histogram(
        "tallygate_tool_response_size_bytes",
        ToolCall.response_size,
        by=tool,
        buckets=BYTES,
        help="Size of the results of tool calls, in bytes",
    ),
    Histogram(
        "tallygate_mcp_operation_duration_seconds",
        MCPOperation.duration,
        by=operation,
        buckets=TOOL_SECONDS,
        help="Time from a request between an MCP client and a server to its response, in seconds",
    ),
    Counter(
        "tallygate_mcp_errors_total",
        MCPOperation.count.where(MCPOperation.error_type.not_among("")),
        by=(*operation, MCPOperation.error_type.from_zero()),
        help="Requests between MCP clients and servers that failed, and why",
    ),
    Histogram(
        "tallygate_mcp_session_duration_seconds",
        MCPSession.duration,
        by=(MCPSession.side, MCPSession.server, MCPSession.outcome),
        buckets=SESSION_SECONDS,
        help="Duration of MCP sessions that ended, in seconds",
    ),
    Gauge(
        "tallygate_mcp_sessions_active",
        MCPSessionActive.now,
        by=(MCPSessionActive.side, MCPSessionActive.server),
        help="MCP sessions that are open now",
    ),
    StateSet(
        "tallygate_mcp_server_state",
        MCPServerState.holds,
        by=(MCPServerState.server,),
        state=MCPServerState.state,
        help="What has become of the deployment of an MCP server",
    ),
    Counter(
        "tallygate_command_runs_total",
        CommandRun.count,
        by=(CommandRun.command, CommandRun.outcome, CommandRun.exit_code),
        help="Commands run for agents",
    ),
    Histogram(
        "tallygate_command_duration_seconds",
        CommandRun.duration,
        by=(CommandRun.command,),
        buckets=WORK_SECONDS,
        help="Time from start to exit of a command, in seconds",
    ),
    Histogram(
        "tallygate_command_output_size_bytes",
        CommandRun.output_size,
        by=(CommandRun.command,),
        buckets=BYTES,
        help="Size of what a command wrote, in bytes",
    ),
)

TASKS = (
    Counter(
        "tallygate_task_runs_total",
        Task.count,
        by=(Task.task_type, Task.outcome.from_zero()),
        help="Runs of tasks and how they ended; a task that is tried again has several",
    ),
    Histogram(
        "tallygate_task_duration_seconds",
        Task.duration,
        by=(Task.task_type, Task.outcome),
        buckets=WORK_SECONDS,
        help="Duration of runs of tasks, in seconds",
    ),
    Histogram(
        "tallygate_task_time_in_queue_seconds",
        Task.time_in_queue,
        by=(Task.task_type,),
        buckets=WORK_SECONDS,
        help="Time from enqueued, or due, to the start of a task's run, in seconds",
    ),
    Counter(
        "tallygate_task_events_total",
        TaskEvent.tasks,
        by=(TaskEvent.task_type, TaskEvent.event.from_zero()),
        help="What happened to tasks outside of their runs",
    ),
    Gauge("tallygate_tasks_active", TaskInFlight.now, by=(TaskInFlight.task_type,), help="Tasks running now"),
    Gauge("tallygate_queue_size", Queue.size, by=(Queue.queue,), help="How many wait in a queue"),
    Gauge(
        "tallygate_queue_oldest_age_seconds",
        Queue.oldest_age,
        by=(Queue.queue,),
        help="How long the oldest in a queue has waited, in seconds",
    ),
)

KNOWLEDGE_BASES = (
    Counter(
        "tallygate_rag_connector_syncs_total",
        ConnectorSync.count,
        by=(ConnectorSync.connector_type, ConnectorSync.status.from_zero()),
        help="Synchronisations of a knowledge base with a source of documents",
    ),
    Histogram(
        "tallygate_rag_connector_sync_duration_seconds",
        ConnectorSync.duration,
        by=(ConnectorSync.connector_type, ConnectorSync.status),
        buckets=WORK_SECONDS,
        help="Duration of synchronisations of a knowledge base, in seconds",
    ),
    *(
        Counter(f"tallygate_rag_{what}_total", measure, by=(Ingestion.connector_type,), help=help)
        for what, measure, help in (
            ("documents_processed", Ingestion.documents_processed, "Documents that were looked at"),
            ("documents_ingested", Ingestion.documents_ingested, "Documents that were new or changed, and taken in"),
            ("chunks_created", Ingestion.chunks_created, "Chunks that documents were cut into"),
        )
    ),
    Counter(
        "tallygate_rag_embedding_batches_total",
        EmbeddingBatch.count,
        by=(EmbeddingBatch.status.from_zero(),),
        help="Batches of documents that were embedded",
    ),
    Counter(
        "tallygate_rag_embedding_documents_total",
        EmbeddingBatch.documents,
        by=(EmbeddingBatch.status.from_zero(),),
        help="Documents in the batches that were embedded",
    ),
    Histogram(
        "tallygate_rag_embedding_batch_duration_seconds",
        EmbeddingBatch.duration,
        by=(EmbeddingBatch.status,),
        buckets=WORK_SECONDS,
        help="Time to embed a batch of documents, in seconds",
    ),
    Counter(
        "tallygate_rag_queries_total",
        RAGQuery.count,
        by=(*search, RAGQuery.status.from_zero()),
        help="Questions to knowledge bases and how they ended",
    ),
    Histogram(
        "tallygate_rag_query_duration_seconds",
        RAGQuery.duration,
        by=search,
        buckets=TOOL_SECONDS,
        help="Time from a question to a knowledge base to its results, in seconds",
    ),
    Histogram(
        "tallygate_rag_query_results",
        RAGQuery.results,
        by=search,
        buckets=RESULTS,
        help="How many results a question to a knowledge base gave",
    ),
)
