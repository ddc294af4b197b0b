"""Benchmarks: each measures Tallygate and its peers side by side in one run, and prints ratios."""
