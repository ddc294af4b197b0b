"""Work in the background: tasks and their queues, and the pipeline of a knowledge base."""

from tallygate.declare import Dimension, Distribution, Fact, Gauge, Sum
from tallygate.facts.words import OUTCOMES, SECONDS, STATUSES
from tallygate.ledger.schema import Combine


class Task(Fact):
    """One run of a task by a worker; a task that is tried again has several."""

    task_type = Dimension("name of the task, as the program has it")
    outcome = Dimension("how the run ended", values=OUTCOMES)

    duration = Distribution("seconds", "start to end of the run", exponent=SECONDS)
    time_in_queue = Distribution("seconds", "enqueued, or due, to the start of the run", exponent=SECONDS)


class TaskEvent(Fact):
    """What happens to a task outside of its runs."""

    task_type = Dimension("as Task.task_type")
    event = Dimension(
        "enqueued; dead: given up, all retries used; stuck_reset: taken from a worker that lost it",
        values=("enqueued", "dead", "stuck_reset"),
    )

    tasks = Sum("", "tasks it happened to")


class TaskInFlight(Fact):
    """Tasks running now."""

    task_type = Dimension("as Task.task_type")

    now = Gauge("", "how many are running")


class Queue(Fact):
    """A queue, as whoever looked last saw it."""

    queue = Dimension("name of the queue")

    size = Gauge("", "how many wait in it", combine=Combine.LATEST)
    oldest_age = Gauge("seconds", "how long the oldest has waited", exponent=-3, combine=Combine.LATEST)


class ConnectorSync(Fact):
    """One synchronisation of a knowledge base with a source of documents."""

    connector_type = Dimension("kind of source, as the program has it: confluence, github, ...")
    status = Dimension("how it ended; partial: some documents failed", values=("success", "failed", "partial"))

    duration = Distribution("seconds", "start to end", exponent=SECONDS)


class Ingestion(Fact):
    """Documents on their way into a knowledge base."""

    connector_type = Dimension("as ConnectorSync.connector_type")

    documents_processed = Sum("", "documents looked at")
    documents_ingested = Sum("", "documents that were new or changed, and taken in")
    chunks_created = Sum("", "chunks they were cut into")


class EmbeddingBatch(Fact):
    """One batch of documents embedded for a knowledge base."""

    status = Dimension("how it ended", values=("success", "error"))

    duration = Distribution("seconds", "start to end", exponent=SECONDS)
    documents = Sum("", "documents in the batch")


class RAGQuery(Fact):
    """One question to a knowledge base: embedding, search and reranking."""

    search_type = Dimension("how it was searched: vector, hybrid, ...")
    status = Dimension("how it ended", values=STATUSES)

    duration = Distribution("seconds", "question to results", exponent=SECONDS)
    results = Distribution("", "how many results it gave")
