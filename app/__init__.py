"""Everything about HTTP, the page and the command line. May import `worker` and `reucid_core`.

Nothing below imports it: a worker runs without any of this.
"""
