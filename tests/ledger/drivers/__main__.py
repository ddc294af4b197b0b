"""Calls one driver and prints what it returned."""

import importlib
import json
import sys

room = importlib.import_module(f"ledger.drivers.{sys.argv[1]}")
print(json.dumps(getattr(room, sys.argv[2])(*json.loads(sys.argv[3]))))
