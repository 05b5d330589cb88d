//! Telecom: the support line of a phone and internet provider.

use crate::domain::{Domain, Extraction, Intent, Note};
use crate::words::Kind::{Code, Money, Number, Rule, Words};
use crate::words::Slots;

pub(crate) const TELECOM: Domain = Domain {
    name: "telecom",
    about: "Messages to the support line of a phone and internet provider: outages, speed, bills, plans, SIM cards.",
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
        "plan",
        Words(
            "Swift 20, Swift 50, Family Max, Student Lite, Home Fibre 100, Home Fibre 500, Talk Free, Data Plus, City Mobile, \
        Traveller, Senior Call, Office Link / Swift 90, Giga Home, Night Data, Duo Pack, Island Mobile",
        ),
    ),
    (
        "phone",
        Words(
            "Nuvia 5, Nuvia 7, Orbix Mini, Orbix Pro, Talo X2, Kestra One, Kestra Fold, Pixo 3, Lumo S, Verano 8 \
        / Zenta 4, Arvo Plus, Mirel 9, Quanto Air",
        ),
    ),
    (
        "router",
        Words(
            "HomeBox 2, HomeBox 4, SkyRouter, AirHub 6, NetCube, FibreGate / HomeBox 9, WaveHub, LinkTower",
        ),
    ),
    ("account", Code("C-######|#######|TK-####-@")),
    ("ticket", Code("T#####|INC-####|@@#####")),
    ("phone_number", Code("555-####|0555 ######|555 ## ## ##")),
    ("amount", Money(5, 180)),
    ("data_gb", Number(2, 120)),
    ("speed", Number(3, 950)),
    (
        "country",
        Words(
            "Norland, Estavia, Morovia, Tirland, Calvonia, West Arden / Zanthia, Belmora, Ostria",
        ),
    ),
    (
        "light",
        Words("red, orange, green, blue / white, yellow, pink"),
    ),
    (
        "street",
        Words(
            "Mill Lane, Station Road, Hill Street, Park Avenue, Bridge Street, Church Walk, River Road, Elm Close \
        / Orchard Way, Harbour Street, Canal Row, Foundry Lane",
        ),
    ),
    ("internet", Rule("[internet|connection|wifi|line|network]")),
    ("mobile", Rule("[phone|mobile|{phone}]")),
    (
        "where",
        Rule("[in {town}|on {street}|at home|here|in my street]"),
    ),
    (
        "aside",
        Rule(
            "[My customer number is {account}.|I have the {plan} plan.|I use a {phone}.|My router is a {router}.|I live in {town}.|\
        My number is {phone_number}.|I already restarted the router.|I pay {amount} a month.|I called {ago} and waited {few} minutes.|\
        I have been a customer for years.|I wrote to you {ago}, the ticket is {ticket}.]",
        ),
    ),
];

const INTENTS: &[Intent] = &[
    Intent {
        label: "internet_outage",
        train: &[
            "[my|the|our] {internet} [is down|does not work|is dead|stopped working] [since {day}|since {time}|{where}|].",
            "there is no {internet} {where} [since {time}|{soon}|].",
            "is there an outage {where} [right now|]? my {internet} [is down|does not work].",
            "the [light|lamp] on my {router} is {light} and [I have no {internet}|nothing works].",
            "[nobody|no one] {where} has [internet|a connection] [since {day}|since {time}].",
            "I have no [connection|internet] at all, the {router} [blinks {light}|shows {light}].",
            "when will the [outage|fault] {where} be [fixed|over]?",
        ],
        held_out: &[
            "since {time} nothing works, the {router} blinks {light}.",
            "is the {internet} down {where}? I have no connection.",
            "our {internet} stopped {ago}, is it an outage?",
        ],
    },
    Intent {
        label: "slow_internet",
        train: &[
            "my {internet} is [very|so|too] slow [{where}|in the evening|since {day}|].",
            "I pay for {speed} but [get|see|measure] only {few} megabits.",
            "[videos|calls|films] [stop|buffer|break up] all the time, the {internet} is [slow|weak].",
            "why is the {internet} so slow [in the evening|with the {router}|{where}]?",
            "the speed [test|] shows only {few} megabits [instead of {speed}|].",
            "[pages|downloads] take [forever|minutes] [to load|], {can_you} make it faster?",
            "the wifi is [weak|slow] [upstairs|in the kitchen|in my room].",
        ],
        held_out: &[
            "downloads are slow, the test shows {few} megabits.",
            "in the evening the {internet} is so weak that films stop all the time.",
            "{few} megabits is too slow, I pay for {speed}.",
        ],
    },
    Intent {
        label: "bill_question",
        train: &[
            "why is my bill {amount} [this month|]?",
            "my bill is [higher|{amount} more|too high] [this month|than before], [why|what happened].",
            "there is [a charge|something] of {amount} on my bill [that I do not know|for calls to {country}|].",
            "{can_you} [explain|check] [my bill|the {amount} on my bill]?",
            "I was charged [{amount}|twice] for [the {plan} plan|calls|data] [that I did not use|].",
            "what is the {amount} [for {country}|from {date}|] on my [bill|invoice]?",
            "I [do not understand|have a question about] my [bill|invoice] [from {date}|of {amount}|].",
        ],
        held_out: &[
            "normally I pay less, but this month the bill says {amount}.",
            "the invoice from {date} has a charge of {amount} for {country}.",
            "I do not know the charge of {amount} on my invoice, {can_you} explain it?",
        ],
    },
    Intent {
        label: "pay_bill",
        train: &[
            "{i_want} pay my bill [of {amount}|by card|online|].",
            "{how_do_i} pay [my bill|the invoice|{amount}] [by card|with the app|in a shop|]?",
            "can I pay [the bill|{amount}] [later|in parts|on {date}|next week]?",
            "please take the {amount} from my [new card|bank account].",
            "{i_want} [change|update] [my card|the bank account] for the monthly payment.",
            "I [paid|sent] {amount} {ago}, [did you get it|has it arrived].",
            "I need {few} more days to pay [my bill|{amount}].",
        ],
        held_out: &[
            "I cannot pay the {amount} now, is it possible to pay next week?",
            "did my payment of {amount} arrive? I paid {ago}.",
            "please take the bill of {amount} from my new card on {date}.",
        ],
    },
    Intent {
        label: "change_plan",
        train: &[
            "{i_want} [change|switch|move] to the {plan} plan.",
            "can I [upgrade|switch|change] [from {plan}|] to {plan.2}?",
            "which plan has [more data|{data_gb} GB|faster internet|cheaper calls]?",
            "I need more data than the {plan} plan [has|gives me], [which plan is better|can I upgrade].",
            "is there a cheaper plan [than {plan}|with {data_gb} GB|for students]?",
            "{can_you} [put me on|give me] the {plan} plan [{soon}|from {date}|]?",
            "what does the {plan} plan cost [a month|]? {i_want} switch.",
        ],
        held_out: &[
            "my {plan} plan is too small, give me one with {data_gb} GB.",
            "I would like a cheaper plan, can I move to {plan}?",
            "{plan} has more data, [please put me on it|how do I switch to it]?",
        ],
    },
    Intent {
        label: "cancel_contract",
        train: &[
            "{i_want} cancel my [contract|{plan} contract|{plan} plan] [on {date}|].",
            "{how_do_i} [cancel|end] my [contract|subscription|{plan} plan]?",
            "please [end|stop|cancel] my contract [on {date}|{account}|{soon}].",
            "I am moving to {country} and [want to end|do not need] my [contract|plan] [any more|].",
            "when does my contract [end|run out]? {i_want} leave.",
            "I [found|have] a [better|cheaper] provider and {i_want} [leave|cancel].",
            "is there a fee [if I cancel|for ending] [my contract|the {plan} plan] [early|before {date}]?",
        ],
        held_out: &[
            "I leave you {soon}, please end contract {account}.",
            "I do not need the {plan} plan any more, how do I get out of the contract?",
            "my contract runs out {soon} and I want to end it.",
        ],
    },
    Intent {
        label: "sim_activation",
        train: &[
            "{how_do_i} activate my [new|] SIM [card|] [in the {phone}|]?",
            "my new SIM [card|] [does not work|is not active|is not recognised] [in the {phone}|].",
            "I got the SIM [card|] {ago}, but it [is not active|says no service|cannot be activated].",
            "I need a [new|second|replacement] SIM [card|] [for {phone_number}|for my {phone}|].",
            "the {phone} [asks for a PIN|says no SIM|shows no SIM card].",
            "{can_you} [activate|unlock] [my SIM|the SIM card] [for {phone_number}|with the number {phone_number}]?",
            "my SIM [card|] is [locked|blocked|broken], I need [the code|a new one].",
        ],
        held_out: &[
            "the SIM that came {ago} is not recognised in my {phone}.",
            "please activate the card for {phone_number}, the phone says no SIM.",
            "what is the code for my SIM card? my {phone} says it is locked.",
        ],
    },
    Intent {
        label: "roaming",
        train: &[
            "I [am going|travel] to {country} {soon}, [does my plan work there|what does roaming cost].",
            "what do [calls|data] cost [in|to] {country} [with the {plan} plan|]?",
            "my {mobile} does not [connect|work] in {country}.",
            "{how_do_i} [turn on|use|switch off] roaming [in {country}|for my {phone}|]?",
            "can I use my {plan} plan [abroad|in {country}|on holiday]?",
            "is {data_gb} GB [of data|] in {country} [included|free] [in {plan}|]?",
            "I am in {country} and have no [network|signal|data].",
        ],
        held_out: &[
            "we are on holiday in {country}, can I use my data there?",
            "does roaming in {country} cost extra with {plan}?",
            "my {phone} finds no network in {country}, is roaming on?",
        ],
    },
    Intent {
        label: "technician_visit",
        train: &[
            "when does the technician come [to {street}|{soon}|]?",
            "{i_want} [book|change|move] [a|my|the] [visit|appointment] of [a|the] technician [to {date}|].",
            "the technician did not come {ago}.",
            "{can_you} send [someone|a technician] [to {street}|to install the {router}|to fix the line]?",
            "I am not at home [on {date}|{soon}], can the technician come [later|on {day}]?",
            "at what time [is|will] the technician [here|be here|come] on {date}?",
            "who will [install|connect] my {router} [on {date}|{soon}|]?",
        ],
        held_out: &[
            "nobody came {ago} to install the {router}, I waited at home.",
            "please send a technician to {street} on {date}.",
            "is the technician here at {time} or later? I am not at home.",
        ],
    },
    Intent {
        label: "keep_number",
        train: &[
            "can I keep my number [{phone_number}|] [when I switch|with the new plan|when I move]?",
            "{i_want} [move|bring|transfer] my [old|] number {phone_number} to you.",
            "{how_do_i} [keep|transfer|take] my [old number|number {phone_number}]?",
            "my old provider has not [released|given away] [my number|{phone_number}] [yet|].",
            "how long does it take to [move|transfer] [my number|{phone_number}]?",
            "I [got|have] a new number but {i_want} [keep|have] [my old one|{phone_number}].",
            "{can_you} [change|swap] my number to {phone_number}?",
        ],
        held_out: &[
            "I come from another provider and would like to keep {phone_number}.",
            "has my old number {phone_number} been moved to the new SIM yet?",
            "I want my old number on the new plan, {phone_number}.",
        ],
    },
];

const EXTRACTIONS: &[Extraction] = &[
    Extraction {
        keys: &["phone_number", "plan"],
        train: &[
            "The number {phone_number} is on the {plan} plan.",
            "Please switch {phone_number} to {plan}.",
            "<My number is {phone_number}.|I want the {plan} plan.>",
            "I have {plan} with the number {phone_number}.",
            "{person} leaves {plan.2} and takes {plan} for {phone_number}. The new plan is {plan}.",
            "For {phone_number} the {plan} plan is too small.",
        ],
        held_out: &[
            "{plan} is what I want, and my number is {phone_number}.",
            "Since {ago} {phone_number} uses {plan}.",
            "Put {plan} on {phone_number}, please.",
        ],
    },
    Extraction {
        keys: &["ticket", "person", "date"],
        train: &[
            "{person} opened ticket {ticket} on {date}.",
            "Ticket {ticket} of {date} is from {person}.",
            "<My name is {person}.|The ticket is {ticket}.|I wrote on {date}.>",
            "On {date} {person} got an answer to {ticket}.",
            "{ticket}: please call {person} on {date}.",
            "The technician for {ticket} will be with {person} on {date}.",
        ],
        held_out: &[
            "For {person} there is {ticket}, open since {date}.",
            "We closed {ticket} on {date} and told {person}.",
        ],
    },
    Extraction {
        keys: &["router", "light", "street"],
        train: &[
            "The {router} on {street} shows a {light} light.",
            "My {router} blinks {light}, I live on {street}.",
            "<I have a {router}.|The light is {light}.|It is on {street}.>",
            "On {street} the light of the {router} is {light}.",
            "A {light} light on the {router}, it is on {street}.",
            "There is no internet on {street}, the {router} is {light}.",
        ],
        held_out: &[
            "Since {time} it blinks {light}: a {router} on {street}.",
            "A customer on {street} has the {router} with the {light} lamp.",
        ],
    },
    Extraction {
        keys: &["plan", "amount", "data_gb"],
        train: &[
            "The {plan} plan costs {amount} and has {data_gb} GB.",
            "For {amount} you get {data_gb} GB with {plan}.",
            "<The plan is {plan}.|I pay {amount}.|I have {data_gb} GB.>",
            "{plan}: {data_gb} GB, {amount} a month.",
            "I paid {amount} for {plan}, but {data_gb} GB are not enough.",
            "With {plan} there are {data_gb} GB for {amount}.",
        ],
        held_out: &[
            "{data_gb} GB for {amount}, that is {plan}.",
            "My bill of {amount} is for {plan} and {data_gb} GB.",
        ],
    },
];

const NOTES: &[Note] = &[
    Note {
        context: "The {plan} plan has {data_gb} GB and costs {amount}. The {plan.2} plan costs {amount.2}.",
        asks: "What does {plan} cost? {amount}; What does {plan.2} cost? {amount.2}; \
               How many GB does {plan} have? {data_gb}; Which plan costs {amount.2}? {plan.2}",
    },
    Note {
        context: "There is an outage in {town} until {time}. In {town.2} the internet works.",
        asks: "Where is the outage? {town}; Until when is the outage? {time}; \
               Does the internet work in {town.2}? yes; Does the internet work in {town}? no",
    },
    Note {
        context: "The technician {person} comes to {person.2} on {date} at {time}.",
        asks: "When does the technician come? {date}; \
               At what time does the technician come? {time}; Who is the technician? {person}; \
               Who gets the visit? {person.2}; Is {person.2} the technician? no",
    },
    Note {
        context: "A {light} light on the {router} means that there is no connection. A {light.2} light means that all is well.",
        asks: "Which light means no connection? {light}; \
               Which light means that all is well? {light.2}; Is a {light.2} light good? yes; \
               Is a {light} light good? no",
    },
    Note {
        context: "{person} has the number {phone_number}. {person.2} has the number {phone_number.2}.",
        asks: "Who has the number {phone_number}? {person}; \
               Who has the number {phone_number.2}? {person.2}; \
               What is the number of {person.2}? {phone_number.2}; \
               What is the number of {person}? {phone_number}",
    },
    Note {
        context: "Roaming is free in {country}, but not in {country.2}.",
        asks: "Is roaming free in {country}? yes; Is roaming free in {country.2}? no; \
               Where is roaming free? {country}; What does a call cost? not stated",
    },
    Note {
        context: "The bill of {person} is {amount}. It has to be paid by {date}.",
        asks: "How much is the bill? {amount}; By when does it have to be paid? {date}; \
               Whose bill is it? {person}; Which plan is it? not stated",
    },
    Note {
        context: "The {phone} costs {amount}. The {phone.2} is sold out until {date}.",
        asks: "Which phone is sold out? {phone.2}; How much is the {phone}? {amount}; \
               Can I buy the {phone} now? yes; Can I buy the {phone.2} now? no",
    },
    Note {
        context: "Ticket {ticket} was closed on {date}. Ticket {ticket.2} is still open.",
        asks: "Which ticket is open? {ticket.2}; When was {ticket} closed? {date}; \
               Is {ticket} open? no; Is {ticket.2} open? yes; Which ticket was closed? {ticket}",
    },
    Note {
        context: "The contract of {person} ends on {date}. {person} wants to switch to {plan}.",
        asks: "When does the contract end? {date}; Which plan does {person} want? {plan}; \
               Whose contract ends? {person}; Why does the contract end? not stated",
    },
    Note {
        context: "The speed on {street} is {speed} megabits. On {street.2} it is {speed.2}.",
        asks: "How fast is it on {street}? {speed}; \
               How fast is it on {street.2}? {speed.2}; Where is the speed {speed.2}? {street.2}",
    },
    Note {
        context: "The SIM for {phone_number} is active. The SIM for {phone_number.2} is blocked.",
        asks: "Which number is blocked? {phone_number.2}; \
               Which number is active? {phone_number}; Is the SIM for {phone_number} active? yes; \
               Is the SIM for {phone_number.2} active? no",
    },
];

const NOTES_HELD_OUT: &[Note] = &[
    Note {
        context: "{person} pays {amount} for {plan} and {person.2} pays {amount.2} for {plan.2}.",
        asks: "How much does {person.2} pay? {amount.2}; \
               Which plan does {person} have? {plan}; Who pays {amount}? {person}; \
               Does {person} have {plan.2}? no",
    },
    Note {
        context: "On {date} the technician brings the {router} to {street} in {town}.",
        asks: "When does the technician come? {date}; Which router is it? {router}; \
               Where does the technician go? {street}; \
               At what time does the technician come? not stated",
    },
    Note {
        context: "The internet works on {street}. On {street.2} there is an outage until {time}.",
        asks: "Where is the outage? {street.2}; Until when is the outage? {time}; \
               Does the internet work on {street}? yes; Does the internet work on {street.2}? no",
    },
    Note {
        context: "{person} bought a {phone} for {amount}. The number is {phone_number}.",
        asks: "How much is the {phone}? {amount}; \
               What is the number of {person}? {phone_number}; \
               Which phone did {person} buy? {phone}; Did {person} buy a {phone}? yes",
    },
    Note {
        context: "With {plan} you have {data_gb} GB at home and {data_gb.2} GB in {country}.",
        asks: "How many GB are there in {country}? {data_gb.2}; \
               How many GB are there at home? {data_gb}; Which plan is it? {plan}; \
               What does {plan} cost? not stated",
    },
];

const FACTS: &[&str] = &[
    "The internet in {town} [was|is] down [since {time}|for {few} hours].",
    "{person} [has|uses] the {plan} plan and pays {amount} a month.",
    "The {router} [blinks {light}|shows a {light} light] when there is no connection.",
    "The technician [comes|came] to {street} on {date}.",
    "{person} [bought|lost|repaired] a {phone} and kept the number {phone_number}.",
    "The {plan} plan has {data_gb} GB of data, and calls are free.",
    "Roaming in {country} costs {amount} a day.",
    "The speed test shows {speed} megabits, which is [fast|slow|enough].",
    "Ticket {ticket} was [opened|closed] on {date}.",
    "The SIM card was activated, and the phone found the network.",
    "The bill was higher this month because of calls to {country}.",
    "{person} cancelled the contract and moved to another provider.",
    "The router has to be restarted when the wifi is weak.",
    "A customer wants a cheaper plan with more data.",
];

const GLOSSARY: &[(&str, &str)] = &[
    ("router", "a box that brings the internet into a home"),
    ("outage", "a time in which the network does not work"),
    ("roaming", "using a phone in another country"),
    ("plan", "what a customer gets each month for a price"),
    (
        "contract",
        "a paper in which a customer and a company agree",
    ),
    (
        "SIM card",
        "a small card that connects a phone to the network",
    ),
    ("technician", "a person who repairs and installs things"),
    ("provider", "a company that sells phone and internet plans"),
    ("signal", "the radio waves that a phone receives"),
    ("data", "what is sent and received over the internet"),
    ("ticket", "a number for a problem that a customer reported"),
    (
        "megabit",
        "a unit in which the speed of the internet is measured",
    ),
];
