"""``make kind``: the chart on a cluster of containers, and the end-to-end suite against what is installed there."""
