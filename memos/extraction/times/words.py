"""The vocabulary of time in English: units, numbers, names of months and days, zones."""

from __future__ import annotations

from datetime import timedelta, timezone


def bag(text: str) -> frozenset[str]:
    """The words of `text`, as a set."""
    return frozenset(text.split())


# fmt: off
MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)
MONTHS = {name: i + 1 for i, name in enumerate(MONTH_NAMES)}
# Written short; these need a capital, a dot or a day's number, "mar" and "jan" being names.
SHORT_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9,
    "oct": 10, "nov": 11, "dec": 12,
}
# Names of people, or verbs: without a preposition or a number they are no months.
DOUBTFUL_MONTHS = frozenset({"march", "april", "may", "june"})
WEEKDAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAYS = {name: i for i, name in enumerate(WEEKDAY_NAMES)}
SHORT_WEEKDAYS = {
    "mon": 0, "tue": 1, "tues": 1, "wed": 2, "weds": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4,
    "sat": 5, "sun": 6,
}
WEEKDAY_PLURALS = {f"{name}s": i for name, i in WEEKDAYS.items()}
# First month; winter ends in the next year.
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
SEASON_PLURALS = {"springs": 3, "summers": 6, "autumns": 9, "falls": 9, "winters": 12}
# Hours from a day's midnight: from, until.
PARTS = {
    "morning": (6, 12), "afternoon": (12, 18), "evening": (18, 24), "night": (18, 30),
}

UNITS = {
    unit + end: unit
    for unit in ("second", "minute", "hour", "day", "night", "week", "weekend", "fortnight",
                 "month", "quarter", "year", "decade")
    for end in ("", "s")
}
UNITS |= {"wk": "week", "wks": "week", "yr": "year", "yrs": "year", "hr": "hour", "hrs": "hour",
          "min": "minute", "mins": "minute", "secs": "second", "mth": "month", "mths": "month"}

_ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
         "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
         "nineteen")
NUMBERS = {word: i + 1 for i, word in enumerate(_ONES)}
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
        "eighty": 80, "ninety": 90}
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1,
            "1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
_NTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
        "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth",
        "seventeenth", "eighteenth", "nineteenth", "twentieth")
SPELLED_DAYS = {word: i + 1 for i, word in enumerate(_NTH)} | {"thirtieth": 30}
DECADES = {"twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60,
           "seventies": 70, "eighties": 80, "nineties": 90}

FIXED_ZONES = {
    "utc": 0, "gmt": 0, "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420,
    "mdt": -360, "pst": -480, "pdt": -420, "bst": 60, "wet": 0, "west": 60, "cet": 60,
    "cest": 120, "eet": 120, "eest": 180, "msk": 180, "ist": 330, "sgt": 480, "hkt": 480,
    "jst": 540, "kst": 540, "aest": 600, "aedt": 660, "nzst": 720, "nzdt": 780,
}
# Civil time of the United States: standard offset in hours; summer time by its rule.
CIVIL_ZONES = {"et": -5, "eastern": -5, "ct": -6, "central": -6, "mt": -7, "mountain": -7,
               "pt": -8, "pacific": -8}

# What may follow a time that stands for itself; another word makes a compound ("Christmas tree").
FUNCTION_WORDS = bag(
    "i you he she it we they me him her us them my your his its our their this that these those"
    " the a an and or but so because since until till when while where who which what as if then"
    " than though although before after during at in on by for from to with without of about"
    " around over through between is was are were am be been will would can could should shall"
    " may might must do does did has have had not no just also too still even only already again"
    " both all every everyone everybody someone somebody people there here how why maybe"
    " im ive ill were"
)
# "in 2000 words": a count, no year.
COUNTED = bag(
    "people persons words dollars bucks euros pounds miles km kilometers kilometres meters metres"
    " m calories steps square feet ft lbs kg points times followers views percent hours minutes"
    " seconds days weeks months years items copies pages degrees k rpm watts horsepower mg ml"
    " grams liters litres others men women students employees members users subscribers"
)
RECURRENT = frozenset({"every", "each", "any", "most", "per", "alternate", "some", "many"})
# fmt: on


def zone_of(minutes: int) -> timezone:
    return timezone(timedelta(minutes=minutes))
