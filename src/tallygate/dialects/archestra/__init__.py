"""The vocabulary of Archestra: models, MCP tools, knowledge base, task queue, HTTP and runtime, with agent labels.

Kept: names, labels (the configured agent labels too), the buckets of ``llm_token_usage`` as its panel selects them
("4", not "4.0"), input tokens without the cached ones, and the seven quantiles of ``http_request_summary_seconds``:
from 1 ms to 60 s each is less than 5 % off the exact one. Of its source, what its dashboards ask for besides.

Better than the original: a request lasts until its last byte, the same duration that tokens per second are divided by;
free models have a cost series, at 0; ``external_agent_id`` is bounded; every status of a sync, a batch and a tool call
is there from 0. A tool call or a request that its caller cancels is no error. Tools of the program's own, of no MCP
server, are in no ``mcp_`` family.

The ``nodejs_`` families tell of CPython and asyncio: lag is that of the asyncio loop, in the latest minute where it is
a statistic, of the worst worker; the heap in use is resident memory that belongs to no file, the heap in all is what
the process has set aside for data; minor collections are those of generations 0 and 1, major ones of generation 2;
handles are open file descriptors; the version is Python's. Left out, because CPython has no such thing:
``nodejs_external_memory_bytes`` and ``nodejs_heap_space_size_used_bytes`` (one heap, with no spaces and nothing outside
of it that is told apart), and the collections of kind ``incremental`` and ``weakcb``. The ``pg_``, ``postgresql_``,
``stackdriver_`` and ``azure_`` families of its dashboards come from the databases' own exporters.
"""

from tallygate.dialects.archestra.models import LLM, MCP
from tallygate.dialects.archestra.runtime import HTTP, RUNTIME
from tallygate.dialects.archestra.work import KNOWLEDGE_BASE, TASKS
from tallygate.dialects.families import Dialect

__all__ = ["ARCHESTRA"]

ARCHESTRA = Dialect(
    "archestra",
    *LLM,
    *MCP,
    *KNOWLEDGE_BASE,
    *TASKS,
    *HTTP,
    *RUNTIME,
    help="Archestra's families of models, tools, knowledge base, tasks, HTTP and runtime, with agent labels.",
)
