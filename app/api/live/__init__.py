"""Live sessions, as clients see them: who may, frames in, results out, a job at the end.

May import `worker.live` and what the rest of the API has. No frame waits here: what comes is in
Valkey before it is answered, what goes out is the newest there is.
"""
