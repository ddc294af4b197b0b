"""What is promised: every family of every vocabulary, typed by hand from its document. The code is not asked.

A row is the type (as OpenMetrics calls it), the labels, the unit of OpenMetrics, and the buckets or quantiles.
"""

from tests.dialects.documents.archestra import ARCHESTRA
from tests.dialects.documents.otel import OTEL
from tests.dialects.documents.others import AURORA, ERATO, GATEWAYZ, HYPERAGENT
from tests.dialects.documents.rows import Row
from tests.dialects.documents.tallygate import TALLYGATE

__all__ = ["DOCUMENTS", "Row"]

DOCUMENTS: dict[str, dict[str, Row]] = {
    "tallygate": TALLYGATE,
    "otel": OTEL,
    "erato": ERATO,
    "aurora": AURORA,
    "gatewayz": GATEWAYZ,
    "archestra": ARCHESTRA,
    "hyperagent": HYPERAGENT,
}
