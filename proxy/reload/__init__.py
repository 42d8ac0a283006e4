"""A file that changes while we run: who notices, what is read, what can only change with a restart, what became of it.

A part of the composition root. Nothing here swaps anything: :class:`reloader.Reloader` reads and compares, and hands
settings that are whole to whoever makes sites of them (``app.Sidegate``), which takes them or raises. So there are two
ways to end: all of it runs, or all of what ran before.

    named_files    which files a file names, and in which folders their changes show
    watcher        something happened in a folder, and nothing more happens now
    restart_only   keys that cannot change while we run
    outcome        what became of a reload, as a value, and as a sentence for ``/readyz``
    reloader       one reload at a time: SIGHUP or a change, read, compared, handed over, told
"""
