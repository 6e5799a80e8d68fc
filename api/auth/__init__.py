"""Who may call, for which tenants (API_AUTH).

Authentication gives a `Principal`; a rule of its kind says for which tenants it may act. `gate` puts both in front of
every method. A missing and a wrong token are the same answer, `unauthenticated`. No token is ever logged.
"""
