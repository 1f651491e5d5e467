"""Who may do what: users, logins, roles, tokens, rates, headers and the audit log."""
