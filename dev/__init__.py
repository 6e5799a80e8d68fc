"""For developing only, never in the image: an in-memory Kubernetes API server, stand-ins, benchmarks."""
