"""Only for developing: the in-memory Kubernetes API server, the whole system in one command, the demo.

Nothing outside this package knows of it, and it is never in the image.
"""
