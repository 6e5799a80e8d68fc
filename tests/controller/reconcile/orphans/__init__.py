"""Cloud jobs whose JennahJob is gone: how they are found, what becomes of them, and of their rows."""
