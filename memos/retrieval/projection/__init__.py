"""The searched form of a cube in RAM, kept equal to the truth; as it is, and as it was."""
