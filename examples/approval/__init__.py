"""A content approval: a draft, a manager who is asked for days, then publication or a notice."""
