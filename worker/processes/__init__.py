"""The processes of a server: dispatcher, worker and its horse, sweeper, supervisor.

May import everything else of `worker`. An accepted job ends in exactly one terminal state, whatever
dies meanwhile; nothing outlives the supervisor.
"""
