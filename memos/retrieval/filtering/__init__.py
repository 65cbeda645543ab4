"""What may be returned: the request's checks, its filter, and the last word on each memory."""
