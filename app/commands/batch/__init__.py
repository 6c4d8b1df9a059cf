"""Many files denoised alike: `reucid denoise` of several or of a folder, and `reucid watch`.

Threads of one process decode in sandboxed children and hand each file to a worker process that is
kept; all are forked from one server of children, which has the core loaded. What is done is written
down in the folder of the results, so either command can go on where it, or the other, was stopped.
"""
