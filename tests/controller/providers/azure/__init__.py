"""The Azure adapter: its mapping, and its calls against the stand-in."""
