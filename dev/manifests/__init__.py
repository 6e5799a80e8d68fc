"""Makes what is derived from the chart and the CRD; `make manifests` writes it, a test proves it current.

The chart's copy of the CRD (a symlink would be lost in Flux's and in zip archives), the values tables of the chart's
README, and manifests/install.yaml.
"""
