"""The store of blocks on disk: shared by threads and processes, safe against crashes."""
