//! What the conversations of the base model practise: fields to copy, topics to choose from, notes to read.

use crate::domain::Note;

/// Clauses that state one field; `{it}` is its value.
pub(crate) const FIELDS: &[(&str, &str, &str)] = &[
    (
        "animal",
        "animal",
        "there was a {it}; we saw a {it}; a {it} came by; the animal was a {it}; \
         it was no {animal.7} but a {it}",
    ),
    (
        "food",
        "food",
        "we ate {it}; lunch was {it}; somebody cooked {it}; I like {it}; \
         they wanted {it} and not {food.7}",
    ),
    (
        "drink",
        "drink",
        "they drank {it}; I had {it}; there was {it} in the cup; she asked for {it}",
    ),
    (
        "place",
        "place",
        "it was at the {it}; we met near the {it}; the {it} is close; they went to the {it}",
    ),
    (
        "thing",
        "thing",
        "I lost a {it}; a {it} was on the table; he carried a {it}; my {it} is old; I need a {it}",
    ),
    (
        "colour",
        "tone",
        "the colour is {it}; everything was {it}; it looked {it}; I painted it {it}",
    ),
    (
        "name",
        "name",
        "my name is {it}; {it} was there; I met {it}; it belongs to {it}; ask {it} about it",
    ),
    (
        "person",
        "person",
        "{it} wrote it; the owner is {it}; please call {it}; it was {it} who said so; I am {it}",
    ),
    (
        "job",
        "job",
        "I am a {it}; she works as a {it}; we need a {it}; the {it} was late",
    ),
    (
        "town",
        "town",
        "I live in {it}; the train goes to {it}; it happened in {it}; {it} is a town",
    ),
    (
        "day",
        "day",
        "it was on {it}; come on {it}; {it} is fine; we start on {it}",
    ),
    (
        "date",
        "date",
        "the date is {it}; it was on {it}; we meet on {it}; on {it} it ends; it is due by {it}",
    ),
    (
        "time",
        "time",
        "it starts at {it}; come at {it}; the clock says {it}; at {it} we go",
    ),
    (
        "number",
        "n",
        "there are {it} of them; the number is {it}; we have {it}; I counted {it}; {it} are left",
    ),
    (
        "price",
        "price",
        "it costs {it}; the price is {it}; I paid {it}; they want {it} for it; {it} is too much",
    ),
    (
        "code",
        "code",
        "the code is {it}; use {it}; it says {it}; under {it} you find it; my code was {it}",
    ),
    (
        "id",
        "code.5",
        "the id is {it}; it has the id {it}; {it} is its id; look up id {it}",
    ),
    (
        "brand",
        "coined",
        "the brand is {it}; it is made by {it}; {it} makes it; I bought it from {it}",
    ),
    (
        "title",
        "coined.5",
        "the title is {it}; they call it {it}; it is known as {it}; the word {it} was on it",
    ),
    (
        "sport",
        "sport",
        "we play {it}; {it} is fun; I was tired after {it}; he teaches {it}",
    ),
    (
        "weather",
        "weather",
        "there was {it}; we had {it}; after {it} it was quiet; nobody likes {it}",
    ),
    (
        "feeling",
        "feeling",
        "I was {it}; everybody felt {it}; she looked {it}; that makes me {it}",
    ),
];

/// Topics and what is said about them; a text asks for one out of a list of topics.
pub(crate) const TOPICS: &[(&str, &str)] = &[
    (
        "animals",
        "The {animal} sleeps near the {animal.2}.; Does a {animal} have fur?; \
         We feed the {animal} at the farm.; A {size} {animal} ran away.",
    ),
    (
        "food",
        "I cook {food} with {food.2}.; I like the taste of {food}.; Is there more {food}?; \
         We eat {food} for dinner.",
    ),
    (
        "drinks",
        "A cup of {drink}, please.; I drink {drink} every morning.; The {drink} is too hot.; \
         Do you want {drink}?",
    ),
    (
        "weather",
        "There will be {weather} {when}.; The {weather} was strong.; \
         In {season} there is {weather}.; It is cold and wet.",
    ),
    (
        "sport",
        "We won at {sport}.; {name} trains {sport} every day.; Who plays {sport}?; \
         The {sport} team is good.",
    ),
    (
        "music",
        "{name} plays the {instrument}.; The {instrument} is out of tune.; \
         I learn a song on the {instrument}.; Can you hear the {instrument}?",
    ),
    (
        "school",
        "We have {subject} at school.; The teacher explains {subject}.; \
         My {subject} homework is hard.; I got a good mark in {subject}.",
    ),
    (
        "work",
        "A {job} starts work at {time}.; I want to be a {job}.; The {job} earns {price} a day.; \
         {name} works as a {job}.",
    ),
    (
        "travel",
        "The train to {town} is late.; We drive to {town} {when}.; How far is it to {town}?; \
         A ticket to {town} is {price}.",
    ),
    (
        "feelings",
        "I am so {feeling}.; Why is {name} {feeling}?; {name} felt {feeling} and cried.; \
         Being {feeling} is normal.",
    ),
    (
        "time",
        "It is {time} now.; The clock shows {time}.; We meet at {time} on {day}.; Today is {day}.",
    ),
    (
        "family",
        "My {relative} visits us.; {name} has a {relative} in {town}.; \
         The {relative} and the {relative.2} came.; I love my {relative}.",
    ),
    (
        "colours",
        "The {thing} is {tone}.; I prefer {tone} to {tone.2}.; Paint it {tone}, please.; \
         A {tone} and a {tone.2} {thing}.",
    ),
    (
        "numbers",
        "{n} is more than {few}.; I count to {n}.; What is {n} plus {few}?; The number is {n}.",
    ),
];

/// Ways to say yes or like it, no or dislike it, ask or order something.
pub(crate) const TONES: &[(&str, &str)] = &[
    (
        "good",
        "I love this {thing}.; I liked the {food} a lot.; {name} did very well.; \
         What a nice {place}!; Thank you, all is fine now.",
    ),
    (
        "bad",
        "I hate this {thing}.; I could not eat the {food}.; {name} did it all wrong.; \
         What a terrible {place}!; Nothing works, I am angry.",
    ),
    (
        "question",
        "Where is the {thing}?; Who has seen the {animal}?; When does {name} come?; \
         How much is the {thing}?",
    ),
    (
        "order",
        "Bring me the {thing}.; Close the door of the {place}.; Call {name} now.; \
         Put the {thing} on the table.",
    ),
];

/// Notes with questions, as in daily life.
pub(crate) const NOTES: &[Note] = &[
    Note {
        context: "{name} has a {thing} and {name.2} has a {thing.2}.",
        asks: "What does {name} have? {thing}; What does {name.2} have? {thing.2}; \
               Who has a {thing}? {name}; Who has a {thing.2}? {name.2}; \
               Does {name} have a {thing.2}? no; Does {name.2} have a {thing.2}? yes",
    },
    Note {
        context: "{name} is in the {place}. {name.2} is in the {place.2}.",
        asks: "Where is {name}? {place}; Where is {name.2}? {place.2}; \
               Who is in the {place.2}? {name.2}; Is {name} in the {place}? yes; \
               Is {name} in the {place.2}? no",
    },
    Note {
        context: "The {animal} is {tone}. The {animal.2} is {tone.2}.",
        asks: "Which animal is {tone.2}? {animal.2}; What colour is the {animal}? {tone}; \
               Is the {animal.2} {tone}? no; Is the {animal} {tone}? yes; \
               How old is the {animal}? not stated",
    },
    Note {
        context: "{name} came at {time}. {name.2} came at {time.2}.",
        asks: "When did {name} come? {time}; When did {name.2} come? {time.2}; \
               Who came at {time}? {name}; Why did {name} come? not stated",
    },
    Note {
        context: "The box has the code {code}. The bag has the code {code.2}.",
        asks: "What is the code of the bag? {code.2}; What is the code of the box? {code}; \
               What has the code {code}? box; What has the code {code.2}? bag",
    },
    Note {
        context: "There are {n} {food} and {n.2} {food.2}.",
        asks: "How many {food} are there? {n}; How many {food.2} are there? {n.2}; \
               Are there {food}? yes; Are there {food.3}? no",
    },
    Note {
        context: "{person} is a {job} and {person.2} is a {job.2}.",
        asks: "Who is the {job}? {person}; Who is the {job.2}? {person.2}; \
               What is {person}? {job}; Is {person.2} a {job}? no",
    },
    Note {
        context: "On {date} {name} went from {town} to {town.2}.",
        asks: "When did {name} travel? {date}; Where did {name} start? {town}; \
               Where did {name} go? {town.2}; Who travelled? {name}; What did it cost? not stated",
    },
    Note {
        context: "A {thing} costs {price} and a {thing.2} costs {price.2}.",
        asks: "What does a {thing} cost? {price}; What does a {thing.2} cost? {price.2}; \
               What costs {price}? {thing}; Which one costs {price.2}? {thing.2}",
    },
    Note {
        context: "{name} likes {food} but not {food.2}.",
        asks: "What does {name} like? {food}; Does {name} like {food.2}? no; \
               Does {name} like {food}? yes; Who likes {food}? {name}",
    },
    Note {
        context: "{coined} is next to {coined.2}. {coined.3} is far away.",
        asks: "What is far away? {coined.3}; What is next to {coined.2}? {coined}; \
               Is {coined.3} far away? yes; Is {coined} far away? no",
    },
    Note {
        context: "{name} gave the {thing} to {name.2}, and {name.2} gave it to {name.3}.",
        asks: "Who has the {thing} now? {name.3}; Who had the {thing} first? {name}; \
               What did {name} give away? {thing}; Does {name} have the {thing} now? no",
    },
    Note {
        context: "The {coined} train leaves at {time}, and the {coined.2} train at {time.2} on {day}.",
        asks: "When does the {coined} train leave? {time}; \
               When does the {coined.2} train leave? {time.2}; \
               Which train leaves at {time.2}? {coined.2}; On which day is it? {day}",
    },
    Note {
        context: "{coined} has number {code} and {coined.2} has number {code.2}. Only {coined.2} is open.",
        asks: "Which number does {coined} have? {code}; \
               Which one has number {code.2}? {coined.2}; Is {coined} open? no; \
               Is {coined.2} open? yes; Which one is open? {coined.2}",
    },
];
