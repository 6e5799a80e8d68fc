"""The parts of the stand-in of Google Cloud Batch; `dev.emulators.gcp_batch` starts it."""
