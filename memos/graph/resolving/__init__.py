"""Who and what names mean, and what claims say of them."""
