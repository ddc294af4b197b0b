"""RAG & Knowledge Base: synchronisation with sources, embedding, and questions."""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import PER_SECOND, bars, heatmap, percentiles, stat, timeseries
from tallygate.dashboards.variables import chained, sources, vocabulary

ask = vocabulary("tallygate", "connector_type", "search_type")
syncs, sync_duration = ask("tallygate_rag_connector_syncs_total"), ask("tallygate_rag_connector_sync_duration_seconds")
processed, ingested = ask("tallygate_rag_documents_processed_total"), ask("tallygate_rag_documents_ingested_total")
batches, batch_duration = (
    ask("tallygate_rag_embedding_batches_total"),
    ask("tallygate_rag_embedding_batch_duration_seconds"),
)
queries, duration = ask("tallygate_rag_queries_total"), ask("tallygate_rag_query_duration_seconds")
results = ask("tallygate_rag_query_results")

NOW = Row(
    "Now",
    (
        stat(
            "Queries",
            "Questions to knowledge bases per second.",
            "0 with agents at work: they do not find the tool, or it fails before it asks.",
            queries.rate().sum(),
            unit=PER_SECOND,
        ),
        stat(
            "Queries failed",
            "Share of questions that failed; 0 when there were none.",
            "The embedding model or the vector store is away: see Errors in GenAI Observability for embeddings.",
            queries.where(status="error").rate().sum().share_of(queries.rate().sum()),
            unit=units.PercentUnit,
            thresholds={0.01: "yellow", 0.05: "red"},
        ),
        stat(
            "Query duration, P95",
            "19 of 20 questions are answered sooner.",
            "See Duration by search type: vector search without an index, or a slow reranker.",
            duration.quantile(0.95),
            unit=units.Seconds,
            thresholds={1: "yellow", 5: "red"},
        ),
        stat(
            "Without results",
            "Share of questions that found nothing; 0 when there were none.",
            "Documents are missing or not embedded yet: see Syncs and Embedding.",
            results.within("0"),
            unit=units.PercentUnit,
            thresholds={0.2: "yellow", 0.5: "red"},
        ),
        stat(
            "Syncs failed",
            "Synchronisations that failed, in whole or in part, in the time that is shown.",
            "See Syncs by source; most often the source's credentials expired.",
            syncs.like(status="failed|partial").increase("$__range").sum(),
            unit=units.Short,
            whole_range=True,
            thresholds={1: "red"},
        ),
        stat(
            "Documents taken in",
            "Documents that were new or changed, in the time that is shown.",
            "0 for days: nothing changed, or syncs see nothing; compare Documents.",
            ingested.increase("$__range").sum(),
            unit=units.Short,
            whole_range=True,
        ),
    ),
)

SOURCES = Row(
    "Sources",
    (
        timeseries(
            "Syncs by source",
            "Synchronisations per second, by kind of source and how they ended.",
            "failed: credentials or the source itself. partial: some documents cannot be read; see the log.",
            syncs.rate().sum("connector_type", "status"),
            unit=PER_SECOND,
        ),
        timeseries(
            "Duration of syncs, P95",
            "From start to end.",
            "Longer than the time between two syncs: they pile up; sync less often, or less.",
            sync_duration.quantile(0.95, "connector_type"),
            unit=units.Seconds,
        ),
        timeseries(
            "Documents",
            "Documents per second that were looked at, and that were new or changed.",
            "All that is looked at is taken in each time: changes are not recognised.",
            ("{{connector_type}} looked at", processed.rate().sum("connector_type")),
            ("{{connector_type}} taken in", ingested.rate().sum("connector_type")),
            unit=PER_SECOND,
        ),
        timeseries(
            "Chunks per document",
            "Into how many chunks a document is cut that was taken in; 0 when there were none.",
            "Many more than before: a source has larger documents; each chunk is embedded and paid.",
            ask("tallygate_rag_chunks_created_total")
            .rate()
            .sum("connector_type")
            .share_of(ingested.rate().sum("connector_type")),
            unit=units.Short,
        ),
    ),
)

EMBEDDING = Row(
    "Embedding",
    (
        timeseries(
            "Batches",
            "Batches of documents embedded per second, and how that ended.",
            "error: the embedding model refuses or times out; see Errors in GenAI Observability.",
            batches.rate().sum("status"),
            unit=PER_SECOND,
            stacked=True,
            width=8,
        ),
        timeseries(
            "Documents embedded",
            "Documents in those batches per second.",
            "It stays behind Documents taken in: the embedding is the bottleneck.",
            ask("tallygate_rag_embedding_documents_total").rate().sum("status"),
            unit=PER_SECOND,
            stacked=True,
            width=8,
        ),
        timeseries(
            "Duration of batches",
            "Time to embed a batch of documents.",
            "It grows: larger batches, or a provider that slows down.",
            *percentiles(batch_duration),
            unit=units.Seconds,
            width=8,
        ),
    ),
)

QUESTIONS = Row(
    "Questions",
    (
        timeseries(
            "Queries by search type",
            "Questions per second and how they ended; cancelled by the caller is not a failure.",
            "error in one search type only: its index or its reranker.",
            queries.rate().sum("search_type", "status"),
            unit=PER_SECOND,
        ),
        timeseries(
            "Duration by search type, P95",
            "Embedding, search and reranking together.",
            "hybrid slower than vector is normal; both slower than last week: the index outgrew its memory.",
            duration.quantile(0.95, "search_type"),
            unit=units.Seconds,
        ),
        heatmap(
            "Duration, spread",
            "How many questions took how long. The dots are exemplars: click one for its trace.",
            "Two bands: cold and warm caches, or two sizes of knowledge base.",
            duration.rate(part="bucket").sum("le"),
            unit=units.Seconds,
        ),
        timeseries(
            "Results of a question",
            "How many results a question gave, on average and at the median.",
            "It falls: documents are gone, or the questions changed.",
            ("mean", results.mean()),
            ("P50", results.quantile(0.5)),
            unit=units.Short,
            width=6,
        ),
        bars(
            "Questions by search type",
            "Questions in the time that is shown.",
            "A type that nobody should use: find who asks for it in the traces.",
            queries.increase("$__range").sum("search_type"),
            unit=units.Short,
            width=6,
        ),
    ),
)

RAG = Board(
    uid="tallygate-rag",
    title="RAG & Knowledge Base",
    help="A knowledge base's way from its sources to its answers: synchronisation, embedding and questions.",
    dialect="tallygate",
    variables=(*sources(), *chained(syncs, "connector_type"), *chained(queries, "search_type")[1:]),
    rows=(NOW, SOURCES, EMBEDDING, QUESTIONS),
)
