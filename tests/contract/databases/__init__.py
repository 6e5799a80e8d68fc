"""One module a database: `fresh` gives a test an empty database of its own, on a server that it starts where needed.

`fresh(folder)` is an async context manager whose value opens the same database again and again, as several processes
do. It skips the test, with a reason, where the server is not to be had on this machine.
"""
