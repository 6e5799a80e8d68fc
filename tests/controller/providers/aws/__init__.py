"""The AWS Batch adapter: its mapping, and its calls against the stand-in."""
