"""Makes what is derived from the chart, the CRD and the fields; `make manifests` writes it, a test proves it current.

The descriptions in the CRD and the tables of docs/jennahjob.md, the chart's copy of the CRD (a symlink would be lost in
Flux's and in zip archives), the values tables of the chart's README, and manifests/install.yaml.
"""
