"""The words of the simulated film: a harbour town, a stolen telescope and the people who want it."""

from __future__ import annotations

# name -> (how a sentence places it, whether it lies indoors)
PLACES: dict[str, tuple[str, bool]] = {
    "observatory": ("under the open dome of the observatory", True),
    "fish market": ("between the dripping stalls of the fish market", False),
    "glasshouse": ("among the palms of the botanical glasshouse", True),
    "night train": ("in the dining car of a rattling train", True),
    "lighthouse": ("on the spiral staircase of the lighthouse", True),
    "ballroom": ("on the waxed floor of the hotel ballroom", True),
    "rooftops": ("across the slate rooftops above the old town", False),
    "pine forest": ("on a muddy path through the pine forest", False),
    "hospital": ("in a pale green hospital corridor", True),
    "beach": ("on a windy beach scattered with driftwood", False),
    "bakery": ("behind the counter of a small bakery", True),
    "cemetery": ("beside the mossy headstones of the cemetery", False),
}

# name -> how a sentence introduces them, after the name
PEOPLE: dict[str, str] = {
    "Ada": "the retired detective",
    "Bruno": "an enormous fishmonger",
    "Celeste": "the young astronomer",
    "Dmitri": "a nervous pianist",
    "Esther": "the surgeon with the silver cane",
    "Felix": "a boy in a red raincoat",
    "Greta": "the station master",
    "Hugo": "a smuggler with a glass eye",
}

# name -> (one person does it, «{it}» standing for the object)
ACTIONS: dict[str, str] = {
    "run": "sprints past, clutching {it}",
    "hide": "hides {it} under a coat",
    "search": "searches every drawer for {it}",
    "quarrel": "quarrels loudly over {it}",
    "dance": "dances alone, holding {it} like a partner",
    "repair": "repairs {it} with a hairpin",
    "throw": "throws {it} into the air and misses the catch",
    "drink": "sips hot tea and stares at {it}",
    "climb": "climbs a ladder with {it} between the teeth",
    "weep": "weeps quietly next to {it}",
    "photograph": "takes flash photographs of {it}",
    "steal": "slips {it} into a pocket without a sound",
    "paint": "paints a picture of {it}",
    "wait": "waits without moving, guarding {it}",
}

OBJECTS: dict[str, str] = {
    "telescope": "a brass telescope",
    "parrot": "a grey parrot",
    "letter": "a sealed letter",
    "piano": "an out-of-tune piano",
    "umbrella": "a broken umbrella",
    "clock": "a ticking grandfather clock",
    "map": "a map of the stars",
    "lantern": "a paraffin lantern",
    "cake": "a wedding cake of five storeys",
    "bicycle": "a rusty bicycle",
    "violin case": "a suspiciously heavy violin case",
    "microscope": "a child's microscope",
    "boat": "a small wooden boat",
    "bear costume": "a moth-eaten bear costume",
}

# name -> (a sentence of its own, what somebody says in it)
MOODS: dict[str, tuple[str, tuple[str, ...]]] = {
    "merry": ("Everybody laughs", ("This is the finest day of my life!", "Again, again, play it again!")),
    "tense": ("The music holds one low note", ("Do not turn around.", "Somebody has been here before us.")),
    "gloomy": ("Nobody finds anything to say", ("It was all for nothing.", "I should have stayed at home.")),
    "furious": ("Crockery breaks off screen", ("Give it back this instant!", "You lied to every one of us!")),
    "tender": ("The camera lingers on their hands", ("You kept it all these years.", "Come home with me.")),
    "absurd": ("A goose walks through the picture", ("Is that goose on our side?", "I said trousers, not trumpets!")),
}

# «{who}» people, «{does}» the action, «{where}» the place, «{place}» its bare name, «{thing}» the object
OPENINGS: tuple[str, ...] = (
    "{Light} {where}. {who} {does}.",
    "{who} {does}, {where}. {Light}.",
    "Cut to the {place}. {Light}. {who} {does}.",
    "{Where}, {who} {does}. {Light}.",
)
SHOTS: tuple[str, ...] = (
    "{who} {does}.",
    "{who} {does}, {where}.",
    "Close-up of {thing}. {who} {does}.",
    "The camera follows {who}, who {does}.",
    "{Where}, {who} {does}.",
    "Still in the {place}: {who} {does}.",
)
SPEECH: tuple[str, ...] = (
    '{speaker} says: "{line}"',
    '"{line}" {speaker} whispers.',
    '{speaker} shouts: "{line}"',
    '{speaker}, barely audible: "{line}"',
)
LIGHT: dict[bool, tuple[str, ...]] = {
    True: ("It is night", "Moonlight falls", "Only a street lamp burns"),
    False: ("The sun is high", "Bright morning light falls", "It is a clear afternoon"),
}
