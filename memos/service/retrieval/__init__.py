"""What a search needs beside the search itself: indexed forms, the vector index, contexts."""
