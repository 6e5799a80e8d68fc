"""Makes the tables of machine types that ``controller.domain.machines`` reads; ``python -m dev.machines`` writes them.

Google's and Azure's are series by rule (`gcp`, `azure`), as their public documentation has them. AWS's come from the
answers of DescribeInstanceTypes that the package moto ships (`aws`). GPUs are those of NVIDIA: no service hands others
to containers by a count.
"""
