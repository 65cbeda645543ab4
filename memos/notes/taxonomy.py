"""The topics that notes are tagged with: a small, fixed list, so tags mean the same everywhere.

Each has a name, a description (what is embedded) and cues (words that give it away; inflections are
found too). Knows no memories. To add a topic, add a row: notes drafted from then on can have it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    description: str
    cues: tuple[str, ...]


def _topic(name: str, description: str, cues: str) -> Topic:
    return Topic(name, description, tuple(cues.split()))


TOPICS = (
    _topic(
        "family",
        "parents, children, siblings, grandparents and family life at home",
        """family mother father parent child kid son daughter brother sister sibling grandma grandpa
        grandmother grandfather aunt uncle cousin nephew niece toddler stepmother stepfather""",
    ),
    _topic(
        "friendship",
        "friends, friendship, meeting people and spending time together",
        "friend friendship buddy roommate neighbour neighbor hangout",
    ),
    _topic(
        "romance",
        "love, dating, partners, engagement, marriage, weddings and divorce",
        """boyfriend girlfriend husband wife spouse fiance fiancee dating romantic marriage married
        wedding engaged honeymoon divorce breakup""",
    ),
    _topic(
        "work",
        "jobs, careers, employers, colleagues, projects and meetings at the office",
        """job career work employer employee colleague coworker office boss salary promotion
        interview resume hired freelance startup client meeting deadline internship retire""",
    ),
    _topic(
        "education",
        "school, university, courses, exams, degrees, teaching and learning",
        """school college university student teacher professor course class exam homework degree
        graduate graduation diploma scholarship tutor lecture campus semester thesis""",
    ),
    _topic(
        "health",
        "illness, injuries, doctors, hospitals, medicine, diagnosis and recovery",
        """doctor hospital nurse clinic medicine medication illness sick disease diagnosis diagnosed
        surgery injury injured pain allergy allergic vaccine dentist symptom diabetes cancer
        pregnant pregnancy recovery""",
    ),
    _topic(
        "wellbeing",
        "mental health, feelings, stress, therapy, meditation and self-care",
        """therapy therapist counseling counselor counselling anxiety anxious depression depressed
        stress stressed meditation mindfulness wellbeing burnout grief lonely""",
    ),
    _topic(
        "sport",
        "sports, games, training, matches, running, the gym and physical exercise",
        """sport gym workout exercise marathon race training soccer football basketball baseball
        tennis golf swimming yoga cycling surfing skiing climbing athlete coach tournament team
        championship boxing skateboarding""",
    ),
    _topic(
        "food",
        "cooking, recipes, meals, restaurants, drinks and what somebody likes to eat",
        """food cook cooking recipe meal dinner lunch breakfast restaurant cafe bake baking cake
        bread pasta pizza salad soup dish cuisine vegetarian vegan coffee tea wine beer dessert
        chocolate grill""",
    ),
    _topic(
        "travel",
        "trips, holidays, flights, hotels, sightseeing and visiting other places",
        """travel trip vacation holiday flight airport hotel hostel passport visa luggage
        sightseeing tourist tour abroad itinerary cruise backpacking road-trip""",
    ),
    _topic(
        "home",
        "houses, flats, moving, renovation, furniture and neighbourhoods",
        """house home apartment flat rent landlord mortgage furniture renovation kitchen bedroom
        bathroom garage moving neighbourhood neighborhood""",
    ),
    _topic(
        "pets",
        "dogs, cats and other pets and how they are looked after",
        """pet dog puppy cat kitten hamster rabbit parrot turtle aquarium vet veterinarian leash
        breed""",
    ),
    _topic(
        "nature",
        "hiking, camping, mountains, beaches, gardens, plants, wild animals and weather",
        """nature hike hiking camping campfire mountain forest beach ocean lake river sunset garden
        gardening plant flower tree wildlife bird weather storm park trail waterfall""",
    ),
    _topic(
        "art",
        "painting, drawing, pottery, photography, crafts and museums",
        """art artist painting paint drawing draw sketch pottery sculpture museum gallery canvas
        craft exhibition mural portrait knitting""",
    ),
    _topic(
        "music",
        "songs, concerts, bands, instruments, singing and dancing",
        """music song band concert guitar piano violin drums singer sing album playlist melody
        orchestra jazz clarinet dance dancing dancer festival""",
    ),
    _topic(
        "reading",
        "books, novels, authors, libraries, reading and writing",
        """book novel author library bookshelf chapter poem poetry writer writing story fiction
        biography blog journal screenplay script""",
    ),
    _topic(
        "film",
        "films, cinema, series, actors and television shows",
        "movie film cinema series episode actor actress director netflix television documentary",
    ),
    _topic(
        "gaming",
        "video games, board games, consoles and players",
        """game gaming gamer videogame console controller playstation nintendo xbox esports chess
        board-game multiplayer""",
    ),
    _topic(
        "technology",
        "computers, phones, software, programming, the internet and gadgets",
        """computer laptop phone smartphone software app programming code coding website internet
        online server database algorithm robot gadget device engineer AI""",
    ),
    _topic(
        "money",
        "money, savings, prices, debts, banks, investments, taxes and budgets",
        """money savings budget bank loan debt investment invest stock tax expense financial finance
        insurance income bill""",
    ),
    _topic(
        "shopping",
        "buying things, shops, clothes, gifts and possessions",
        """shop shopping store mall purchase bought clothes dress shoes necklace jewelry gift
        present order delivery discount""",
    ),
    _topic(
        "celebration",
        "birthdays, parties, anniversaries, religious holidays and ceremonies",
        """birthday party celebrate celebration anniversary christmas thanksgiving halloween easter
        ceremony festive parade""",
    ),
    _topic(
        "community",
        "volunteering, charity, activism, support groups and helping others",
        """volunteer volunteering charity donate donation fundraiser community activist activism
        campaign shelter nonprofit mentor mentoring awareness""",
    ),
    _topic(
        "identity",
        "who somebody is: gender, orientation, origin, culture, values and self-expression",
        """identity gender transgender transition lgbtq gay lesbian queer pride ethnicity culture
        heritage immigrant acceptance""",
    ),
    _topic(
        "faith",
        "religion, church, prayer, belief and spirituality",
        """church faith religion religious pray prayer god bible mosque temple synagogue spiritual
        spirituality priest""",
    ),
    _topic(
        "society",
        "politics, government, elections, law, history and the news",
        """politics political government election vote president minister law lawyer court police
        military war protest news policy""",
    ),
    _topic(
        "vehicles",
        "cars, bicycles, driving, repairs, accidents on the road and public transport",
        """car truck motorcycle bicycle bike driving driver garage mechanic engine traffic train bus
        subway""",
    ),
    _topic(
        "plans",
        "plans, goals, intentions and appointments for the future",
        "plan goal dream hope intend appointment schedule upcoming reminder resolution bucket-list",
    ),
)
