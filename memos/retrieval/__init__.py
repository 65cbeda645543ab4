"""Retrieval without a language model.

search         reads a query, gathers candidates, asks the truth, packs the hits
gathering      what a query finds in a projection, in order
reading/       texts and queries as they are read: terms, speakers, times
projection/    the searched form of a cube in RAM, as it is and as it was
ranking/       candidates, channels, features, their sum, and what is added to it
filtering/     what may be returned, and the checks of a request
packing        which hits fit into a budget of tokens
"""
