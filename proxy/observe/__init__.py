"""What happened, said: one line for each request, the audit trail, metrics.

What lives here: the log and its redaction, the figures of ``/metrics``, the audit events, and ``ProductionObserver``,
which is ``ports.Observer`` made of them. Nothing here fails, delays or changes a request: lines wait in a bounded
buffer for a thread that writes them, and what is dropped is counted.

What must not: decisions, HTTP, and any knowledge of the other rooms beyond the values of ``core`` and ``ports``.
"""
