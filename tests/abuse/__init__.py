"""One owner who does everything at once that could starve the others: `python -m tests.abuse`.

May import everything of `worker` and `tests.support`. Clients are processes of their own, so that
what they need is not taken for the server's.
"""
