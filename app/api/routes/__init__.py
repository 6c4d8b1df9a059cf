"""One module of routes for each kind of resource; each asks, checks and answers, no more.

May import the rest of `app.api`. What a route needs is given to it by `app.api.deps`; what an error
becomes is in `app.api.errors`.
"""
