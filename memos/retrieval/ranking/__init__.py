"""From candidates to an order: channels, features, their sum, and what is added to it."""
