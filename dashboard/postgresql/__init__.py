"""PostgreSQL as Django speaks to it, for `DATABASES`: Django's own but for one question less a request."""
