"""Times named in English text, each resolved to a period by the moment at which it was said.

Deterministic rules; no model. What they take words to mean:

- Days are those of the speaker's zone; weeks begin on Monday; periods are half open, in UTC.
- "Last week", "two months ago", "next year" are whole calendar units, of that granularity; "a few"
  is two to four, "several" three to seven. A month ago, said on 31 March, is February.
- "Last Friday" is the latest before today, "next Friday" the first after today, "this Friday" today
  or the one that the tense points to. So are months, seasons, holidays and weekends.
- "The past week", "the last three months", "the next few days" end or begin at `said_at`.
- "For three years" (role "for") is a period up to `said_at`, read only where the tense lets it last
  until now. "From 2018 to 2020" is one mention over both; the others cover the expression without
  its preposition.
- A date without a year is the past or coming one as the tense says; without tense the past one,
  unless the coming one is far nearer. 5/7/2023 is the 7th of May.
- Granularity is the unit named; a part of a unit ("late June", "last night", "the weekend", a
  quarter) has the smallest granularity that holds it. Early, mid and late are thirds; the end of a
  year is its December, of a month its last seven days.
- Seasons are the northern ones, in whole months. Morning is 6–12, afternoon 12–18, evening 18–24,
  night 18–6. An hour without "am" or "pm" is 1–6 in the afternoon, 7–11 in the morning.

It knows no birthdays and no stories: "when I was ten", "the next day", "the week after the wedding"
are not read; neither is what recurs ("every Friday", "on Sundays").
"""

from memos.extraction.times.resolver import TimeMention, find_times

__all__ = ["TimeMention", "find_times"]
