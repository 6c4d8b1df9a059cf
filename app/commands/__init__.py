"""The command line `reucid`: one module for each group of commands.

May import everything below; what only one command needs is imported inside that command, so that
the others start fast. Exit status 0: done; 2: bad input or usage; 1: a fault of ours.
"""
