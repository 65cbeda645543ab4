"""Which facts follow from what was said: from when, until when, and by which rule."""
