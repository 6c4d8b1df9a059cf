"""What any HTTP server needs and none of it knows of denoising.

Middleware, bodies, connections, ranges, digests, media types and pages of lists. May import nothing
of `app` but itself, and of `worker` only what every process has (`contract`, `settings`, `logs`).
Never loads torch, not even indirectly.
"""
