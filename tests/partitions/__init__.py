"""Hosts that lose each other: what is promised of a job while the network between them is broken.

`network` makes hosts of network namespaces and cuts links, `deployment` runs a server on them,
`cuts` says which are tried; clients and checker are those of `tests.faults`. The short form is part
of the tests where namespaces can be made; `make partitions` (`python -m tests.partitions`) is the
long one.
"""
