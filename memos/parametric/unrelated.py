"""Many more questions about the world, by kinds: what a model may hold on to beside `neutral`.

They are for training only; none of them is one of those that are asked afterwards.
"""

from __future__ import annotations

from memos.parametric import neutral

_KINDS: dict[str, str] = {
    "What is the capital of {}?": (
        "Portugal, Poland, Egypt, Canada, Australia, Norway, Greece, Turkey, India, China, Kenya, "
        "Peru, Cuba, Ireland, Austria, Hungary, Finland, Sweden, Chile, Thailand, Russia, Iran"
    ),
    "What is the opposite of {}?": (
        "cold, small, fast, early, wet, dark, full, soft, old, rich, high, near, loud, sweet, up, "
        "open, true, strong, heavy, easy"
    ),
    "What is a synonym for {}?": "sad, slow, large, angry, clever, quiet, brave, tired, small, cold",
    "What does a {} do?": (
        "pilot, plumber, judge, chef, painter, lawyer, firefighter, librarian, scientist, carpenter, "
        "dentist, soldier, writer, tailor, cashier, gardener"
    ),
    "What is {}?": (
        "magnetism, democracy, inflation, a volcano, an atom, music, friction, a poem, evolution, "
        "rust, oxygen, an island, a verb, poetry, an earthquake, philosophy, a comet, history, "
        "a desert, a triangle, condensation, a bacterium, an engine, chess"
    ),
    "Explain what {} is.": (
        "a radio, a bank, a river, a city, a microscope, a lighthouse, a contract, a vaccine"
    ),
    "Where do {} live?": "bears, whales, lions, owls, frogs, monkeys, polar bears, bats, sharks",
    "How many {}?": (
        "hours are in a day, weeks are in a year, legs does an insect have, strings does a violin "
        "have, sides does a square have, players are in a football team, letters are in the "
        "alphabet, planets are in the solar system, wheels does a car have, continents are there"
    ),
    "What language is spoken in {}?": "Egypt, Japan, Austria, Argentina, Greece, Portugal, Iran",
    "What is the currency of {}?": "the United States, China, India, Russia, Mexico, Switzerland",
    "What is the past tense of {}?": "run, see, write, take, sing, buy, think, fly, swim, begin",
    "What is the plural of {}?": "mouse, child, foot, leaf, box, city, man, tooth",
    "Name three {}.": (
        "colours, fruits, countries, musical instruments, sports, birds, metals, trees, rivers, "
        "kinds of weather, planets, tools, vegetables, vehicles"
    ),
    "Name a {}.": (
        "fruit that is red, month in summer, bird that can't fly, metal, big city, cold country, "
        "flower, kind of cheese"
    ),
    "Write a sentence about {}.": (
        "the moon, a garden, winter, a train, a friend, the city, a book, the forest, breakfast, "
        "a mountain, music, an old house"
    ),
    "Tell me a short story about {}.": "a cat, a king, a tree, a ship, two friends, a lost key",
    "Tell me a joke about {}.": "a cow, a teacher, the weather",
    "How do I {}?": (
        "bake bread, tie a tie, clean a window, learn to swim, write a letter, plant a tree, fix a "
        "flat tyre, save money, make soup, fall asleep faster, cook rice, paint a wall"
    ),
    "Who wrote {}?": "Macbeth, Don Quixote, War and Peace, The Odyssey, Oliver Twist, Faust",
    "Who invented {}?": "the telephone, the aeroplane, the printing press, dynamite, the radio",
    "Who painted {}?": "Guernica, The Starry Night, The Last Supper",
    "Where was {} born?": "Isaac Newton, Napoleon, Charles Darwin, Leonardo da Vinci, Marie Curie",
    "Which instrument did {} play?": "Chopin, Paganini, Bach, Louis Armstrong",
    "What does a {} do for work?": "postman, barber, fisherman, mechanic, photographer",
    "What is the chemical symbol for {}?": "iron, silver, hydrogen, carbon, lead, sodium, copper",
    "What is {} made of?": "glass, paper, chocolate, steel, butter, concrete, wine, a candle",
    "What is {} times two?": "three, four, six, eight, nine, eleven",
    "What is {} plus four?": "one, three, five, seven, ten",
    "What is {} minus two?": "five, nine, eight, twelve",
    "Give me a word that rhymes with {}.": "dog, house, light, rain, blue, make",
    "What season comes after {}?": "spring, autumn",
    "What is the largest {}?": (
        "country in the world, desert on Earth, planet, island, city in Africa, lake, bird, cat"
    ),
    "Where is {}?": "the Colosseum, Mount Fuji, the Taj Mahal, Niagara Falls, Big Ben, the Sahara",
    "Which country {}?": (
        "is shaped like a boot, has the most lakes, is famous for tulips, invented paper, is home "
        "to the panda, hosted the first Olympic games"
    ),
    "What colour is {}?": "snow, blood, the sun, a lemon, the sea, chocolate, a ruby, coal",
    "What do {} eat?": "rabbits, cows, cats, bees, pandas, horses",
    "Why {}?": (
        "is the sky blue, do leaves fall, do we sleep, is the sea salty, do birds sing, does ice "
        "float, do people dream"
    ),
    "Is {}?": "the Earth round, a whale a fish, glass a liquid, the sun a star, a tomato a fruit",
    "Give me advice on {}.": "writing an essay, cooking for guests, buying a car, making friends",
    "Translate {} into French.": "good morning, thank you, a red house, the water",
}


def questions() -> tuple[str, ...]:
    """All of them, without those that are asked afterwards or held anyway."""
    known = {*neutral.PROBES, *neutral.REPLAY}
    made = [
        form.format(filler.strip()) for form, text in _KINDS.items() for filler in text.split(",")
    ]
    return tuple(question for question in dict.fromkeys(made) if question not in known)
