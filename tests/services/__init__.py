"""Servers that tests talk to, each started once per test process, on a socket file of its own."""
