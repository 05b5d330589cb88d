//! Healthcare: the front desk of a group of clinics.

use crate::domain::{Domain, Extraction, Intent, Note};
use crate::words::Kind::{Code, Money, Number, Rule, Words};
use crate::words::Slots;

pub(crate) const HEALTHCARE: Domain = Domain {
    name: "healthcare",
    about: "Messages to the front desk of a group of clinics: appointments, prescriptions, results, bills. The drugs do \
        not exist, and nothing here is medical advice.",
    slots: SLOTS,
    intents: INTENTS,
    extractions: EXTRACTIONS,
    notes: NOTES,
    notes_held_out: NOTES_HELD_OUT,
    facts: FACTS,
    glossary: GLOSSARY,
};

const SLOTS: Slots = &[
    (
        "drug",
        Words(
            "Zelvarin, Brontavex, Quilimor, Talvexin, Morvelan, Oscavin, Lumetrix, Vexadorm, Nardelix, Tresomin, \
        Halvotin, Jorabex, Kelmadrin, Pindoral, Rusovane, Cadrelin, Estovar, Firazone / Sorvetal, Yandrelix, Wexolim, \
        Dravopan, Ilmacore, Gorvatin",
        ),
    ),
    ("dose", Code("#0 mg|##0 mg|# ml|## mg")),
    (
        "doctor",
        Words(
            "Dr. Farrow, Dr. Lindqvist, Dr. Marlowe, Dr. Norwick, Dr. Pellman, Dr. Quillan, Dr. Thornby, Dr. Westcott, \
        Dr. Abara, Dr. Bellini, Dr. Holmgren, Dr. Joshi / Dr. Sandoval, Dr. Tremayne, Dr. Okonjo, Dr. Wolfhart, Dr. Nakata",
        ),
    ),
    ("patient_id", Code("P-#####|MR####|######-@")),
    ("claim_id", Code("CL-#####|@#####|##-####-@")),
    (
        "symptom",
        Words(
            "headache, sore throat, back pain, dry cough, skin rash, fever, knee pain, runny nose, ear pain, stomach ache, \
        dizziness, stiff neck / chest cold, swollen ankle, itchy eyes, tooth ache",
        ),
    ),
    (
        "test",
        Words(
            "blood test, x-ray, allergy test, urine test, heart scan, vision test, blood count, lung test \
        / bone scan, hearing test, sugar test, liver scan",
        ),
    ),
    (
        "clinic",
        Words(
            "Hillside Clinic, Maple Street Clinic, North Gate Practice, River Health Centre, Stonebury Clinic, \
        Meadow Practice, West Park Clinic / Lakeside Practice, Old Mill Clinic, Harbour Health Centre",
        ),
    ),
    (
        "specialist",
        Words(
            "skin doctor, heart doctor, eye doctor, children's doctor, dentist, physiotherapist / bone doctor, ear doctor",
        ),
    ),
    (
        "plan",
        Words(
            "Carewell Basic, Carewell Plus, Solace Family, Mutual Green, Northstar Health / Harbor Gold, Unity Silver, Evercare Prime",
        ),
    ),
    ("amount", Money(20, 900)),
    ("room", Number(2, 90)),
    (
        "times",
        Words(
            "once a day, twice a day, every morning, every evening, three times a day / every six hours, before each meal, at night",
        ),
    ),
    (
        "visit",
        Rule("[appointment|visit|check-up|appointment with {doctor}]"),
    ),
    (
        "pills",
        Rule("[prescription|medicine|pills|tablets|{drug}]"),
    ),
    (
        "who",
        Rule("[I|my [son|daughter|mother|father|husband|wife]]"),
    ),
    (
        "aside",
        Rule(
            "[My patient number is {patient_id}.|I am a patient of {doctor}.|I was at the {clinic} {ago}.|I have had a {symptom} since {day}.|\
        I take {drug}.|I called {ago} but nobody answered.|I am insured with {plan}.|It is for my [son|daughter|mother|father].|\
        {doctor} told me to write to you.|I live in {town}.|I am free {soon}.]",
        ),
    ),
];

const INTENTS: &[Intent] = &[
    Intent {
        label: "book_appointment",
        train: &[
            "{i_want} [book|make|schedule|get] an appointment with {doctor} [{soon}|for {date}|].",
            "can I [see|come to see] {doctor} {soon}? I have a {symptom}.",
            "does {doctor} have a free [slot|time] [{soon}|at {time}|in the morning]?",
            "I [need|would like] a [check-up|visit|first appointment] [at the {clinic}|with {doctor}] {soon}.",
            "is there an [open|early|free] appointment for a {symptom} [on {day}|{soon}]?",
            "when is the next free [appointment|slot] [at the {clinic}|with {doctor}]?",
            "[book|schedule] me [a visit|a time|an appointment] with {doctor} on {date}, please.",
        ],
        held_out: &[
            "I have a {symptom} and {i_want} see {doctor} {soon}.",
            "please give me an appointment on {date} at {time}.",
            "which slot is free {soon} for a check-up with {doctor}?",
        ],
    },
    Intent {
        label: "cancel_appointment",
        train: &[
            "{i_want} cancel my {visit} [on {date}|{soon}|].",
            "{can_you} cancel [my appointment|the visit] [on {date}|at {time}|{soon}]?",
            "I [cannot|can't] come to my {visit} {soon}, please [cancel it|take me off the list].",
            "I do not need the {visit} [on {date}|] any more.",
            "{how_do_i} cancel [a visit|an appointment] at the {clinic}?",
            "I feel better, so [cancel my appointment|I will not come to the appointment].",
            "please [remove|delete] my appointment [on {date}|with {doctor}], I do not want a new one.",
        ],
        held_out: &[
            "I will not come {soon}, please cancel the visit with {doctor}.",
            "take me off the list for {date}, I do not need the appointment any more.",
            "I feel better now, please delete my visit on {date}.",
        ],
    },
    Intent {
        label: "reschedule_appointment",
        train: &[
            "can I move my {visit} [from {date}|] to {date.2}?",
            "{i_want} [change|move|reschedule] the [time|date|day] of my {visit}.",
            "I [cannot|can't] come on {date}, is there [another|a later|a different] [time|day] for my appointment?",
            "is it possible to have my {visit} [later|earlier] than {time}?",
            "{can_you} [move|shift|change] my appointment to {day}?",
            "my appointment is on {date}, but {day} [would be better|works better for me].",
            "please [reschedule|move] [me|my {visit}] to [a later day|another week|{time}].",
        ],
        held_out: &[
            "I have an appointment at {time}, can it be later on the same day?",
            "{date} does not work for me, please move the visit to another day.",
            "instead of {date} I would like to come on {day} for my appointment.",
        ],
    },
    Intent {
        label: "refill_prescription",
        train: &[
            "{i_want} [refill|renew] my [prescription|prescription for {drug}|{drug}].",
            "I [have run out|am out|am running out] of {drug}, [can I get more|please send a new prescription].",
            "my {pills} will be [gone|empty|finished] {soon}, {can_you} [refill|renew] [it|them]?",
            "{can_you} send [a refill of|more] {drug} to the pharmacy [in {town}|]?",
            "I need [more|another box of|another pack of] {drug} {dose}.",
            "{how_do_i} get a [refill|new prescription] [for {drug}|without a visit]?",
            "I have only {few} tablets of {drug} left, please [renew it|order more].",
        ],
        held_out: &[
            "the box of {drug} is almost empty, I need a new prescription.",
            "please renew {drug} {dose} and send it to the pharmacy.",
            "I have run out of tablets, {can_you} order more {drug}?",
        ],
    },
    Intent {
        label: "side_effects",
        train: &[
            "since I take {drug} I have a {symptom}, is that normal?",
            "[can|does] {drug} cause [a|] {symptom}?",
            "I [got|have] a {symptom} after [taking|the first dose of] {drug}.",
            "what are the side effects of {drug} [{dose}|]?",
            "{who} [took|started] {drug} {ago} and now [there is a {symptom}|it feels worse].",
            "is it [safe|okay] to take {drug} [with {drug.2}|with a {symptom}|when pregnant]?",
            "should I stop [taking|with] {drug}? I feel [sick|dizzy|tired] [since I take it|after each dose].",
        ],
        held_out: &[
            "I feel sick each time I take {drug}, is it safe to take it?",
            "could the {symptom} come from {drug}? it started after the first dose.",
            "my mother started {drug} and now feels dizzy, should she stop?",
        ],
    },
    Intent {
        label: "test_results",
        train: &[
            "are the results of my {test} [here|back|ready] [yet|]?",
            "I had a {test} {ago}, [when do I get the result|what is the result].",
            "{i_want} [see|know|get] the results of [my|the] {test}.",
            "has the lab [sent|finished] my {test} [yet|]?",
            "where can I [see|find] my [lab results|test results|results] [online|]?",
            "{can_you} [explain|send me|read me] the result of the {test}?",
            "{doctor} [wanted|promised] to call me about my {test}, [is there news|what did it show].",
        ],
        held_out: &[
            "what did my {test} show? I was there {ago}.",
            "I am waiting for the lab, is the result of the {test} back?",
            "please send me the lab results of {date} online.",
        ],
    },
    Intent {
        label: "billing_question",
        train: &[
            "why [is my bill|do I have to pay|was I charged] {amount} for [the visit|a {test}|one appointment]?",
            "I got a bill [of|over|for] {amount} [for a {test}|] that I [already paid|do not understand].",
            "{i_want} pay my bill [of {amount}|] [online|in parts|by card].",
            "there is [a mistake|an error] on my [bill|invoice] [from {date}|], I [was charged|paid] twice.",
            "{how_do_i} pay the invoice [of {amount}|from {date}]?",
            "{can_you} send me the bill for [my visit|the {test}] again?",
            "what is the {amount} on my [invoice|bill] for?",
        ],
        held_out: &[
            "I was charged {amount} twice for the same {test}.",
            "your invoice from {date} says {amount}, but I paid it already.",
            "what is this bill of {amount} for? I do not understand it.",
        ],
    },
    Intent {
        label: "insurance_coverage",
        train: &[
            "does [my insurance|{plan}] [pay for|cover] [the|a] {test}?",
            "is [a {test}|{drug}|a visit to a {specialist}] covered by [{plan}|my insurance|my plan]?",
            "do you [accept|take] {plan} [at the {clinic}|]?",
            "I [changed|have changed] my insurance to {plan}, [is the {clinic} still covered|what do you need].",
            "how much of the {test} does [my plan|{plan}|my insurance] pay?",
            "will I have to pay [for {drug}|for the {test}] myself [with {plan}|or does the insurance pay]?",
            "my insurance [refused|did not approve] the {test}, [what can I do|why is it not covered].",
        ],
        held_out: &[
            "I am with {plan}, does it cover a {specialist}?",
            "is my new insurance accepted at the {clinic}?",
            "how much does {plan} pay when I need a {test}?",
        ],
    },
    Intent {
        label: "find_doctor",
        train: &[
            "{i_want} find a {specialist} [in {town}|near me|near {town}].",
            "which doctor [at the {clinic}|in {town}] [treats|can help with] a {symptom}?",
            "do you have a {specialist} [in {town}|at the {clinic}|who speaks other languages]?",
            "I [just|] moved to {town} and [need|am looking for] a new [family doctor|{specialist}].",
            "who is the best [doctor|person] to [see|ask] for a {symptom}?",
            "is {doctor} [taking|accepting] new patients?",
            "{can_you} [recommend|name] a [good|] {specialist} [for a {symptom}|for children|]?",
        ],
        held_out: &[
            "I am looking for a {specialist} in {town}.",
            "my daughter has a {symptom}, which doctor treats that?",
            "who can help me with a {symptom} in {town}? I need a new doctor.",
        ],
    },
    Intent {
        label: "request_records",
        train: &[
            "{i_want} [get|have] a copy of my [medical records|file|records].",
            "{can_you} send my [records|file|medical file] to {doctor}?",
            "{how_do_i} [get|request|order] my [medical records|vaccination record|patient file]?",
            "my new doctor [needs|asks for] [my file|my records|the papers] from the {clinic}.",
            "please [forward|send|mail] [the letter|my papers|my records] from {date} to [{clinic}|my new clinic].",
            "I need [my|the] [vaccination record|sick note|doctor's letter|records] [for work|for school|for my insurance].",
            "is there a form to [get|release] my [records|file]?",
        ],
        held_out: &[
            "I am changing doctors and need a copy of my file.",
            "please mail the vaccination record of my son to the {clinic}.",
            "which form do I need to get the papers from the {clinic}?",
        ],
    },
];

const EXTRACTIONS: &[Extraction] = &[
    Extraction {
        keys: &["drug", "dose"],
        train: &[
            "I take {drug}, {dose} {times}.",
            "The doctor wrote {dose} of {drug} [for me|for {person}|].",
            "{person} needs a refill of {drug} {dose}.",
            "<I do not take {drug.2} any more.|Now it is {drug} with {dose}.>",
            "The dose of {drug} was changed to {dose} {ago}.",
            "Give {dose} of {drug} {times} [against the {symptom}|].",
            "For the {symptom} I got {drug}. The dose is {dose}.",
        ],
        held_out: &[
            "With {dose} {times}, {drug} helps against the {symptom}.",
            "Since {day} it is {drug}, and {dose} of it.",
            "{person} was given {drug} at a dose of {dose}.",
        ],
    },
    Extraction {
        keys: &["person", "doctor", "date"],
        train: &[
            "{person} has an appointment with {doctor} on {date}.",
            "Book {person} with {doctor} for {date}.",
            "<The patient is {person}.|The doctor is {doctor}.|The day is {date}.>",
            "On {date} {doctor} sees {person}.",
            "{doctor} is away, so {person} cannot come on {date}.",
            "My name is {person} and I want to see {doctor} on {date}.",
        ],
        held_out: &[
            "{date} is fine for {doctor}, please tell {person}.",
            "The visit of {person} on {date} is with {doctor}.",
            "{doctor} wrote on {date} that {person} is well.",
        ],
    },
    Extraction {
        keys: &["patient_id", "test", "date"],
        train: &[
            "Patient {patient_id} had a {test} on {date}.",
            "The {test} of {date} for {patient_id} is ready.",
            "<My number is {patient_id}.|It is about the {test}.|I was there on {date}.>",
            "Please plan a {test} for {patient_id} on {date}.",
            "On {date} the lab got the {test} of patient {patient_id}.",
            "{patient_id}: {test}, {date}.",
        ],
        held_out: &[
            "For {date} there is a {test} in the file of {patient_id}.",
            "Number {patient_id} comes for the {test} on {date}.",
        ],
    },
    Extraction {
        keys: &["claim_id", "plan", "amount"],
        train: &[
            "Claim {claim_id} with {plan} is {amount}.",
            "{plan} paid {amount} for claim {claim_id}.",
            "<The plan is {plan}.|The claim is {claim_id}.|The bill was {amount}.>",
            "My bill of {amount} went to {plan} as {claim_id}.",
            "I sent {claim_id} to {plan}, but the {amount} was not paid.",
            "Of claim {claim_id}, {plan} covers only {amount}.",
        ],
        held_out: &[
            "{amount} is still open in {claim_id}, says {plan}.",
            "The answer of {plan} to {claim_id}: they pay {amount}.",
        ],
    },
];

const NOTES: &[Note] = &[
    Note {
        context: "{person} sees {doctor} at {time}. {person.2} sees {doctor.2} at {time.2}.",
        asks: "When does {person} see the doctor? {time}; \
               Which doctor does {person.2} see? {doctor.2}; Who sees {doctor}? {person}; \
               Who comes at {time.2}? {person.2}; Does {person} see {doctor.2}? no",
    },
    Note {
        context: "Take {dose} of {drug} {times}. Do not take it with {drug.2}.",
        asks: "What is the dose of {drug}? {dose}; How often do I take {drug}? {times}; \
               May I take {drug} with {drug.2}? no; What does {drug} cost? not stated",
    },
    Note {
        context: "The {clinic} opens at {time}. {doctor} works there in room {room}.",
        asks: "When does the clinic open? {time}; In which room is {doctor}? {room}; \
               Who works at the {clinic}? {doctor}; Does {doctor} work at the {clinic}? yes",
    },
    Note {
        context: "The {test} was on {date}. The result comes on {date.2}.",
        asks: "When was the {test}? {date}; When does the result come? {date.2}; \
               Which test was it? {test}; What is the result? not stated",
    },
    Note {
        context: "{plan} pays for the {test}, but not for the {test.2}.",
        asks: "Is the {test} covered? yes; Is the {test.2} covered? no; \
               What does {plan} pay for? {test}; What is not covered? {test.2}",
    },
    Note {
        context: "The bill for {person} is {amount}. The insurance paid {amount.2} of it on {date}.",
        asks: "How much is the bill? {amount}; How much did the insurance pay? {amount.2}; \
               When did the insurance pay? {date}; Whose bill is it? {person}",
    },
    Note {
        context: "{person} has a {symptom} and {person.2} has a {symptom.2}. Only {person} takes {drug}.",
        asks: "Who has a {symptom.2}? {person.2}; What does {person} have? {symptom}; \
               Does {person} take {drug}? yes; Does {person.2} take {drug}? no",
    },
    Note {
        context: "{doctor} is away until {date}. {doctor.2} helps the patients in room {room}.",
        asks: "Who is away? {doctor}; Until when is {doctor} away? {date}; \
               Where are patients helped now? room {room}; Is {doctor.2} away? no",
    },
    Note {
        context: "The pharmacy in {town} has {few} boxes of {drug} and no {drug.2}.",
        asks: "How many boxes of {drug} are there? {few}; Where is the pharmacy? {town}; \
               Does it have {drug.2}? no; Does it have {drug}? yes",
    },
    Note {
        context: "The visit of {person} was moved from {date} to {date.2}.",
        asks: "What is the new date? {date.2}; What was the old date? {date}; \
               Whose visit was moved? {person}; Why was it moved? not stated",
    },
    Note {
        context: "The file {patient_id} belongs to {person}. The file {patient_id.2} belongs to {person.2}.",
        asks: "Whose file is {patient_id}? {person}; \
               Whose file is {patient_id.2}? {person.2}; \
               Which file belongs to {person}? {patient_id}; \
               Which file belongs to {person.2}? {patient_id.2}",
    },
    Note {
        context: "The waiting list has {few} people. {person} is next, then {person.2}.",
        asks: "How many people are waiting? {few}; Who is next? {person}; \
               Who comes after {person}? {person.2}; Is {person.2} next? no",
    },
];

const NOTES_HELD_OUT: &[Note] = &[
    Note {
        context: "On {date} {doctor} gave {person} {dose} of {drug}.",
        asks: "What is the dose? {dose}; Who gave the {drug}? {doctor}; \
               Who got the {drug}? {person}; When was it given? {date}",
    },
    Note {
        context: "{doctor} is in room {room} and {doctor.2} is in room {room.2}. {doctor.2} comes at {time}.",
        asks: "In which room is {doctor.2}? {room.2}; In which room is {doctor}? {room}; \
               When does {doctor.2} come? {time}; Is {doctor} in room {room}? yes",
    },
    Note {
        context: "{person} pays {amount} for the {test}. {plan} does not pay for it.",
        asks: "How much is the {test}? {amount}; Who pays for it? {person}; \
               Is it covered by {plan}? no",
    },
    Note {
        context: "{person} takes {drug} {times}. {person.2} takes {drug.2} since {date}.",
        asks: "What does {person.2} take? {drug.2}; \
               How often does {person} take {drug}? {times}; Does {person.2} take {drug}? no; \
               Since when does {person.2} take it? {date}",
    },
    Note {
        context: "The {test} at the {clinic} is on {date}. It was moved from {date.2}.",
        asks: "When is the {test}? {date}; What was the old date? {date.2}; \
               Where is the {test}? {clinic}; What does it cost? not stated",
    },
];

const FACTS: &[&str] = &[
    "{person} has [an appointment|a visit] with {doctor} on {date}.",
    "The nurse at the {clinic} [calls|helps] the patients [in the morning|at {time}].",
    "{doctor} wrote a prescription for {drug}, {dose} {times}.",
    "The result of the {test} [came|was ready] on {date}.",
    "A patient with a {symptom} [waits|sits] in room {room}.",
    "The insurance {plan} [pays for|covers] the {test}, so the bill is only {amount}.",
    "The pharmacy [has no more|refills] {drug}, and {person} comes back {soon}.",
    "The file {patient_id} [was sent|goes] to the new doctor in {town}.",
    "The side effects of {drug} are [a {symptom}|mild|not known].",
    "{person} cancelled the appointment and booked a new one for {date}.",
    "The lab [checks|tests] the blood and sends a letter to the clinic.",
    "A {specialist} in {town} is taking new patients.",
    "Claim {claim_id} was approved, and {amount} was paid.",
    "The patient feels better and does not need the medicine any more.",
];

const GLOSSARY: &[(&str, &str)] = &[
    ("appointment", "a fixed time to see a doctor"),
    (
        "prescription",
        "a paper from a doctor that lets you get a medicine",
    ),
    ("refill", "more of a medicine that you already take"),
    ("dose", "how much of a medicine is taken at one time"),
    ("symptom", "a sign that shows that a person is ill"),
    (
        "side effect",
        "something bad that a medicine does besides helping",
    ),
    ("clinic", "a house where doctors see patients"),
    ("pharmacy", "a shop that sells medicine"),
    ("insurance", "a plan that pays when a person is ill"),
    ("claim", "a request to the insurance to pay a bill"),
    ("record", "a file with what is known about a patient"),
    (
        "specialist",
        "a doctor who knows one part of the body very well",
    ),
];
