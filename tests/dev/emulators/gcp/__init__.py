"""The stand-in of Google Cloud Batch is as strict as providers.md §1."""
