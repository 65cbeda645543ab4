"""What each verb sends and how its answer is read, for both clients: a module for each group.

Knows routes, bodies and types. Knows no HTTP library, no retries and no keys' origin.
"""
