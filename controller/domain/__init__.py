"""Pure data and pure rules of a JennahJob: no I/O, no clock, no SDK, nothing of Kubernetes but its shape."""
