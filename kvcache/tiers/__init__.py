"""Where the bytes of a block can be held: on the device, in RAM, on disk, far away."""
