"""The usage ledger: what each call used and cost, in the database exactly once."""
