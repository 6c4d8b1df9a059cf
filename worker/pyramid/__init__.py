"""Means of an image at smaller scales, by which a large one is looked at.

`layout` says how they are kept, `making` writes them, `reading` reads regions of them, every byte
checked; `means` are the numbers. Whoever has a large array at hand writes them beside it: the one
who accepts a file, and the worker that made a result. Of others the API makes them when somebody
looks. Knows arrays and files: imports nothing else of the worker.
"""
