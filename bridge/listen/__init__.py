"""Sockets in: what one socket read brings is framed, read, routed and appended as a whole (``pipeline``)."""
