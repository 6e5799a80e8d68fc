"""The wire's source, and the command that generates ``api.gen`` from it. Nothing else imports this package."""
