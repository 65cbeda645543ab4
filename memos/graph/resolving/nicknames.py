"""Common English short forms of first names.

A short form can stand for several names ("Chris"), so that it names a person only where one alone
fits. Short forms that are also names of their own ("Jack") are here too; nothing is decided here.
"""

from __future__ import annotations

from collections import defaultdict

_GROUPS = """
abigail: abby gail
alexander: alex al sandy xander sasha
alexandra: alex sandra lexi sasha
alfred: alf alfie fred
amanda: mandy
andrea: andy drea
andrew: andy drew
angela: angie
anthony: tony ant
antonia: toni
arthur: art artie
barbara: barb babs
benjamin: ben benji benny
bernard: bernie
bradley: brad
caroline: carrie caro
cassandra: cass cassie
catherine: cathy cat kate katie kitty
charles: charlie chuck chas
charlotte: charlie lottie
christina: chris chrissy tina
christine: chris chrissy tina
christopher: chris topher kit
cynthia: cindy
daniel: dan danny
danielle: dani
david: dave davy
deborah: deb debbie
dennis: denny
dominic: dom nick
donald: don donny
dorothy: dot dotty
douglas: doug
edward: ed eddie ted teddy ned
eleanor: ellie nell nora
elizabeth: liz lizzie beth betty eliza libby lizzy bess
emily: em emmy
eugene: gene
evelyn: evie
ezekiel: zeke
frances: fran frankie
francis: frank frankie
frederick: fred freddie
gabriel: gabe
gabriella: gabby gabi
george: georgie
gerald: gerry jerry
geraldine: gerry
gregory: greg
gwendolyn: gwen
harold: harry hal
harriet: hattie
henry: harry hank hal
herbert: bert herb
isabella: bella izzy
isabel: izzy bella
jacob: jake
jacqueline: jackie
james: jim jimmy jamie
janet: jan
jasmine: jas jazz
jeffrey: jeff
jennifer: jen jenny jenn
jeremy: jerry jem
jessica: jess jessie
joanna: jo joey
john: johnny jack
jonathan: jon jonny nathan
joseph: joe joey
joshua: josh
josephine: jo josie
judith: judy
julia: jules
julian: jules
justin: jus
katherine: kate kathy katie kat kitty kathie
kathleen: kathy kate
kenneth: ken kenny
kimberly: kim
kristen: kris
lawrence: larry
leonard: leo len lenny
leonardo: leo
lillian: lily lil
lucinda: lucy cindy
madeline: maddie
margaret: maggie meg peggy marge margie greta
martha: marty
martin: marty
matthew: matt
maximilian: max
megan: meg
melanie: mel
melissa: mel missy
melvin: mel
michael: mike mick mikey mickey
michelle: shelly
mitchell: mitch
mohammed: mo
nancy: nan
natalie: nat
nathan: nate nat
nathaniel: nate nat nathan
nicholas: nick nicky
nicole: nicky nikki
oliver: ollie
olivia: liv livvy
pamela: pam
patricia: pat patty tricia trish
patrick: pat paddy
penelope: penny
peter: pete
philip: phil
phillip: phil
priscilla: cilla
rachel: rach
raymond: ray
rebecca: becky becca
reginald: reg reggie
richard: rick dick rich ricky richie
robert: rob bob bobby robbie bert
roberta: bobbie
ronald: ron ronnie
rosemary: rosie
russell: russ
samantha: sam sammy
samuel: sam sammy
sebastian: seb bastian
solomon: sol
stanley: stan
stephanie: steph
stephen: steve
steven: steve
stewart: stew stu
stuart: stu
susan: sue susie suzy
susanna: sue susie
sylvester: sly
sylvia: syl
tabitha: tabby
terence: terry
teresa: terry tess tessa
theodore: theo ted teddy
theresa: terry tess tessa
thomas: tom tommy
timothy: tim timmy
valerie: val
veronica: ronnie vera
victor: vic
victoria: vicky vic tori
vincent: vince vinny
virginia: ginny
walter: walt wally
wendell: dell
wesley: wes
wilfred: wilf
william: bill will billy willy liam
winifred: winnie
yvonne: eve
zachary: zach zack
"""


def _table() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for line in _GROUPS.strip().splitlines():
        full, shorts = line.split(": ")
        found[full].add(full)
        for short in shorts.split():
            found[short].add(full)
    return {name: frozenset(names) for name, names in found.items()}


_FULL = _table()


def full_forms(first_name: str) -> frozenset[str]:
    """The names that a folded first name may stand for, itself among them if it is one."""
    return _FULL.get(first_name, frozenset((first_name,)))


def may_be_same(one: str, other: str) -> bool:
    """Whether one folded first name can be the other, or short for it: Liz and Elizabeth. Not two
    short forms of one name: who is called Liz is seldom also called Betty."""
    return one == other or other in full_forms(one) or one in full_forms(other)
