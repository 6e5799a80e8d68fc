"""The reconciler: `decide` (pure, read it first), and the loop around it: queue, observers, one action at a time."""
