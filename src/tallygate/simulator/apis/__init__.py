"""One file per API, each with its published shapes."""
