"""AWS Batch.

`provider` is the adapter; `connection` has the clients and the rate limits, `threads` where they are called, `errors`
their failures, `wire` the replies. `catalogue` looks up and remembers queues and job definitions, `listing` observes in
bulk with what `describing` knows of each job, `ending` terminates. Pure: `queues` (which queue), `fargate` (sizes),
`definition` and `request` (what is sent), `tags` and `remarks` (what a cloud job says of itself), `observation` (what
it means), `links`.
"""
