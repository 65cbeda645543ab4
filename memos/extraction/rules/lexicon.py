"""Words that the rules know: kinship, trades, animals, and so on. Lists only."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """A set of words; `_` stands for a blank within one."""
    return frozenset(word.replace("_", " ") for word in text.split())


def _relations() -> dict[str, str]:
    table = {
        "has_sibling": """sister brother sibling twin sis bro stepsister stepbrother half-sister
            half-brother""",
        "has_parent": """mother mom mum mommy mummy mama father dad daddy papa parent stepmother
            stepfather stepmom stepdad""",
        "has_child": """son daughter child kid toddler stepson stepdaughter newborn""",
        "partner_of": """husband wife fiancé fiancée fiance fiancee boyfriend girlfriend partner
            spouse hubby""",
        "has_relative": """cousin aunt auntie uncle nephew niece grandma grandpa grandmother
            grandfather granny gran nan grandson granddaughter grandchild mother-in-law
            father-in-law brother-in-law sister-in-law son-in-law daughter-in-law godmother
            godfather godson goddaughter""",
        "has_friend": "friend bestie buddy pal",
        "has_roommate": "roommate flatmate housemate",
        "has_colleague": "colleague coworker co-worker teammate",
        "reports_to": "boss manager supervisor",
        "has_neighbour": "neighbour neighbor",
        "has_teacher": "teacher coach mentor therapist tutor trainer instructor professor",
    }
    return {word: predicate for predicate, listed in table.items() for word in listed.split()}


RELATIONS = _relations()
"""A noun for a person by whom somebody has: the predicate from owner to person."""

PLURAL_RELATIONS = words(
    """sisters brothers siblings twins parents sons daughters children kids cousins aunts uncles
    nephews nieces grandparents grandkids grandchildren friends roommates flatmates colleagues
    coworkers neighbours neighbors teachers coaches folks"""
)
FEMALE = words(
    """sister mother mom mum mommy mummy mama stepmother daughter stepdaughter wife fiancée fiancee
    girlfriend aunt auntie niece grandma grandmother granny gran nan granddaughter mother-in-law
    sister-in-law daughter-in-law godmother sis stepsister half-sister woman girl lady"""
)
MALE = words(
    """brother father dad daddy papa stepfather son stepson husband fiancé fiance boyfriend uncle
    nephew grandpa grandfather grandson father-in-law brother-in-law son-in-law godfather bro
    stepbrother half-brother hubby man boy guy"""
)
SPOUSES = words("husband wife spouse hubby")
LOVERS = words("boyfriend girlfriend partner")
FORMER = words("ex former late deceased old previous ex-")
ANIMALS = words(
    """dog cat puppy pup kitten kitty hamster rabbit bunny parrot horse pony turtle tortoise snake
    lizard gecko bird fish goldfish ferret hen chicken goat pig pet rat mouse canary budgie
    guinea_pig donkey"""
)

# One at a time as a rule; those beside them, and what is done for its own sake, are below.
TRADES = words(
    """accountant actuary administrator analyst anaesthetist architect attendant attorney auditor
    baker banker barber bartender beautician biologist bookkeeper bricklayer broker builder butcher
    butler buyer captain caretaker carpenter cashier chef chemist cleaner clerk clinician cobbler
    constable consultant contractor controller cook coordinator counsellor counselor courier
    curator dentist designer detective developer dietitian diplomat director dispatcher doctor
    driver economist editor electrician engineer estate_agent executive farmer firefighter
    fisherman florist foreman gardener geologist goldsmith hairdresser head_teacher housekeeper
    inspector insurer interpreter janitor jeweller joiner journalist judge labourer laborer lawyer
    lecturer librarian lifeguard locksmith machinist magistrate mailman manager marketer mason
    mathematician mechanic midwife miner nanny navigator notary nurse nutritionist obstetrician
    officer optician optometrist orderly paediatrician painter-decorator paralegal paramedic
    pathologist pediatrician pharmacist physician physicist physiotherapist pilot planner plasterer
    plumber policeman policewoman porter postman president principal producer professor programmer
    prosecutor psychiatrist psychologist psychotherapist publisher radiographer radiologist ranger
    realtor receptionist recruiter repairman reporter researcher roofer sailor salesman salesperson
    saleswoman scientist secretary seamstress shopkeeper social_worker sociologist soldier
    solicitor specialist statistician steward stewardess strategist superintendent supervisor
    surgeon surveyor tailor teacher team_lead lead technician teller therapist translator
    treasurer trucker typist undertaker upholsterer vet veterinarian waiter waitress warden
    watchmaker welder zoologist barista paralegal ceo cto cfo"""
)
ARTS = words(
    """actor actress artist athlete author blogger boxer caregiver carer cellist climber coach
    comedian composer cyclist dancer drummer entrepreneur filmmaker footballer freelancer gamer
    golfer guitarist gymnast hiker hobbyist homemaker housewife illustrator instructor mentor model
    musician novelist painter performer photographer pianist player poet politician potter runner
    sculptor singer songwriter streamer student surfer swimmer tutor trainer violinist volunteer
    vlogger writer youtuber"""
)
RANKS = words("lead head chief manager director partner captain vp president supervisor")
"""What one is promoted to without its being a trade."""

INSTRUMENTS = words(
    """accordion banjo bass bassoon cello clarinet drum drums fiddle flute guitar harmonica harp
    keyboard keyboards mandolin oboe organ percussion piano recorder sax saxophone sitar trombone
    trumpet tuba ukulele viola violin"""
)
SPORTS = words(
    """badminton baseball basketball bowls bridge cards chess cricket darts football golf handball
    hockey lacrosse netball padel pingpong poker polo pool rugby scrabble snooker soccer softball
    squash tennis volleyball"""
)
PASTIMES = words(
    """aerobics archery ballet baking boxing calligraphy camping climbing cooking crochet
    cross-stitch cycling dance dancing diving drawing embroidery fencing fishing gardening
    gymnastics hiking jogging judo karate kayaking kickboxing knitting martial_arts meditation
    origami painting parkour photography pilates pottery reading riding rowing running sailing
    scrapbooking sewing skateboarding skating skiing skydiving snowboarding surfing swimming
    taekwondo tai_chi weightlifting woodworking wrestling writing yoga zumba"""
)
DRINKS = words(
    """alcohol beer booze cider coffee coke cola espresso gin juice lemonade matcha milk rum soda
    tea vodka water whiskey whisky wine caffeine"""
)
FOODS = words(
    """beef bread butter candy cake carbs cheese chicken chocolate dairy eggs fish fruit gluten ham
    honey lamb meat mushrooms nuts pasta peanuts pork poultry red_meat rice salmon seafood shellfish
    snacks soy steak sugar sushi sweets tofu tuna vegetables fast_food junk_food"""
)
SMOKES = words("cigarettes smoking tobacco vaping nicotine cigars")
DIETS = words(
    """vegan vegetarian pescatarian gluten-free lactose-intolerant kosher halal keto paleo
    dairy-free flexitarian"""
)
CONDITIONS = words(
    """adhd anxiety arthritis asthma autism cancer celiac coeliac dementia depression diabetes
    dyslexia eczema endometriosis epilepsy gout hypertension insomnia leukaemia lupus migraine
    migraines parkinson psoriasis ptsd tinnitus"""
)
DURABLES = words(
    """apartment bicycle bike boat cabin camera camper campervan car caravan computer condo console
    convertible cottage drone farm flat guitar house jeep kayak keyboard laptop motorbike motorcycle
    motorhome piano phone pickup plane scooter smartphone sofa surfboard tablet telescope tractor
    trailer truck tv van violin watch yacht"""
)
CLUBS = words(
    """army association band board chapter choir church circle class club committee community
    congregation council course crew ensemble fraternity gang group guild gym league navy network
    orchestra organisation organization party program programme project society sorority squad team
    troupe union"""
)
WORKPLACES = words(
    """academy agency bakery bank bar bookshop bookstore brewery cafe café chain clinic college
    company consultancy daycare dealership embassy factory farm firm foundation garage gym hospital
    hotel institute kindergarten lab laboratory library mill ministry museum newspaper nursery
    office pharmacy practice pub publisher ranch restaurant salon school shelter shop start-up
    startup station store studio supermarket theatre theater university warehouse winery workshop
    zoo"""
)
PLATFORMS = words(
    """facebook instagram twitter tiktok reddit discord zoom linkedin youtube whatsapp telegram
    snapchat netflix spotify twitch slack duolingo strava tinder bumble pinterest mastodon"""
)
SOFTWARE = words(
    """airtable android angular asana aws azure bitbucket chrome claude confluence copilot cursor
    debian django docker dropbox edge emacs evernote excel fastapi fedora figma firebase firefox
    flask github gitlab gmail golang graphql hubspot ios ipad iphone java javascript jenkins jira
    kafka kotlin kubernetes laravel linux macos mariadb mongodb mysql neovim nextcloud nodejs notion
    obsidian openshift oracle outlook php postgres postgresql powerpoint pytorch python rails react
    redis redshift rust salesforce skype snowflake sqlite svelte swift teams tensorflow terraform
    trello typescript ubuntu vim vscode vue windows wordpress"""
)
"""What one can "move to" or "live in" that is no place."""
FAVOURITES = words(
    """album animal artist author band beer bird book cake café cafe cartoon character city cocktail
    coffee colour composer country cuisine dessert dish drink film flavour flower food fruit
    game genre holiday hobby ice_cream instrument language meal month movie musician number painter
    pastime person pizza place plant player podcast poem poet restaurant sandwich season series show
    singer snack soccer_team song sport sports_team subject superhero team teacher tea vegetable
    writer"""
)
SPELLINGS = {"color": "colour", "flavor": "flavour", "favorite": "favourite", "movie": "film"}

GREETINGS = words(
    """hey hi hello wow thanks thank bye congrats congratulations yeah yes yep no nope ok okay oh
    haha lol omg aw aww awesome cool great nice sorry please well sure absolutely definitely
    totally exactly hmm um uh gosh god wait oops btw welcome good so and but hooray cheers woah whoa
    ha yay ugh phew sounds glad happy"""
)
PLAIN = words(
    """new old big small little great nice beautiful cute amazing awesome favourite favorite good
    first own other lovely cool used brand-new second last next same different real certain few many
    several more most current former previous whole entire own such local wonderful fantastic
    gorgeous fun best better super huge tiny adorable incredible perfect special sweet nearby young
    own actual"""
)
"""Adjectives that do not tell one thing from another."""

VAGUE = words(
    """one ones thing things something anything everything nothing stuff way fact idea time times
    lot bit kind kinds sort sorts type types part place it that this them those these him her you me
    us all both some any more day moment people person someone everyone anyone somebody guy guys
    look feeling sound rest much case point whole half"""
)
HOBBY_VERBS = {
    "box": "boxing", "camp": "camping", "climb": "climbing", "cycle": "cycling", "dance": "dancing",
    "dive": "diving", "fish": "fishing", "garden": "gardening", "hike": "hiking", "jog": "jogging",
    "kayak": "kayaking", "knit": "knitting", "meditate": "meditation", "paint": "painting",
    "row": "rowing", "run": "running", "sail": "sailing", "sew": "sewing", "skate": "skating",
    "ski": "skiing", "smoke": "smoking", "snowboard": "snowboarding", "surf": "surfing",
    "swim": "swimming", "vape": "vaping", "crochet": "crochet",
}  # fmt: skip

FICTION = words(
    """novel book story movie film show series play musical game dream script poem song episode
    fairytale fanfic comic production drama sims minecraft skyrim stardew roleplay rpg campaign dnd
    larp"""
)
FIRST_NAMES = words(
    """aaron abby abigail adam adrian alan albert alex alexander alexandra alexis alice alicia
    alison allison amanda amber amelia amy andrea andrew angela anita ann anna anne anthony
    antonio ashley audrey ava barbara bella ben benjamin beth betty bill billy bob bobby brad
    bradley brandon brenda brian bruce bryan caleb calvin cameron carl carla carlos carmen
    carol caroline carolyn catherine charles charlie charlotte cheryl chloe chris christian
    christina christine christopher cindy claire clara cody colin connor courtney craig
    crystal cynthia daisy dan daniel daniela danielle danny dave david dawn dean deborah debra
    denise dennis derek diana diane diego dominic don donald donna doris dorothy doug douglas
    dylan ed eddie edward eileen elaine eleanor elena eli elijah elizabeth ella ellen emily
    emma eric erica erik erin ethan eugene eva evan evelyn felix fiona frances francis frank
    fred gabriel gary gavin george gina gloria grace graham greg gregory hailey hannah harold
    harry heather helen henry holly howard hugo ian irene isaac isabel isabella ivan jack
    jackie jackson jacob jake james jamie jan jane janet janice jared jasmine jason jay jean
    jeff jeffrey jen jenna jennifer jenny jeremy jerry jesse jessica jessie jill jim jimmy
    joan joanna joe joel john johnny jon jonathan jordan jorge jose joseph josh joshua joyce
    juan judith judy julia julian julie justin karen karl kate katherine kathleen kathryn
    kathy katie kayla keith kelly ken kenneth kevin kim kimberly kyle larry laura lauren leah
    lee leo leon leonard leslie levi liam lily linda lisa logan lori louis lucas lucia lucy
    luis luke lydia madison maggie marcus margaret maria marie marilyn mark martha martin mary
    mason matt matthew maureen max megan melanie melissa mia michael michelle miguel mike mila
    molly monica morgan nancy naomi natalie nathan neil nicholas nick nicole nina noah nora
    norman olivia oscar owen pam pamela patricia patrick paul paula pedro peggy peter phil
    philip rachel ralph randy ray raymond rebecca richard rick rita rob robert roberta robin
    roger ron ronald rosa rose roy russell ruth ryan sally sam samantha samuel sandra sara
    sarah scott sean sebastian shannon sharon shawn sheila shirley simon sofia sophia sophie
    stacy stanley stella stephanie stephen steve steven stuart sue susan suzanne sylvia tammy
    tara ted teresa terry theo theresa thomas tiffany tim timothy tina todd tom tommy tony
    tracy travis tyler valerie vanessa vera veronica victor victoria vincent virginia walter
    wanda wayne wendy will william zach zachary zoe"""
)
"""Of persons: what bears one is no employer."""

COUNTRIES = words(
    """afghanistan albania algeria america angola argentina armenia australia austria azerbaijan
    bahrain bangladesh belarus belgium bolivia bosnia botswana brazil britain bulgaria cambodia
    cameroon canada chile china colombia croatia cuba cyprus czechia czech_republic denmark ecuador
    egypt england estonia ethiopia fiji finland france georgia germany ghana greece guatemala haiti
    honduras hungary iceland india indonesia iran iraq ireland israel italy jamaica japan jordan
    kazakhstan kenya korea south_korea north_korea kosovo kuwait laos latvia lebanon libya lithuania
    luxembourg madagascar malaysia mali malta mexico moldova mongolia montenegro morocco mozambique
    myanmar namibia nepal netherlands new_zealand nicaragua nigeria norway oman pakistan palestine
    panama paraguay peru philippines poland portugal qatar romania russia rwanda saudi_arabia
    scotland senegal serbia sierra_leone singapore slovakia slovenia somalia south_africa spain
    sri_lanka sudan sweden switzerland syria taiwan tanzania thailand tunisia turkey türkiye uganda
    ukraine united_kingdom united_states uruguay usa us uk u.s. u.k. u.s.a. uae uzbekistan venezuela
    vietnam wales yemen zambia zimbabwe europe asia africa"""
)

EMPTY_DOINGS = words(
    """spending having being getting seeing hearing doing making going trying taking using putting
    giving knowing watching helping sharing talking spend get do make go try take use put give help
    share talk keep"""
)
"""Doings that say nothing of what is done."""
