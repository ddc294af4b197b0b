"""Sources of pages that do as they are told."""

import threading

from tallygate.dialects import UnknownDialect

KNOWN = ("tallygate", "aurora", "otel")


class Source:
    """Says what it was asked for; can be held up in the middle of a page."""

    def __init__(self, body: bytes | None = None) -> None:
        self.body = body
        self.asked: list[tuple[tuple[str, ...] | None, str, frozenset[str]]] = []
        self.threads: set[str] = set()
        self.entered, self.go_on = threading.Semaphore(0), threading.Event()
        self.go_on.set()

    def render(self, dialects: tuple[str, ...] | None, format: str, names: frozenset[str], /) -> bytes:
        self.asked.append((dialects, format, names))
        self.threads.add(threading.current_thread().name)
        self.entered.release()
        assert self.go_on.wait(30)
        for dialect in dialects or ():
            if dialect not in KNOWN:
                raise UnknownDialect(dialect, KNOWN)
            if dialect == "otel":
                raise RuntimeError("defect")
        if self.body is not None:
            return self.body
        return f"# {'+'.join(dialects or ()) or 'default'} {format} {','.join(sorted(names))}\n".encode()
