"""Tallygate's own vocabulary, and the default: prefix ``tallygate_``, base units, names that stay.

Counters that are summed up to a bill or an owner (calls, tokens, cost) also carry who called; histograms, which are
many series each, carry what was called. Errors are there from 0, every type of them, so alerts need no special case.
The lag of the event loop is a histogram; its statistics of the latest minute are the ``archestra`` dialect's.
"""

from tallygate.dialects.families import Dialect
from tallygate.dialects.tallygate.agents import KNOWLEDGE_BASES, TASKS, TOOLS
from tallygate.dialects.tallygate.models import GATEWAY, LLM
from tallygate.dialects.tallygate.program import ACCOUNTS, CACHES, DATABASES, HTTP
from tallygate.dialects.tallygate.workers import OWN_HEALTH, RUNTIME

__all__ = ["TALLYGATE"]

TALLYGATE = Dialect(
    "tallygate",
    *LLM,
    *GATEWAY,
    *TOOLS,
    *HTTP,
    *CACHES,
    *DATABASES,
    *TASKS,
    *KNOWLEDGE_BASES,
    *ACCOUNTS,
    *RUNTIME,
    *OWN_HEALTH,
    help="Tallygate's own names.",
)
