"""A stand-in of Azure Batch: `tasks` live by the clock, `service` is the account, `odata` its queries, `auth` the
shared key, `server` the HTTP around it."""
