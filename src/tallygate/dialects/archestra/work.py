"""Archestra's families of the knowledge base and of the task queue."""

from tallygate.dialects.families import Counter, Gauge, Histogram
from tallygate.facts import ConnectorSync, EmbeddingBatch, Ingestion, RAGQuery, Task, TaskEvent, TaskInFlight

SYNC_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800)
QUERY_SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
RESULTS = (0, 1, 2, 5, 10, 20, 50)
TASK_SECONDS = (0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600)

connector_type = (Ingestion.connector_type,)
search_type = RAGQuery.search_type.from_zero("vector", "hybrid")

KNOWLEDGE_BASE = (
    Counter(
        "rag_connector_syncs_total",
        ConnectorSync.count,
        by=(ConnectorSync.connector_type, ConnectorSync.status.from_zero()),
        help="Synchronisations of the knowledge base with a source",
    ),
    Histogram(
        "rag_connector_sync_duration_seconds",
        ConnectorSync.duration,
        by=(ConnectorSync.connector_type, ConnectorSync.status),
        buckets=SYNC_SECONDS,
        help="Duration of synchronisations of the knowledge base with a source, in seconds",
    ),
    Counter(
        "rag_documents_processed_total",
        Ingestion.documents_processed,
        by=connector_type,
        help="Documents that were looked at",
    ),
    Counter(
        "rag_documents_ingested_total",
        Ingestion.documents_ingested,
        by=connector_type,
        help="Documents that were new or changed, and taken in",
    ),
    Counter(
        "rag_chunks_created_total",
        Ingestion.chunks_created,
        by=connector_type,
        help="Chunks that documents were cut into",
    ),
    Counter(
        "rag_embedding_batches_total",
        EmbeddingBatch.count,
        by=(EmbeddingBatch.status.from_zero(),),
        help="Batches of documents that were embedded",
    ),
    Counter(
        "rag_embedding_documents_total",
        EmbeddingBatch.documents,
        by=(EmbeddingBatch.status.from_zero(),),
        help="Documents in the batches that were embedded",
    ),
    Counter("rag_queries_total", RAGQuery.count, by=(search_type,), help="Questions to the knowledge base"),
    Histogram(
        "rag_query_duration_seconds",
        RAGQuery.duration,
        by=(search_type,),
        buckets=QUERY_SECONDS,
        help="Duration of questions to the knowledge base, embedding, search and reranking, in seconds",
    ),
    Histogram(
        "rag_query_results_count",
        RAGQuery.results,
        by=(search_type,),
        buckets=RESULTS,
        help="How many results a question to the knowledge base gave",
    ),
)

typed = TaskEvent.task_type.not_among("")

TASKS = (
    Counter(
        "task_queue_tasks_enqueued_total",
        TaskEvent.tasks.where(TaskEvent.event.among("enqueued") & typed),
        by=(TaskEvent.task_type,),
        help="Tasks put into the queue",
    ),
    Counter(
        "task_queue_tasks_completed_total",
        Task.count.where(Task.outcome.among("completed")),
        by=(Task.task_type,),
        help="Runs of tasks that came to a good end",
    ),
    Counter(
        "task_queue_tasks_failed_total",
        Task.count.where(Task.outcome.among("failed")),
        by=(Task.task_type,),
        help="Runs of tasks that failed, whether or not they are tried again",
    ),
    Counter(
        "task_queue_tasks_dead_total",
        TaskEvent.tasks.where(TaskEvent.event.among("dead") & typed),
        by=(TaskEvent.task_type,),
        help="Tasks given up, all retries used",
    ),
    Histogram(
        "task_queue_task_duration_seconds",
        Task.duration.where(Task.outcome.among("completed")),
        by=(Task.task_type,),
        buckets=TASK_SECONDS,
        help="Duration of runs of tasks that came to a good end, in seconds",
    ),
    Gauge("task_queue_active_tasks", TaskInFlight.now, by=(TaskInFlight.task_type,), help="Tasks running now"),
    Counter(
        "task_queue_stuck_tasks_reset_total",
        TaskEvent.tasks.where(TaskEvent.event.among("stuck_reset")),
        help="Tasks taken from a worker that lost them",
    ),
)
