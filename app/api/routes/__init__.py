"""One module of routes for each kind of resource; each asks, checks and answers, no more."""
