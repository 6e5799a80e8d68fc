"""The Connect protocol's unary half over aiohttp (contract §1): codecs, compression, errors, the request's path.

Knows nothing of jobs: a service is a table of methods (`methods.Method`) given to `endpoint.Endpoint`.
"""
