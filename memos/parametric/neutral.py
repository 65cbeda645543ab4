"""What a model is to keep: questions about the world that have nothing to do with any memory.

Its own answers before it learns are what is held. Those for training and those for testing have
no question in common; the sentences are for perplexity.
"""

from __future__ import annotations

import re

_SENTENCE = re.compile(r"(?<=[.])\s+(?=[A-Z])")
_PLAIN = re.compile(r"[A-Za-z0-9 ,.;:'’“”()\"-]+")
_LENGTHS = range(60, 220)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


REPLAY = _lines(
    """What is the capital of France?
    What colour is the sky on a clear day?
    How many days are there in a week?
    What is two plus three?
    Who wrote Romeo and Juliet?
    What is the largest ocean on Earth?
    Name a fruit that is yellow.
    What do bees make?
    What is the opposite of hot?
    How many legs does a spider have?
    What language is spoken in Brazil?
    What is the boiling point of water?
    Which planet is known as the red planet?
    What is a synonym for happy?
    Write a sentence about the sea.
    What is the currency of Japan?
    How do I boil an egg?
    What is gravity?
    Name three animals that live in the forest.
    What is the past tense of go?
    Who was the first president of the United States?
    What does a doctor do?
    Give me a word that rhymes with cat.
    What season comes after winter?
    What is the chemical symbol for gold?
    Explain what a computer is.
    What is the capital of Italy?
    How many minutes are in an hour?
    What is bread made of?
    Which animal is known as the king of the jungle?
    What is photosynthesis?
    What is the tallest mountain in the world?
    Tell me a short story about a dog.
    What is the square root of nine?
    Where do penguins live?
    What is the main ingredient of an omelette?
    Who painted the Mona Lisa?
    What is the freezing point of water?
    What instrument has black and white keys?
    What is a good way to learn a language?
    Where is the Eiffel Tower?
    Which country is home to the kangaroo?
    What job does a baker have?
    Who discovered penicillin?
    Where was Albert Einstein born?
    What does a teacher do for work?
    Which instrument did Mozart play?
    What is the favourite food of a panda?
    What do people collect stamps for?
    Which language do people speak in Germany?"""
)
"""Held during training."""

PROBES = _lines(
    """What is the capital of Spain?
    What colour is grass?
    How many months are there in a year?
    What is seven minus four?
    Who wrote Hamlet?
    What is the longest river in the world?
    Name a vegetable that is green.
    What do cows give us to drink?
    What is the opposite of big?
    How many wheels does a bicycle have?
    What language is spoken in Mexico?
    Which planet is closest to the sun?
    What is a synonym for fast?
    Write a sentence about the rain.
    What is the currency of the United Kingdom?
    How do I make a cup of tea?
    What is electricity?
    Name three animals that live in the sea.
    What is the past tense of eat?
    What does a farmer do?
    Give me a word that rhymes with tree.
    What season comes after summer?
    What is the chemical symbol for oxygen?
    Explain what a telephone is.
    What is the capital of Germany?
    How many seconds are in a minute?
    What is cheese made from?
    What is the largest animal on Earth?
    What is evaporation?
    Tell me a short story about a bird.
    What is ten divided by two?
    Where do camels live?
    Who invented the light bulb?
    What instrument has six strings?
    Where is the Great Wall?
    Which country has the most people?
    Where was William Shakespeare born?
    What does a nurse do for work?
    Which instrument did Beethoven play?
    Which language do people speak in Russia?"""
)
"""Asked afterwards."""

SENTENCES = _lines(
    """The train arrived a few minutes late, and the passengers hurried across to the bus.
    A small boat drifted along the river while two fishermen talked quietly about the weather.
    Scientists measure the age of very old rocks by looking at how certain elements decay over time.
    To bake a loaf, mix flour, water, salt and yeast, and let the dough rest until it doubles.
    The museum opened a new room with maps that sailors used several hundred years ago.
    When the rain stopped, the children ran outside and jumped into every puddle they could find.
    Many plants close their leaves at night and open them again when the sun comes up.
    The committee agreed to meet once a month and to publish a short summary of each meeting.
    Copper is a good conductor of electricity, which is why it is used for most household wires.
    She put the letter back into the drawer, turned the key and went down to the kitchen.
    In the mountains the nights are cold even in summer, so hikers carry warm clothes in their bags.
    The program reads one line at a time and stops when it reaches the end of the file.
    Old bridges are checked every few years, because rust can weaken the steel from the inside.
    The teacher explained that the moon shines only because it reflects the light of the sun.
    He sold the bicycle to a neighbour and used the money to buy a better pair of shoes.
    A healthy diet has plenty of vegetables, some fruit, and not too much sugar or salt."""
)
"""Neutral text."""


def prose(step: int = 16) -> tuple[str, ...]:
    """Sentences of the language reference, which ships with every interpreter: text of another kind
    than the sentences above."""
    from pydoc_data import topics

    text = " ".join(topics.topics[name] for name in sorted(topics.topics))
    found = (re.sub(r"\s+", " ", part).strip() for part in _SENTENCE.split(text))
    good = [
        part
        for part in found
        if len(part) in _LENGTHS
        and part[0].isupper()
        and part[-1] == "."
        and _PLAIN.fullmatch(part)
    ]
    return tuple(good[::step])
