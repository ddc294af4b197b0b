"""A metrics page fetched as Prometheus fetches it, read, and turned back into the facts that it tells of.

``address`` and ``fetching`` ask, ``parsing`` reads, ``reading`` says what the samples mean, whichever dialect they are
in, ``figures`` what happened between two pages, ``diagnosis`` what is wrong.
"""
