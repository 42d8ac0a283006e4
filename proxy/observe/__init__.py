"""What an operator sees: one event per request, as log line, metric and audit record.

What lives here: the events, their formats and where they go. What must not: a token, a password, a cookie or a key in
any of them; a label of a metric that holds user data; a decision.
"""
