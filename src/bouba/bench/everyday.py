"""60 things that people type, and which of the built-in emoji answer them, by English name.

Written from the list of names alone, before any search was tried on them; whatever a search finds, they stay as they
are.
"""

from __future__ import annotations

_HEARTS = (
    "heart with arrow; heart with ribbon; sparkling heart; growing heart; beating heart; revolving hearts; two hearts; "
    "heart decoration; heart exclamation; broken heart; heart on fire; mending heart; red heart; pink heart; "
    "orange heart; yellow heart; green heart; blue heart; light blue heart; purple heart; brown heart; black heart; "
    "grey heart; white heart; heart suit; anatomical heart; heart hands; love letter"
)
_TRAINS = (
    "locomotive; railway car; high-speed train; bullet train; train; metro; light rail; station; tram; tram car; "
    "monorail; mountain railway; suspension railway"
)
_HOUSES = "house; house with garden; houses; derelict house; hut"
_CARS = (
    "automobile; oncoming automobile; sport utility vehicle; racing car; taxi; oncoming taxi; police car; "
    "oncoming police car; pickup truck"
)
_AIRPLANES = "airplane; small airplane; airplane departure; airplane arrival"
_BOOKS = (
    "closed book; open book; green book; blue book; orange book; books; notebook; "
    "notebook with decorative cover; ledger"
)
_SUNS = (
    "sun; sun with face; sun behind cloud; sun behind small cloud; sun behind large cloud; sunrise; sunset; "
    "sunrise over mountains"
)
_DOGS = "dog face; dog; guide dog; service dog; poodle"
_CATS = (
    "cat face; cat; black cat; grinning cat; grinning cat with smiling eyes; cat with tears of joy; "
    "smiling cat with heart-eyes; cat with wry smile; kissing cat; weary cat; crying cat; pouting cat"
)
_FISH = "fish; tropical fish; blowfish; shark; carp streamer; Pisces"
_ANGRY = (
    "enraged face; angry face; face with steam from nose; face with symbols on mouth; angry face with horns; "
    "anger symbol; pouting cat; person pouting; man pouting; woman pouting; right anger bubble"
)
_CRYING = (
    "crying face; loudly crying face; crying cat; face holding back tears; smiling face with tear; "
    "sad but relieved face; face with tears of joy; cat with tears of joy"
)
_SLEEP = "sleeping face; sleepy face; ZZZ; person in bed; bed; yawning face"
_INSTRUMENTS = (
    "saxophone; trumpet; accordion; guitar; musical keyboard; violin; banjo; drum; long drum; "
    "maracas; flute; postal horn"
)
_PLANTS = (
    "seedling; potted plant; evergreen tree; deciduous tree; palm tree; cactus; sheaf of rice; herb; shamrock; "
    "four leaf clover; leaf fluttering in wind; leafy green; Christmas tree; broccoli"
)
_CLOCKS = (
    "watch; alarm clock; stopwatch; timer clock; mantelpiece clock; twelve o’clock; twelve-thirty; one o’clock; "
    "one-thirty; two o’clock; two-thirty; three o’clock; three-thirty; four o’clock; four-thirty; five o’clock; "
    "five-thirty; six o’clock; six-thirty; seven o’clock; seven-thirty; eight o’clock; eight-thirty; nine o’clock; "
    "nine-thirty; ten o’clock; ten-thirty; eleven o’clock; eleven-thirty"
)
_DRINKS = (
    "baby bottle; glass of milk; hot beverage; teapot; teacup without handle; sake; bottle with popping cork; "
    "wine glass; cocktail glass; tropical drink; beer mug; clinking beer mugs; clinking glasses; tumbler glass; "
    "pouring liquid; cup with straw; bubble tea; beverage box; mate"
)
_FRUIT = (
    "grapes; melon; watermelon; tangerine; lemon; lime; banana; pineapple; mango; red apple; green apple; pear; peach; "
    "cherries; strawberry; blueberries; kiwi fruit; tomato; olive; coconut"
)
_VEGETABLES = (
    "avocado; eggplant; potato; carrot; ear of corn; hot pepper; bell pepper; cucumber; leafy green; broccoli; garlic; "
    "onion; peanuts; beans; chestnut; ginger root; pea pod; brown mushroom; tomato; mushroom; green salad"
)
_FLOWERS = (
    "bouquet; cherry blossom; white flower; lotus; rosette; rose; wilted flower; hibiscus; sunflower; blossom; tulip; "
    "hyacinth"
)
_RAIN = "cloud with rain; sun behind rain cloud; cloud with lightning and rain; umbrella with rain drops"
_VEHICLES = (
    f"{_TRAINS}; {_CARS}; {_AIRPLANES}; trolleybus; bus; oncoming bus; minibus; ambulance; "
    "fire engine; delivery truck; "
    "articulated lorry; tractor; motorcycle; motor scooter; auto rickshaw; bicycle; kick scooter; sailboat; canoe; "
    "speedboat; passenger ship; ferry; motor boat; ship; helicopter; rocket; mountain cableway; aerial tramway"
)
_POLICE = "police officer; man police officer; woman police officer; police car; oncoming police car; police car light"

_ANSWERS = {
    # things
    "snowman": "snowman; snowman without snow",
    "heart": _HEARTS,
    "train": _TRAINS,
    "house": _HOUSES,
    "car": _CARS,
    "airplane": _AIRPLANES,
    "bicycle": (
        "bicycle; person biking; man biking; woman biking; person mountain biking; man mountain biking; "
        "woman mountain biking; no bicycles"
    ),
    "phone": "mobile phone; mobile phone with arrow; telephone; telephone receiver",
    "umbrella": "closed umbrella; umbrella; umbrella with rain drops; umbrella on ground; beach with umbrella",
    "fire": "fire; heart on fire",
    "moon": (
        "new moon; waxing crescent moon; first quarter moon; waxing gibbous moon; full moon; waning gibbous moon; "
        "last quarter moon; waning crescent moon; crescent moon; new moon face; first quarter moon face; "
        "last quarter moon face; full moon face; moon viewing ceremony"
    ),
    "book": _BOOKS,
    "key": "key; old key; locked with key",
    "bread": "bread; croissant; baguette bread; flatbread; stuffed flatbread; bagel; sandwich",
    "coffee": "hot beverage",
    "guitar": "guitar; banjo",
    # animals
    "dog": _DOGS,
    "cat": _CATS,
    "fish": _FISH,
    "bird": (
        "turkey; chicken; rooster; hatching chick; baby chick; front-facing baby chick; bird; penguin; dove; eagle; "
        "duck; swan; owl; dodo; flamingo; peacock; parrot; black bird; goose; phoenix"
    ),
    "horse": "horse face; horse; horse racing; carousel horse; unicorn",
    "snake": "snake; Ophiuchus",
    "elephant": "elephant; mammoth",
    # feelings
    "angry": _ANGRY,
    "in love": f"{_HEARTS}; smiling face with hearts; smiling face with heart-eyes; smiling cat with heart-eyes",
    "tired": (
        "tired face; weary face; weary cat; sleepy face; yawning face; face exhaling; sleeping face; "
        "downcast face with sweat"
    ),
    "scared": (
        "fearful face; face screaming in fear; anxious face with sweat; anguished face; worried face; "
        "face with open eyes and hand over mouth"
    ),
    "laughing": (
        "rolling on the floor laughing; face with tears of joy; grinning squinting face; cat with tears of joy; "
        "grinning face; grinning face with big eyes; grinning face with smiling eyes; grinning face with sweat; "
        "beaming face with smiling eyes; grinning cat; grinning cat with smiling eyes"
    ),
    # groups
    "a red fruit": "red apple; strawberry; cherries; tomato; watermelon",
    "musical instrument": _INSTRUMENTS,
    "a green plant": _PLANTS,
    "clock showing time": _CLOCKS,
    "something to drink": _DRINKS,
    "winter sports": "skier; snowboarder; skis; sled; ice skate; curling stone; ice hockey",
    "insect": ("butterfly; bug; ant; honeybee; beetle; lady beetle; cricket; cockroach; mosquito; fly"),
    "tools": (
        "hammer; axe; pick; hammer and pick; hammer and wrench; carpentry saw; wrench; "
        "screwdriver; nut and bolt; clamp; "
        "toolbox; ladder"
    ),
    "bad weather": (f"{_RAIN}; cloud with snow; cloud with lightning; tornado; fog; foggy; wind face; cyclone"),
    # in Chinese
    "火车": _TRAINS,  # train
    "苹果": "red apple; green apple",  # apple
    "狗": _DOGS,  # dog
    "猫": _CATS,  # cat
    "鱼": _FISH,  # fish
    "花": _FLOWERS,  # flower
    "爱心": _HEARTS,  # heart, love
    "飞机": _AIRPLANES,  # airplane
    "书": _BOOKS,  # book
    "房子": _HOUSES,  # house
    "太阳": _SUNS,  # sun
    "医生": "health worker; man health worker; woman health worker; stethoscope",  # doctor
    "足球": "soccer ball; american football; rugby football",  # football
    "警察": _POLICE,  # police
    "生气": _ANGRY,  # angry
    "哭": _CRYING,  # to cry
    "睡觉": _SLEEP,  # to sleep
    "下雨": _RAIN,  # it rains
    "生日": "birthday cake; wrapped gift; balloon; party popper; partying face; shortcake; cupcake",  # birthday
    "水果": _FRUIT,  # fruit
    "乐器": _INSTRUMENTS,  # musical instrument
    "蔬菜": _VEGETABLES,  # vegetables
    "交通工具": _VEHICLES,  # vehicles
}
ANSWERS = {query: frozenset(names.split("; ")) for query, names in _ANSWERS.items()}
"""Query -> the names of the emoji that a person would take for an answer."""
