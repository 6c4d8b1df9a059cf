"""What a file declares, held against its size and the limits before anything is decoded.

A reader believes the header of a file; here it is not believed. Each format has a module that walks
the file's structure, reads no pixels, and says how many bytes they will take.
"""

from worker.decoding.admission.check import check

__all__ = ["check"]
