"""Work in the background: tasks and their queues, and the pipeline of a knowledge base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallygate.facts import (
    STATUSES,
    ConnectorSync,
    EmbeddingBatch,
    Ingestion,
    Queue,
    RAGQuery,
    Task,
    TaskEvent,
    TaskInFlight,
)
from tallygate.ledger.interface import ELAPSED
from tallygate.record.recording import Recording
from tallygate.record.tracker import Tracker, outcome_of, status_of

if TYPE_CHECKING:
    from tallygate.ledger.interface import Row


class TaskTracker(Tracker):
    """One run of a task: counted as active until it ends."""

    fact = Task
    __slots__ = ("_task_type", "_time_in_queue")

    def __init__(self, recorder: Recording, task_type: str, time_in_queue: float | None) -> None:
        super().__init__(recorder)
        self._task_type, self._time_in_queue = task_type, time_in_queue

    def _going(self) -> Row:
        return self._recorder.tables[TaskInFlight].row(self._task_type)

    def finish(self, outcome: str = "completed") -> bool:
        """Record the run. outcome: completed, failed or cancelled. False when it was finished before."""
        return self._record((self._task_type, outcome), ELAPSED, self._time_in_queue)

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish(outcome_of(problem))


class ConnectorSyncTracker(Tracker):
    """One synchronisation. Set ``partial`` when some of its documents failed."""

    fact = ConnectorSync
    __slots__ = ("_connector_type", "partial")

    def __init__(self, recorder: Recording, connector_type: str) -> None:
        super().__init__(recorder)
        self._connector_type = connector_type
        self.partial = False

    def _going(self) -> Row:
        return self._recorder.tables[ConnectorSync].row(self._connector_type, "success")

    def finish(self, status: str = "") -> bool:
        """Record it. status: success, failed or partial. False when it was finished before."""
        if status not in ConnectorSync.status.values:
            status = "failed" if status else "partial" if self.partial else "success"
        return self._record((self._connector_type, status), ELAPSED)

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish("failed" if problem is not None else "")


class EmbeddingBatchTracker(Tracker):
    """One batch of documents being embedded."""

    fact = EmbeddingBatch
    __slots__ = ("documents",)

    def __init__(self, recorder: Recording, documents: int) -> None:
        super().__init__(recorder)
        self.documents = documents
        """How many documents are in the batch."""

    def _going(self) -> Row:
        return self._recorder.tables[EmbeddingBatch].row("success")

    def finish(self, status: str = "success") -> bool:
        """Record it. status: success or error. False when it was finished before."""
        return self._record((status if status == "success" else "error",), ELAPSED, self.documents)

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish(status_of(problem))


class RAGQueryTracker(Tracker):
    """One question to a knowledge base. Set ``results`` to the number of results."""

    fact = RAGQuery
    __slots__ = ("_search_type", "results")

    def __init__(self, recorder: Recording, search_type: str) -> None:
        super().__init__(recorder)
        self._search_type = search_type
        self.results: int | None = None
        """How many results it gave; None when there was no answer."""

    def _going(self) -> Row:
        return self._recorder.tables[RAGQuery].row(self._search_type, "success")

    def finish(self, results: int | None = None, status: str = "success") -> bool:
        """Record it. status: success, error or cancelled. False when it was finished before."""
        count = self.results if results is None else results
        return self._record((self._search_type, status if status in STATUSES else "error"), ELAPSED, count)

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish(status=status_of(problem))


class WorkRecording(Recording):
    """Writing facts of tasks, queues and knowledge bases."""

    def track_task(self, task_type: str, time_in_queue: float | None = None) -> TaskTracker:
        """A tracker for one run of a task. time_in_queue: seconds from enqueued, or due, to now."""
        return TaskTracker(self, task_type, time_in_queue)

    def record_task_event(self, event: str, task_type: str = "", count: int = 1) -> None:
        """Something happened to ``count`` tasks outside of a run: enqueued, dead or stuck_reset (facts.TaskEvent)."""
        if count > 0 and self._known(TaskEvent, "event", event, TaskEvent.event.values):
            self._count(TaskEvent, (task_type, event), count)

    def set_queue(self, queue: str, size: float | None = None, oldest_age: float | None = None) -> None:
        """How many wait in a queue, and for how many seconds the oldest has; what is None stays as it was."""
        self._set(Queue, (queue,), {Queue.size: size, Queue.oldest_age: oldest_age})

    def track_connector_sync(self, connector_type: str) -> ConnectorSyncTracker:
        """A tracker for one synchronisation of a knowledge base with a source."""
        return ConnectorSyncTracker(self, connector_type)

    def record_ingestion(
        self,
        connector_type: str,
        *,
        documents_processed: int | None = None,
        documents_ingested: int | None = None,
        chunks_created: int | None = None,
    ) -> None:
        """Documents on their way into a knowledge base: how many, since it was last told."""
        self._count(Ingestion, (connector_type,), documents_processed, documents_ingested, chunks_created)

    def track_embedding_batch(self, documents: int) -> EmbeddingBatchTracker:
        """A tracker for one batch of documents being embedded."""
        return EmbeddingBatchTracker(self, documents)

    def track_rag_query(self, search_type: str) -> RAGQueryTracker:
        """A tracker for one question to a knowledge base. search_type: vector, hybrid, ..."""
        return RAGQueryTracker(self, search_type)
