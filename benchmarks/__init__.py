"""What a request costs, beside those who do the same job: ``make bench``.

What lives here: programs that run the peers and Sidegate in front of one upstream, load them, and write down the CPU
per request, latencies and memory as ratios to nginx in the same run. Nothing here is asserted; the guard that CI holds
counts calls instead of time (``tests/benchmarks/test_cost.py``).

How it hangs together::

    __main__      the parts of a run and their order
    contestants   how each server is set up and started, with its access log and without
    behind        what is behind all of them: nginx with two files, an echo of WebSocket messages (echo)
    provider      the identity provider of the demo, as a process; sign_in makes real sessions there
    machine       cores, CPU of process trees, what else the cores did
    load          openloop.c (keeps to a timetable) and wrk (saturates)
    stored        Sidegate with its sessions in Redis, alone and among very many (fill)
    samples       one sample, taken again when the core was not ours; rounds in alternating order
    starting      from start to the first answer, and memory while nobody asks
    report        the table; picture draws it; hot_path is the profile

A run of its own: ``python -m benchmarks.logout_propagation``, how fast a logout is law on every replica (replicas).

Not measured, and why: TLS (each server spends it in the same OpenSSL), HTTP/2 (nobody here speaks it to an app).
"""
