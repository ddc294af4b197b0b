"""Work in the background: tasks and their queues, and the pipeline of a knowledge base."""

from __future__ import annotations

from tallygate.facts import (
    OUTCOMES,
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
from tallygate.record.places import Place
from tallygate.record.recording import Recording
from tallygate.record.tracker import Tracker, outcome_of, status_of


class TaskTracker(Tracker):
    """One run of a task: counted as active until it ends."""

    fact = Task
    __slots__ = ("_time_in_queue",)

    def __init__(self, recorder: Recording, key: tuple[object, ...], time_in_queue: float | None) -> None:
        super().__init__(recorder, key)
        self._time_in_queue = time_in_queue

    def find(self, recorder: Recording) -> Place:
        task_type = recorder.texts(Task, self.key[1:])
        return Place(recorder.tables[Task], task_type, going=recorder.tables[TaskInFlight].row(*task_type))

    def finish(self, outcome: str = "completed") -> bool:
        """Record the run. outcome: completed, failed or cancelled. False when it was finished before."""
        return self._record((self._word("outcome", outcome, OUTCOMES, "failed"),), self._time_in_queue)

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish(outcome_of(problem))


class ConnectorSyncTracker(Tracker):
    """One synchronisation. Set ``partial`` when some of its documents failed."""

    fact = ConnectorSync
    __slots__ = ("partial",)

    def __init__(self, recorder: Recording, key: tuple[object, ...]) -> None:
        super().__init__(recorder, key)
        self.partial = False

    def find(self, recorder: Recording) -> Place:
        connector_type = recorder.texts(ConnectorSync, self.key[1:])
        return Place(recorder.tables[ConnectorSync], connector_type, going=("success",))

    def finish(self, status: str = "") -> bool:
        """Record it. status: success, failed or partial. False when it was finished before."""
        if not status:
            status = "partial" if self.partial else "success"
        return self._record((self._word("status", status, ConnectorSync.status.values, "failed"),))

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish("failed" if problem is not None else "")


class EmbeddingBatchTracker(Tracker):
    """One batch of documents being embedded."""

    fact = EmbeddingBatch
    __slots__ = ("documents",)

    def __init__(self, recorder: Recording, documents: int) -> None:
        super().__init__(recorder, (EmbeddingBatch,))
        self.documents = documents
        """How many documents are in the batch."""

    def find(self, recorder: Recording) -> Place:
        return Place(recorder.tables[EmbeddingBatch], (), going=("success",))

    def finish(self, status: str = "success") -> bool:
        """Record it. status: success or error. False when it was finished before."""
        return self._record((self._word("status", status, EmbeddingBatch.status.values, "error"),), self.documents)

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish("success" if problem is None else "error")


class RAGQueryTracker(Tracker):
    """One question to a knowledge base. Set ``results`` to the number of results."""

    fact = RAGQuery
    __slots__ = ("results",)

    def __init__(self, recorder: Recording, key: tuple[object, ...]) -> None:
        super().__init__(recorder, key)
        self.results: int | None = None
        """How many results it gave; None when there was no answer."""

    def find(self, recorder: Recording) -> Place:
        search_type = recorder.texts(RAGQuery, self.key[1:])
        return Place(recorder.tables[RAGQuery], search_type, going=("success",))

    def finish(self, results: int | None = None, status: str = "success") -> bool:
        """Record it. status: success, error or cancelled. False when it was finished before."""
        count = self.results if results is None else results
        return self._record((self._word("status", status, STATUSES, "error"),), count)

    def _end(self, problem: BaseException | None) -> bool:
        return self.finish(status=status_of(problem))


class WorkRecording(Recording):
    """Writing facts of tasks, queues and knowledge bases."""

    def track_task(self, task_type: str, time_in_queue: float | None = None) -> TaskTracker:
        """A tracker for one run of a task. time_in_queue: seconds from enqueued, or due, to now."""
        return TaskTracker(self, (Task, task_type), time_in_queue)

    def record_task_event(self, event: str, task_type: str = "", count: int = 1) -> None:
        """Something happened to ``count`` tasks outside of a run: enqueued, dead or stuck_reset (facts.TaskEvent)."""
        if count != 0 and self._known(TaskEvent, "event", event, TaskEvent.event.values):
            self.count(TaskEvent, (task_type, event), count)

    def set_queue(self, queue: str, size: float | None = None, oldest_age: float | None = None) -> None:
        """How many wait in a queue, and for how many seconds the oldest has; what is None stays as it was."""
        self._set(Queue, (queue,), {Queue.size: size, Queue.oldest_age: oldest_age})

    def track_connector_sync(self, connector_type: str) -> ConnectorSyncTracker:
        """A tracker for one synchronisation of a knowledge base with a source."""
        return ConnectorSyncTracker(self, (ConnectorSync, connector_type))

    def record_ingestion(
        self,
        connector_type: str,
        *,
        documents_processed: int | None = None,
        documents_ingested: int | None = None,
        chunks_created: int | None = None,
    ) -> None:
        """Documents on their way into a knowledge base: how many, since it was last told."""
        self.count(Ingestion, (connector_type,), documents_processed, documents_ingested, chunks_created)

    def track_embedding_batch(self, documents: int) -> EmbeddingBatchTracker:
        """A tracker for one batch of documents being embedded."""
        return EmbeddingBatchTracker(self, documents)

    def track_rag_query(self, search_type: str) -> RAGQueryTracker:
        """A tracker for one question to a knowledge base. search_type: vector, hybrid, ..."""
        return RAGQueryTracker(self, (RAGQuery, search_type))
