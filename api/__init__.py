"""The API: Jennah's DeploymentService over the Connect protocol, and the ``jennah`` command line.

It turns calls into JennahJob resources and answers from them and from the record. Builds on ``controller``;
nothing in here runs a job, and nothing in ``controller`` knows this package.
"""
