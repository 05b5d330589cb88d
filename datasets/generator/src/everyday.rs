//! Everyday life: what the corpus of the base model talks about besides the five domains.

use crate::words::Kind::{Code, Coined, Money, Number, Rule, Words};
use crate::words::{FIRST_NAMES, Slots};

pub(crate) const SLOTS: Slots = &[
    ("name", Words(FIRST_NAMES)),
    ("coined", Coined),
    (
        "animal",
        Words(
            "dog, cat, horse, cow, bird, fish, rabbit, mouse, goat, sheep, duck, hen, pig, fox, bear, frog, owl, snake, \
             donkey, turtle, goose, bee, wolf, deer, hamster, parrot, swan, spider, squirrel, lion",
        ),
    ),
    (
        "food",
        Words(
            "bread, soup, rice, cheese, fish, eggs, beans, cake, apples, pears, carrots, potatoes, salad, noodles, butter, \
             honey, tomatoes, onions, bananas, cherries, pancakes, nuts, mushrooms, corn, pizza, jam, grapes, cookies",
        ),
    ),
    (
        "drink",
        Words(
            "water, milk, tea, coffee, juice, cocoa, lemonade, apple juice, hot chocolate, cold milk",
        ),
    ),
    (
        "place",
        Words(
            "park, school, garden, library, station, market, kitchen, beach, forest, museum, office, farm, bridge, river, \
             theatre, hotel, harbour, village, bakery, playground, church, airport, cinema, castle, stable, field",
        ),
    ),
    (
        "thing",
        Words(
            "ball, book, hat, key, chair, table, bag, box, coat, cup, lamp, ring, rope, shoe, clock, knife, plate, spoon, \
             pencil, letter, basket, blanket, bottle, bell, map, bicycle, umbrella, mirror, ladder, hammer, candle, kite",
        ),
    ),
    (
        "tone",
        Words(
            "red, blue, green, white, black, brown, grey, yellow, silver, golden, pink, dark, bright",
        ),
    ),
    (
        "weather",
        Words("rain, snow, wind, fog, sun, frost, a storm, thunder, hail, heat"),
    ),
    (
        "feeling",
        Words(
            "happy, sad, tired, angry, hungry, afraid, proud, bored, surprised, calm, lonely, excited, thirsty",
        ),
    ),
    (
        "job",
        Words(
            "teacher, farmer, driver, baker, nurse, painter, pilot, cook, sailor, singer, gardener, writer, mechanic, judge, \
        builder, waiter, dentist, fisher, tailor, guard",
        ),
    ),
    (
        "relative",
        Words(
            "mother, father, sister, brother, aunt, uncle, cousin, grandmother, grandfather, friend, neighbour",
        ),
    ),
    (
        "sport",
        Words(
            "football, tennis, chess, swimming, running, cycling, dancing, climbing, skating, rowing, cards",
        ),
    ),
    (
        "instrument",
        Words("piano, violin, guitar, drum, flute, trumpet, harp, cello"),
    ),
    (
        "size",
        Words(
            "small, large, tiny, huge, long, short, round, heavy, light, old, new, broken, clean, strange, cheap",
        ),
    ),
    ("season", Words("spring, summer, autumn, winter")),
    (
        "subject",
        Words("maths, history, music, biology, art, reading, geography, physics, writing"),
    ),
    ("n", Number(2, 99)),
    ("price", Money(1, 400)),
    (
        "count",
        Words("two, three, four, five, six, seven, eight, nine, ten, twelve, twenty"),
    ),
    (
        "code",
        Code(
            "@@-###|###-##|@####|#####|@@@-##|##-@@-##|@#@#@#|@@@ ###|#######|@@ ####-#|@-#####|##@####",
        ),
    ),
    (
        "went",
        Rule("[went|walked|drove|ran|came|travelled|hurried|rode]"),
    ),
    (
        "saw",
        Rule("[saw|found|noticed|watched|met|heard|looked for|took care of]"),
    ),
    (
        "said",
        Rule("[said|answered|asked|thought|wrote|replied|told {name.8}]"),
    ),
    (
        "when",
        Rule(
            "[yesterday|today|in the morning|at night|last week|on {day}|at {time}|in {season}|before dinner|after school|every day]",
        ),
    ),
];

/// Single statements.
pub(crate) const STATEMENTS: &[&str] = &[
    "{name} {went} to the {place} {when}.",
    "{when} {name} {saw} a {size} {animal} near the {place}.",
    "The {animal} is {size} and likes {food}.",
    "{name} and {name.2} eat {food} and drink {drink} {when}.",
    "There is a {tone} {thing} on the table in the {place}.",
    "The {thing} of {name} is {tone}, but the {thing} of {name.2} is {tone.2}.",
    "{name} is a {job} and works in a {place} in {town}.",
    "{name} has {count} {food} and gives {few} to {name.2}.",
    "It was a cold day with {weather}, so {name} stayed at home.",
    "In {season} we often have {weather} here.",
    "{name} was {feeling} because the {thing} was gone.",
    "My {relative} [plays|loves|teaches] {sport} {when}.",
    "The {relative} of {name} can play the {instrument} very well.",
    "{name} bought a {thing} for {n} coins at the market.",
    "[If|When] there is {weather}, the {animal} [hides|sleeps|runs] under the {thing}.",
    "{name} learned {subject} at school, and {name.2} learned {subject.2}.",
    "We need {food}, {food.2} and {drink} for the party on {day}.",
    "The train to {town} leaves at {time}, and the bus leaves at {time.2}.",
    "{name} lives in {town}, not in {town.2}.",
    "Nobody knows why the {animal} and the {animal.2} are friends.",
    "The key with the code {code} opens the door of the {place}.",
    "{name} was born on {date} and is now {n} years old.",
    "Please put the {thing} back where you found it, {name} {said}.",
    "The {size} {thing} costs more than the {size.2} one.",
    "I have never seen such a {size} {animal} in my life!",
    "Can a {animal} swim? {name} {said} that it can.",
    "A {job} works with [people|tools|hands], and a {job.2} does too.",
    "{name} is [taller|older|faster|stronger] than {name.2}.",
    "After {sport}, {name} was {feeling} and wanted {drink}.",
    "Do you want {drink} or {drink.2}? I would like {drink}, please.",
    "{coined} is a town by the sea, and {coined.2} is in the mountains.",
    "They call the {animal} {coined}, because it comes from {coined.2}.",
];

/// First, middle and last sentences of little stories about `{name}` and `{name.2}`.
pub(crate) const STORY: [&[&str]; 3] = [
    &[
        "Once there was a {job} whose name was {name}.",
        "One day {name} {went} to the {place} with {name.2}.",
        "{name} had a {size} {animal} that was always {feeling}.",
        "It was {season}, and {name} wanted to visit {name.2} in {town}.",
        "{name} was looking for a {tone} {thing}.",
        "Last {season} there was {weather} for {count} days.",
    ],
    &[
        "On the way {name} {saw} a {animal.2}.",
        "Then {name.2} came and {said}: [\"Look at the {thing}!\"|\"I am {feeling.2}.\"|\"Where is my {thing}?\"|\"Let us go home.\"]",
        "[But|Then|Suddenly] there was {weather}, and they had no {thing.2}.",
        "{name.2} gave {name} some {food} and a cup of {drink}.",
        "They looked under the {thing.2}, behind the {place} and in the {place.2}.",
        "The {animal.2} was {size.2} and did not want to move.",
        "\"How many {food} do you have?\" asked {name}. \"I have {few},\" {said} {name.2}.",
        "They waited until {time}, but nobody came.",
        "{name.2} opened the {thing} and found a letter from {name.3}.",
        "It was not easy, [but|and still] {name} did not give up.",
    ],
    &[
        "In the end {name} was {feeling.2}, and they went home.",
        "So {name} got the {thing} back and thanked {name.2}.",
        "Since then {name} and {name.2} [are|have been] good friends.",
        "That is why {name} likes {weather} now.",
        "At home they ate {food.2} and told the story to everyone.",
        "The next day the {thing} was gone again.",
    ],
];

/// Small talk.
pub(crate) const TALK: &[(&str, &str)] = &[
    (
        "[Hello|Hi|Hey|Good morning][!|.]",
        "[Hello! How can I help you?|Hi, what can I do for you?|Good day! What do you need?]",
    ),
    (
        "How are you[ today|]?",
        "[I am fine, thank you.|Very well, thanks.|Fine, and you?]",
    ),
    (
        "[Thank you|Thanks a lot|Many thanks][!|.]",
        "[You are welcome.|With pleasure.|Any time.]",
    ),
    (
        "[Goodbye|Bye|See you tomorrow][!|.]",
        "[Goodbye!|See you soon.|Have a nice day.]",
    ),
    (
        "My name is {name}.",
        "[Nice to meet you, {name}.|Hello {name}!|Welcome, {name}.]",
    ),
    (
        "I am {feeling}.",
        "[Why are you {feeling}?|I see that you are {feeling}.]",
    ),
    (
        "I like {food}.",
        "[I eat {food} too, and {food.2}.|I like {food} too.]",
    ),
    (
        "I have a {animal}.",
        "[What is the name of your {animal}?|A {animal} is a good friend.]",
    ),
    (
        "Tell me something about {town}.",
        "{town} is a town with a {place} and a {place.2}.",
    ),
    (
        "What can I do with a {thing}?",
        "[You can give it to a friend.|You can use it at home.|You can sell the {thing}.]",
    ),
    (
        "Can you help me?",
        "[Of course. What is it about?|Yes, tell me more.]",
    ),
    (
        "I will come on {day} at {time}.",
        "[See you on {day} at {time}.|Good, {day} at {time} it is.]",
    ),
];
