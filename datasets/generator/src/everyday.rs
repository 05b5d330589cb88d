//! Everyday life: what the corpus of the base model talks about besides the five domains.

use crate::domain::Note;
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

/// Clauses that state one field; `{it}` is its value.
pub(crate) const FIELDS: &[(&str, &str, &[&str])] = &[
    (
        "animal",
        "animal",
        &[
            "there was a {it}",
            "we saw a {it}",
            "a {it} came by",
            "the animal was a {it}",
            "it was no {animal.7} but a {it}",
        ],
    ),
    (
        "food",
        "food",
        &[
            "we ate {it}",
            "lunch was {it}",
            "somebody cooked {it}",
            "I like {it}",
            "they wanted {it} and not {food.7}",
        ],
    ),
    (
        "drink",
        "drink",
        &[
            "they drank {it}",
            "I had {it}",
            "there was {it} in the cup",
            "she asked for {it}",
        ],
    ),
    (
        "place",
        "place",
        &[
            "it was at the {it}",
            "we met near the {it}",
            "the {it} is close",
            "they went to the {it}",
        ],
    ),
    (
        "thing",
        "thing",
        &[
            "I lost a {it}",
            "a {it} was on the table",
            "he carried a {it}",
            "my {it} is old",
            "I need a {it}",
        ],
    ),
    (
        "colour",
        "tone",
        &[
            "the colour is {it}",
            "everything was {it}",
            "it looked {it}",
            "I painted it {it}",
        ],
    ),
    (
        "name",
        "name",
        &[
            "my name is {it}",
            "{it} was there",
            "I met {it}",
            "it belongs to {it}",
            "ask {it} about it",
        ],
    ),
    (
        "person",
        "person",
        &[
            "{it} wrote it",
            "the owner is {it}",
            "please call {it}",
            "it was {it} who said so",
            "I am {it}",
        ],
    ),
    (
        "job",
        "job",
        &[
            "I am a {it}",
            "she works as a {it}",
            "we need a {it}",
            "the {it} was late",
        ],
    ),
    (
        "town",
        "town",
        &[
            "I live in {it}",
            "the train goes to {it}",
            "it happened in {it}",
            "{it} is a town",
        ],
    ),
    (
        "day",
        "day",
        &[
            "it was on {it}",
            "come on {it}",
            "{it} is fine",
            "we start on {it}",
        ],
    ),
    (
        "date",
        "date",
        &[
            "the date is {it}",
            "it was on {it}",
            "we meet on {it}",
            "on {it} it ends",
            "it is due by {it}",
        ],
    ),
    (
        "time",
        "time",
        &[
            "it starts at {it}",
            "come at {it}",
            "the clock says {it}",
            "at {it} we go",
        ],
    ),
    (
        "number",
        "n",
        &[
            "there are {it} of them",
            "the number is {it}",
            "we have {it}",
            "I counted {it}",
            "{it} are left",
        ],
    ),
    (
        "price",
        "price",
        &[
            "it costs {it}",
            "the price is {it}",
            "I paid {it}",
            "they want {it} for it",
            "{it} is too much",
        ],
    ),
    (
        "code",
        "code",
        &[
            "the code is {it}",
            "use {it}",
            "it says {it}",
            "under {it} you find it",
            "my code was {it}",
        ],
    ),
    (
        "id",
        "code.5",
        &[
            "the id is {it}",
            "it has the id {it}",
            "{it} is its id",
            "look up id {it}",
        ],
    ),
    (
        "brand",
        "coined",
        &[
            "the brand is {it}",
            "it is made by {it}",
            "{it} makes it",
            "I bought it from {it}",
        ],
    ),
    (
        "title",
        "coined.5",
        &[
            "the title is {it}",
            "they call it {it}",
            "it is known as {it}",
            "the word {it} was on it",
        ],
    ),
    (
        "sport",
        "sport",
        &[
            "we play {it}",
            "{it} is fun",
            "I was tired after {it}",
            "he teaches {it}",
        ],
    ),
    (
        "weather",
        "weather",
        &[
            "there was {it}",
            "we had {it}",
            "after {it} it was quiet",
            "nobody likes {it}",
        ],
    ),
    (
        "feeling",
        "feeling",
        &[
            "I was {it}",
            "everybody felt {it}",
            "she looked {it}",
            "that makes me {it}",
        ],
    ),
];

/// Topics and what is said about them; a text asks for one out of a list of topics.
pub(crate) const TOPICS: &[(&str, &[&str])] = &[
    (
        "animals",
        &[
            "The {animal} sleeps near the {animal.2}.",
            "Does a {animal} have fur?",
            "We feed the {animal} at the farm.",
            "A {size} {animal} ran away.",
        ],
    ),
    (
        "food",
        &[
            "I cook {food} with {food.2}.",
            "I like the taste of {food}.",
            "Is there more {food}?",
            "We eat {food} for dinner.",
        ],
    ),
    (
        "drinks",
        &[
            "A cup of {drink}, please.",
            "I drink {drink} every morning.",
            "The {drink} is too hot.",
            "Do you want {drink}?",
        ],
    ),
    (
        "weather",
        &[
            "There will be {weather} {when}.",
            "The {weather} was strong.",
            "In {season} there is {weather}.",
            "It is cold and wet.",
        ],
    ),
    (
        "sport",
        &[
            "We won at {sport}.",
            "{name} trains {sport} every day.",
            "Who plays {sport}?",
            "The {sport} team is good.",
        ],
    ),
    (
        "music",
        &[
            "{name} plays the {instrument}.",
            "The {instrument} is out of tune.",
            "I learn a song on the {instrument}.",
            "Can you hear the {instrument}?",
        ],
    ),
    (
        "school",
        &[
            "We have {subject} at school.",
            "The teacher explains {subject}.",
            "My {subject} homework is hard.",
            "I got a good mark in {subject}.",
        ],
    ),
    (
        "work",
        &[
            "A {job} starts work at {time}.",
            "I want to be a {job}.",
            "The {job} earns {price} a day.",
            "{name} works as a {job}.",
        ],
    ),
    (
        "travel",
        &[
            "The train to {town} is late.",
            "We drive to {town} {when}.",
            "How far is it to {town}?",
            "A ticket to {town} is {price}.",
        ],
    ),
    (
        "feelings",
        &[
            "I am so {feeling}.",
            "Why is {name} {feeling}?",
            "{name} felt {feeling} and cried.",
            "Being {feeling} is normal.",
        ],
    ),
    (
        "time",
        &[
            "It is {time} now.",
            "The clock shows {time}.",
            "We meet at {time} on {day}.",
            "Today is {day}.",
        ],
    ),
    (
        "family",
        &[
            "My {relative} visits us.",
            "{name} has a {relative} in {town}.",
            "The {relative} and the {relative.2} came.",
            "I love my {relative}.",
        ],
    ),
    (
        "colours",
        &[
            "The {thing} is {tone}.",
            "I prefer {tone} to {tone.2}.",
            "Paint it {tone}, please.",
            "A {tone} and a {tone.2} {thing}.",
        ],
    ),
    (
        "numbers",
        &[
            "{n} is more than {few}.",
            "I count to {n}.",
            "What is {n} plus {few}?",
            "The number is {n}.",
        ],
    ),
];

/// Ways to say yes or like it, no or dislike it, ask or order something.
pub(crate) const TONES: &[(&str, &[&str])] = &[
    (
        "good",
        &[
            "I love this {thing}.",
            "I liked the {food} a lot.",
            "{name} did very well.",
            "What a nice {place}!",
            "Thank you, all is fine now.",
        ],
    ),
    (
        "bad",
        &[
            "I hate this {thing}.",
            "I could not eat the {food}.",
            "{name} did it all wrong.",
            "What a terrible {place}!",
            "Nothing works, I am angry.",
        ],
    ),
    (
        "question",
        &[
            "Where is the {thing}?",
            "Who has seen the {animal}?",
            "When does {name} come?",
            "How much is the {thing}?",
        ],
    ),
    (
        "order",
        &[
            "Bring me the {thing}.",
            "Close the door of the {place}.",
            "Call {name} now.",
            "Put the {thing} on the table.",
        ],
    ),
];

/// Notes with questions, as in daily life.
pub(crate) const NOTES: &[Note] = &[
    Note {
        context: "{name} has a {thing} and {name.2} has a {thing.2}.",
        asks: &[
            ("What does {name} have?", "{thing}"),
            ("What does {name.2} have?", "{thing.2}"),
            ("Who has a {thing}?", "{name}"),
            ("Who has a {thing.2}?", "{name.2}"),
            ("Does {name} have a {thing.2}?", "no"),
            ("Does {name.2} have a {thing.2}?", "yes"),
        ],
    },
    Note {
        context: "{name} is in the {place}. {name.2} is in the {place.2}.",
        asks: &[
            ("Where is {name}?", "{place}"),
            ("Where is {name.2}?", "{place.2}"),
            ("Who is in the {place.2}?", "{name.2}"),
            ("Is {name} in the {place}?", "yes"),
            ("Is {name} in the {place.2}?", "no"),
        ],
    },
    Note {
        context: "The {animal} is {tone}. The {animal.2} is {tone.2}.",
        asks: &[
            ("Which animal is {tone.2}?", "{animal.2}"),
            ("What colour is the {animal}?", "{tone}"),
            ("Is the {animal.2} {tone}?", "no"),
            ("Is the {animal} {tone}?", "yes"),
            ("How old is the {animal}?", "not stated"),
        ],
    },
    Note {
        context: "{name} came at {time}. {name.2} came at {time.2}.",
        asks: &[
            ("When did {name} come?", "{time}"),
            ("When did {name.2} come?", "{time.2}"),
            ("Who came at {time}?", "{name}"),
            ("Why did {name} come?", "not stated"),
        ],
    },
    Note {
        context: "The box has the code {code}. The bag has the code {code.2}.",
        asks: &[
            ("What is the code of the bag?", "{code.2}"),
            ("What is the code of the box?", "{code}"),
            ("What has the code {code}?", "box"),
            ("What has the code {code.2}?", "bag"),
        ],
    },
    Note {
        context: "There are {n} {food} and {n.2} {food.2}.",
        asks: &[
            ("How many {food} are there?", "{n}"),
            ("How many {food.2} are there?", "{n.2}"),
            ("Are there {food}?", "yes"),
            ("Are there {food.3}?", "no"),
        ],
    },
    Note {
        context: "{person} is a {job} and {person.2} is a {job.2}.",
        asks: &[
            ("Who is the {job}?", "{person}"),
            ("Who is the {job.2}?", "{person.2}"),
            ("What is {person}?", "{job}"),
            ("Is {person.2} a {job}?", "no"),
        ],
    },
    Note {
        context: "On {date} {name} went from {town} to {town.2}.",
        asks: &[
            ("When did {name} travel?", "{date}"),
            ("Where did {name} start?", "{town}"),
            ("Where did {name} go?", "{town.2}"),
            ("Who travelled?", "{name}"),
            ("What did it cost?", "not stated"),
        ],
    },
    Note {
        context: "A {thing} costs {price} and a {thing.2} costs {price.2}.",
        asks: &[
            ("What does a {thing} cost?", "{price}"),
            ("What does a {thing.2} cost?", "{price.2}"),
            ("What costs {price}?", "{thing}"),
            ("Which one costs {price.2}?", "{thing.2}"),
        ],
    },
    Note {
        context: "{name} likes {food} but not {food.2}.",
        asks: &[
            ("What does {name} like?", "{food}"),
            ("Does {name} like {food.2}?", "no"),
            ("Does {name} like {food}?", "yes"),
            ("Who likes {food}?", "{name}"),
        ],
    },
    Note {
        context: "{coined} is next to {coined.2}. {coined.3} is far away.",
        asks: &[
            ("What is far away?", "{coined.3}"),
            ("What is next to {coined.2}?", "{coined}"),
            ("Is {coined.3} far away?", "yes"),
            ("Is {coined} far away?", "no"),
        ],
    },
    Note {
        context: "{name} gave the {thing} to {name.2}, and {name.2} gave it to {name.3}.",
        asks: &[
            ("Who has the {thing} now?", "{name.3}"),
            ("Who had the {thing} first?", "{name}"),
            ("What did {name} give away?", "{thing}"),
            ("Does {name} have the {thing} now?", "no"),
        ],
    },
    Note {
        context: "The {coined} train leaves at {time}, and the {coined.2} train at {time.2} on {day}.",
        asks: &[
            ("When does the {coined} train leave?", "{time}"),
            ("When does the {coined.2} train leave?", "{time.2}"),
            ("Which train leaves at {time.2}?", "{coined.2}"),
            ("On which day is it?", "{day}"),
        ],
    },
    Note {
        context: "{coined} has number {code} and {coined.2} has number {code.2}. Only {coined.2} is open.",
        asks: &[
            ("Which number does {coined} have?", "{code}"),
            ("Which one has number {code.2}?", "{coined.2}"),
            ("Is {coined} open?", "no"),
            ("Is {coined.2} open?", "yes"),
            ("Which one is open?", "{coined.2}"),
        ],
    },
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
