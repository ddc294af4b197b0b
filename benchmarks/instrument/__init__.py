"""What each instrumentation adds to a call of its library: against the bare library, and against its peers."""
