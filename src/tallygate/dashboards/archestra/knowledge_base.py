"""RAG & Knowledge Base: syncs of connectors, embeddings, questions, and the models behind them.

Mended: totals are those of the chosen time, and rates of errors have an answer before the first error.
"""

from __future__ import annotations

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import Shown, stat, timeseries
from tallygate.dashboards.variables import chained, sources, vocabulary
from tallygate.promql import Selector

ask = vocabulary("archestra", "connector_type", "search_type")
syncs, batches, questions = (
    ask("rag_connector_syncs_total"),
    ask("rag_embedding_batches_total"),
    ask("rag_queries_total"),
)
requests, tokens = ask("llm_request_duration_seconds"), ask("llm_tokens_total")
all_syncs, all_batches = syncs.increase("$__range").sum(), batches.increase("$__range").sum()
EMBEDDING, RERANKER = "knowledge:embedding", "knowledge:reranker"
SOURCES = "Look at the connector's log: credentials that ended and limits of the source are the usual causes."
MODELS = "Compare with GenAI Observability, filtered by this source: the provider is slow, or batches grew."


def percentiles(family: Selector) -> tuple[Shown, ...]:
    """P50, P95 and P99."""
    return tuple((f"P{share:g}", family.quantile(share / 100)) for share in (50, 95, 99))


KNOWLEDGE_BASE = Board(
    uid="tallygate-archestra-knowledge-base",
    title="Archestra RAG & Knowledge Base",
    help="Connector syncs, the embedding pipeline and questions to the knowledge base, in Archestra's names.",
    dialect="archestra",
    variables=(*sources(), *chained(syncs, "connector_type"), *chained(questions, "search_type")[1:]),
    time="now-30m",
    rows=(
        Row(
            "Connector Sync Overview",
            (
                stat(
                    "Total Syncs",
                    "Synchronisations with sources in the chosen time.",
                    "0: nothing starts them. See Task Queue in Application Metrics.",
                    all_syncs,
                    unit=units.Short,
                    whole_range=True,
                    width=6,
                ),
                stat(
                    "Sync Success Rate",
                    "Share of synchronisations without a failure in the chosen time; partial ones are not among them.",
                    SOURCES,
                    syncs.where(status="success").increase("$__range").sum() / all_syncs,
                    unit=units.PercentUnit,
                    thresholds={float("-inf"): "red", 0.9: "yellow", 0.99: "green"},
                    whole_range=True,
                    width=6,
                ),
                stat(
                    "Documents Ingested",
                    "Documents that were new or changed, and taken in, in the chosen time.",
                    f"0 while sources change: {SOURCES}",
                    ask("rag_documents_ingested_total").increase("$__range").sum(),
                    unit=units.Short,
                    whole_range=True,
                    width=6,
                ),
                stat(
                    "Chunks Created",
                    "Chunks that documents were cut into in the chosen time.",
                    "Many for few documents: chunks are too small, and each is embedded.",
                    ask("rag_chunks_created_total").increase("$__range").sum(),
                    unit=units.Short,
                    whole_range=True,
                    width=6,
                ),
                timeseries(
                    "Sync Rate by Connector Type",
                    "Synchronisations per second by kind of source and how they ended.",
                    SOURCES,
                    ("{{connector_type}} - {{status}}", syncs.rate().sum("connector_type", "status")),
                    unit=units.OpsPerSecond,
                    stacked=True,
                ),
                timeseries(
                    "Sync Duration (P95)",
                    "P95 of the duration of synchronisations, by kind of source.",
                    "Slower with more documents is right; slower alone is the source or its limits.",
                    (
                        "P95 - {{connector_type}}",
                        ask("rag_connector_sync_duration_seconds").quantile(0.95, "connector_type"),
                    ),
                    unit=units.Seconds,
                ),
            ),
        ),
        Row(
            "Embedding Pipeline",
            (
                stat(
                    "Total Embedding Batches",
                    "Batches of documents that were embedded in the chosen time, failed ones too.",
                    "0 while documents are ingested: the task queue stands still.",
                    all_batches,
                    unit=units.Short,
                    whole_range=True,
                    width=12,
                ),
                stat(
                    "Embedding Error Rate",
                    "Share of batches that failed in the chosen time; 0 when there were none.",
                    "The model refused: its limit, its key, or a document that is too long. See its errors.",
                    batches.where(status="error").increase("$__range").sum() / all_batches.at_least(1),
                    unit=units.PercentUnit,
                    thresholds={0.01: "yellow", 0.05: "red"},
                    whole_range=True,
                    width=12,
                ),
                timeseries(
                    "Embedding Batches by Status",
                    "Batches per second by how they ended.",
                    "Errors: the embedding model refused. See KB Embedding API Latency and its provider.",
                    batches.rate().sum("status"),
                    unit=units.OpsPerSecond,
                    stacked=True,
                ),
                timeseries(
                    "Documents Embedded by Status",
                    "Documents per second in batches that succeeded and that failed.",
                    "Documents of failed batches are not found by questions until they are embedded again.",
                    ask("rag_embedding_documents_total").rate().sum("status"),
                    unit=units.OpsPerSecond,
                    stacked=True,
                ),
                timeseries(
                    "KB Embedding API Latency",
                    f"Duration of requests to the embedding model: those with the source {EMBEDDING}.",
                    MODELS,
                    *percentiles(requests.where(source=EMBEDDING)),
                    unit=units.Seconds,
                ),
                timeseries(
                    "KB Embedding Token Usage",
                    "Tokens per second that embedding took.",
                    "Tokens without new documents: the same ones are embedded again and again.",
                    tokens.where(source=EMBEDDING).rate().sum("type"),
                    unit=units.Short,
                    stacked=True,
                ),
            ),
        ),
        Row(
            "Query Performance",
            (
                stat(
                    "Total Queries",
                    "Questions to the knowledge base in the chosen time.",
                    "0 while agents are at work: they do not use it.",
                    questions.increase("$__range").sum(),
                    unit=units.Short,
                    whole_range=True,
                    width=24,
                ),
                timeseries(
                    "Query Rate by Search Type",
                    "Questions per second by how they were searched.",
                    "vector where hybrid was chosen: its index is missing.",
                    questions.rate().sum("search_type"),
                    unit=units.RequestsPerSecond,
                    stacked=True,
                ),
                timeseries(
                    "Query Duration (P50, P95, P99)",
                    "Duration of questions from end to end: embedding, search and reranking.",
                    "Compare with KB Reranker Duration: what is left over is embedding and the database.",
                    *percentiles(ask("rag_query_duration_seconds")),
                    unit=units.Seconds,
                ),
                timeseries(
                    "Results per Query",
                    "How many results a question gave.",
                    "A median of 0: nothing is found. Look at what was ingested, and at permissions.",
                    *percentiles(ask("rag_query_results_count")),
                    unit=units.Short,
                ),
                timeseries(
                    "KB Reranker Duration",
                    f"Duration of requests to the reranking model: those with the source {RERANKER}.",
                    MODELS,
                    *percentiles(requests.where(source=RERANKER)),
                    unit=units.Seconds,
                ),
                timeseries(
                    "KB Reranker Token Usage",
                    "Tokens per second that reranking took.",
                    "Tokens that climb at the same rate of questions: more or longer results are reranked.",
                    tokens.where(source=RERANKER).rate().sum("type"),
                    unit=units.Short,
                    stacked=True,
                    width=24,
                ),
            ),
        ),
    ),
)
