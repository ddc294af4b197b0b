"""How facts are written: trackers, what they find in the ledger, and what exceptions mean."""

from tallygate.record.call import LLMCallTracker
from tallygate.record.labels import CustomLabelError, custom_labels, label_name
from tallygate.record.recorder import Recorder

__all__ = ["CustomLabelError", "LLMCallTracker", "Recorder", "custom_labels", "label_name"]
