"""What a process asks of the C library."""

import subprocess
import sys

import pytest

from worker.ledger.database import CACHE, Database

ALLOCATE = """
import ctypes, os, re, sys, tempfile, threading
from worker.kernel import keep_few_heaps

if sys.argv[1] == "few":
    keep_few_heaps()
libc, together = ctypes.CDLL(None), threading.Barrier(8)
libc.malloc.restype = ctypes.c_void_p
def allocate():
    together.wait()
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fdopen.restype = libc.open_memstream.restype = ctypes.c_void_p
text, size = ctypes.c_char_p(), ctypes.c_size_t()
stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(text), ctypes.byref(size)))
libc.malloc_info(0, stream)
libc.fclose(stream)
print(text.value.count(b"<heap nr="))
"""


def heaps(how: str) -> int:
    result = subprocess.run(
        [sys.executable, "-c", ALLOCATE, how], capture_output=True, text=True, check=True
    )
    return int(result.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's habit")
def test_threads_share_few_heaps() -> None:
    assert heaps("few") <= 2 < heaps("many")


def test_a_connection_to_sqlite_keeps_little_in_memory(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA cache_size").scalar() == -CACHE
