"""Who asks, what they may, and what they did: tokens, impersonation, RBAC, reviews and the audit log."""
