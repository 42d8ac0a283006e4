"""``sidegate explain``: what the gate would do with a request, and why, without a network.

A part of the composition root::

    command.py      puts the question to the real gate, with the rules of the file
    question.py     the request and the person of the command line -> what a gate takes: a head and a session
    account.py      reads from the gate's admission what became of it
    explanation.py  the outcome: a value, its lines for people and its document for programs

Nothing here decides. Why other routes did not match, and which conditions are met, are told by ``core.routing`` and
``core.policy``, by the predicates that decide. What only a real request has stands in ``<…>``: tokens, request id,
addresses, and what of a person was not given.
"""
