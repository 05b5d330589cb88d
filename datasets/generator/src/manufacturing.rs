//! Manufacturing: the shop floor of a plant that makes machine parts.

use crate::domain::{Domain, Extraction, Intent, Note};
use crate::words::Kind::{Code, Number, Rule, Words};
use crate::words::Slots;

pub(crate) const MANUFACTURING: Domain = Domain {
    name: "manufacturing",
    about: "Notes from the shop floor of a plant that makes machine parts: faults, maintenance, parts, quality, shifts.",
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
        "machine",
        Words(
            "Press 4, Lathe 2, Mill 7, Robot 3, Oven 1, Pump 12, Saw 5, Conveyor 6, Welder 8, Drill 9, Packer 2, Crane 1, \
        Mixer 3, Grinder 4, Laser 2 / Press 11, Lathe 15, Robot 16, Pump 14, Welder 13, Cutter 18, Loader 17",
        ),
    ),
    (
        "part",
        Words(
            "bearing, gear wheel, drive belt, seal ring, valve, motor shaft, filter, hose clamp, bolt set, spring, fuse, brake pad, \
        chain link, nozzle, coupling, gasket / piston rod, cable drum, bushing, impeller, clutch plate, rotor",
        ),
    ),
    ("part_id", Code("PN-#####|@@-####|###-##-@")),
    ("batch", Code("B-####|LOT###|@#####")),
    ("job", Code("WO-####|J#####|JOB-###-@")),
    ("error_code", Code("E##|F-###|ERR ###|A##.#")),
    (
        "line",
        Words(
            "Line A, Line B, Line C, Line 1, Line 2, Line 3, Line North / Line 8, Line 9, Line South, Line D",
        ),
    ),
    (
        "supplier",
        Words(
            "Ferrox Supply, Tarn Metals, Quill Bearings, Norwick Steel, Brindle Tools, Haldane Parts, Copperton, Vexa Rubber \
        / Ostrow Forge, Lumen Plastics, Kaldero Steel, Zimmer Gears",
        ),
    ),
    (
        "defect",
        Words(
            "scratch, crack, dent, burr, rust spot, bent edge, loose weld, wrong thread, air bubble, colour fault \
        / hairline gap, chipped corner, oil stain, rough face",
        ),
    ),
    ("quantity", Number(3, 900)),
    ("temperature", Number(40, 240)),
    ("millimetres", Code("#.# mm|##.# mm|## mm|#.## mm")),
    ("hours", Number(2, 40)),
    ("hall", Number(2, 30)),
    (
        "shift",
        Rule("[morning shift|late shift|night shift|early shift|weekend shift]"),
    ),
    (
        "broken",
        Rule("[stopped|broke down|does not start|is down|is not running|stands still|failed]"),
    ),
    ("piece", Rule("[{part}|{part} {part_id}|{part_id}]")),
    (
        "aside",
        Rule(
            "[It is {machine} in hall {hall}.|We are on the {shift}.|{person} saw it first.|The job is {job}.|The batch is {batch}.|\
        It started {ago}.|{line} is waiting.|I told {person} {ago}.|We made {quantity} pieces {ago}.|The customer needs {job} {soon}.|\
        {machine} is running.]",
        ),
    ),
];

const INTENTS: &[Intent] = &[
    Intent {
        label: "machine_down",
        train: &[
            "{machine} {broken} [{ago}|at {time}|again|].",
            "{machine} [shows|has|gives] error {error_code} and {broken}.",
            "[help,|] {machine} [in hall {hall}|on {line}|] {broken}, [what now|send someone].",
            "{line} [stands still|is down|stopped] because {machine} {broken}.",
            "error {error_code} on {machine}, [we cannot run|it will not start|production stopped].",
            "the [motor|display|drive] of {machine} [is dead|does not react|will not turn on].",
            "since {time} {machine} [does not move|is not running|will not start].",
        ],
        held_out: &[
            "nothing moves on {line}, {machine} stopped with {error_code}.",
            "{can_you} send someone? {machine} will not start since {time}.",
            "{machine} is dead, the display shows {error_code}.",
        ],
    },
    Intent {
        label: "schedule_maintenance",
        train: &[
            "when is the next [maintenance|service|inspection] of {machine} [due|planned|]?",
            "{i_want} [plan|schedule|book] [a service|maintenance|an inspection] for {machine} [on {date}|{soon}|].",
            "{machine} has [run|been running] {quantity} hours, [the service is due|it needs an oil change].",
            "please [plan|schedule] the [yearly|monthly] [inspection|service] of {machine} [for {date}|].",
            "{can_you} [move|put] the maintenance of {machine} [to|on] {date}?",
            "is {date} free for the [service|inspection|oil change] of {machine}?",
            "the [filter change|oil change|cleaning] of {machine} should be [done|planned] [every {few} weeks|{soon}].",
        ],
        held_out: &[
            "the inspection of {machine} is due, please put it on {date}.",
            "which day is planned for the oil change of {machine}?",
            "after {quantity} hours {machine} is due for service, when can we do it?",
        ],
    },
    Intent {
        label: "order_part",
        train: &[
            "we need [a new|another] {piece} for {machine}.",
            "please order {few} [of|pieces of] {piece} [from {supplier}|].",
            "{i_want} order [a|one] {piece} [for {machine}|from {supplier}].",
            "{can_you} [buy|order|get] {few} {part_id} [from {supplier}|for {machine}|]?",
            "the {part} of {machine} is [worn|old|broken], order a new one.",
            "[put|add] {few} of {piece} on the [next|] order [to {supplier}|].",
            "{how_do_i} order a spare {part} [for {machine}|]?",
        ],
        held_out: &[
            "{machine} needs a spare {part}, please get one from {supplier}.",
            "add a new {piece} to the order for {supplier}.",
            "we have no spare {part} any more, please buy {few} of them.",
        ],
    },
    Intent {
        label: "stock_check",
        train: &[
            "how many {piece} [do we have|are left|are in stock]?",
            "is [{piece}|there a {part}] [in stock|in the store|on the shelf]?",
            "do we [have|still have] [a|any] {piece} [in hall {hall}|in the store|]?",
            "{can_you} [check|count] the stock of {piece}?",
            "where [is|do we keep|can I find] the {piece}?",
            "[which|what] shelf [has|holds] the {piece}?",
            "are there enough [of the|] {part} in the store for job {job}?",
        ],
        held_out: &[
            "I cannot find the {piece}, which shelf is it on?",
            "{tell_me} how many {part} are left in the store?",
            "do we still have {part_id} on the shelf in hall {hall}?",
        ],
    },
    Intent {
        label: "report_defect",
        train: &[
            "there is a {defect} on [part {part_id}|the parts of batch {batch}|the {part}].",
            "{few} [parts|pieces] of batch {batch} have a {defect}.",
            "batch {batch} [failed the check|is bad], [every part has|we found] a {defect}.",
            "I found a {defect} on the {part} [from {machine}|from batch {batch}|].",
            "the {part} is {millimetres} [too long|too short|too thick|off].",
            "we have [too much|more] scrap on {line}, [always|mostly] with a {defect}.",
            "the customer [sent back|complained about] batch {batch} because of a {defect}.",
        ],
        held_out: &[
            "the check of batch {batch} found a {defect} on {few} pieces.",
            "parts from {machine} are bad, each {part} has a {defect}.",
            "{machine} makes scrap, the {part} is {millimetres} too short.",
        ],
    },
    Intent {
        label: "safety_incident",
        train: &[
            "{person} [was hurt|cut a hand|got burned|slipped] at {machine}.",
            "[somebody|a worker] [fell|was hurt|slipped] [in hall {hall}|near {machine}|on the stairs].",
            "there is [oil|water|acid] on the floor [near {machine}|in hall {hall}], somebody [may slip|will fall].",
            "the [guard|emergency stop|safety door] of {machine} is [missing|open|broken].",
            "there is [smoke|a smell of gas|fire] [in hall {hall}|near {machine}].",
            "{person} worked at {machine} without [gloves|a helmet|goggles].",
            "we had an accident [at {machine}|in hall {hall}|on the {shift}], {person} needs [a doctor|first aid].",
        ],
        held_out: &[
            "first aid to hall {hall}, {person} is hurt.",
            "I smell smoke at {machine}, and the emergency stop is broken.",
            "a worker slipped on oil near {machine} and cut a hand.",
        ],
    },
    Intent {
        label: "shift_schedule",
        train: &[
            "who [works|is on] the {shift} [on {day}|{soon}|on {line}]?",
            "{i_want} [swap|change|trade] my {shift} [with {person}|on {day}|].",
            "can I have [{day}|{date}] off?",
            "when does my [next|] shift [start|end] [on {day}|{soon}|]?",
            "I am [sick|ill] and cannot come to the {shift} [on {day}|{soon}|].",
            "{person} [cannot come|is sick], who takes the {shift} [on {line}|]?",
            "we need [one more person|{few} people] for the {shift} on {day}.",
        ],
        held_out: &[
            "I cannot work on {day}, who can take my shift?",
            "{person} and I want to trade the {shift} on {day}.",
            "I am ill {soon}, please find one more person for the {shift}.",
        ],
    },
    Intent {
        label: "job_status",
        train: &[
            "how far is job {job}?",
            "is [job {job}|the order for {quantity} {part}] [done|finished|ready] [yet|]?",
            "when will [job {job}|batch {batch}] be [finished|ready|shipped]?",
            "how many [pieces|parts] of {job} are [done|finished|made] [by now|]?",
            "{tell_me} the status of [job {job}|{job}|batch {batch}]?",
            "the customer asks when {job} [is ready|will be done|ships].",
            "is {job} [late|on time|behind]?",
        ],
        held_out: &[
            "will job {job} be done on time? {quantity} pieces are ordered.",
            "the customer waits for batch {batch}, when is it ready?",
            "are the {quantity} pieces of {job} finished and shipped?",
        ],
    },
    Intent {
        label: "machine_setup",
        train: &[
            "[what|which] [temperature|speed|pressure] do I set [on|for] {machine} [for {part_id}|]?",
            "{how_do_i} [set|change] the [speed|temperature|pressure|tool] [on|of] {machine}?",
            "set {machine} to {temperature} degrees [for batch {batch}|for {part_id}].",
            "which [program|tool|setting] do we [use|need|load] for {part_id} [on {machine}|]?",
            "{how_do_i} [load|start|change] the program [for {part_id}|] on {machine}?",
            "is {temperature} degrees right for [{part_id}|{machine}|the {part}]?",
            "{machine} runs at {temperature} degrees, should I [set it higher|set it lower|change it]?",
        ],
        held_out: &[
            "{tell_me} which tool and speed I set for {part_id}?",
            "should {machine} be set to {temperature} degrees or lower?",
            "I load the program for {part_id} on {machine}, which pressure is right?",
        ],
    },
    Intent {
        label: "supplier_delay",
        train: &[
            "the delivery from {supplier} is [late|{few} days late|not here].",
            "where [is|are] the {part} from {supplier}? they [should have come|were due] {ago}.",
            "{supplier} [cannot deliver|will not ship] the {piece} [before {date}|{soon}|].",
            "the truck [from {supplier}|with the {part}] [has not come|did not arrive|is late].",
            "{supplier} [sent|delivered] only {few} of {quantity} {part}.",
            "when does {supplier} deliver the {piece}? {line} [waits|stops without it].",
            "we are still waiting for the {piece} [that we ordered|] from {supplier}.",
        ],
        held_out: &[
            "the truck from {supplier} should have been here {ago}, where is the {part}?",
            "{supplier} says that the {piece} will be {few} days late.",
            "{few} days late and still no {part}: {supplier} did not deliver.",
        ],
    },
];

const EXTRACTIONS: &[Extraction] = &[
    Extraction {
        keys: &["machine", "error_code", "time"],
        train: &[
            "At {time} {machine} stopped with {error_code}.",
            "{machine} has shown {error_code} since {time}.",
            "<The machine is {machine}.|The error is {error_code}.|It happened at {time}.>",
            "Error {error_code} on {machine} at {time}.",
            "{person} reset {error_code} on {machine} at {time}.",
            "We saw {error_code} at {time}, then {machine} stopped.",
        ],
        held_out: &[
            "The display of {machine} said {error_code} at {time}.",
            "Since {time} there is {error_code} on the screen of {machine}.",
            "{error_code}, {time}: {machine} is down.",
        ],
    },
    Extraction {
        keys: &["part_id", "quantity", "supplier"],
        train: &[
            "Order {quantity} of {part_id} from {supplier}.",
            "{supplier} sends {quantity} pieces of {part_id}.",
            "<We need {part_id}.|The supplier is {supplier}.|The number is {quantity}.>",
            "From {supplier} came {quantity} {part_id} {ago}.",
            "{part_id} is out of stock, {supplier} has {quantity}.",
            "The {quantity} pieces of {part_id} by {supplier} are late.",
        ],
        held_out: &[
            "Ask {supplier} for {part_id}, we want {quantity}.",
            "A box with {quantity} of {part_id} is here, sent by {supplier}.",
        ],
    },
    Extraction {
        keys: &["batch", "defect", "person"],
        train: &[
            "{person} found a {defect} in batch {batch}.",
            "Batch {batch} has a {defect}, says {person}.",
            "<The batch is {batch}.|The fault is a {defect}.|{person} checked it.>",
            "In {batch} there was a {defect}. Please call {person}.",
            "{person} stopped {batch} because of a {defect}.",
            "The {defect} on {batch} was seen by {person}.",
        ],
        held_out: &[
            "Because of the {defect}, {person} did not release {batch}.",
            "{batch} was checked by {person}: a {defect} on each piece.",
        ],
    },
    Extraction {
        keys: &["job", "part", "date"],
        train: &[
            "Job {job} makes the {part} until {date}.",
            "The {part} for {job} has to be ready on {date}.",
            "<The job is {job}.|The part is a {part}.|It is due on {date}.>",
            "On {date} we ship {job} with the {part}.",
            "{job} is late, the {part} will come on {date}.",
            "Please plan the {part} for {date}, job {job}.",
        ],
        held_out: &[
            "By {date} the {part} of {job} must be packed.",
            "For {job} we start with the {part} on {date}.",
        ],
    },
];

const NOTES: &[Note] = &[
    Note {
        context: "{machine} is running. {machine.2} stopped at {time} with error {error_code}.",
        asks: "Which machine stopped? {machine.2}; When did it stop? {time}; \
               What was the error? {error_code}; Is {machine} running? yes; \
               Is {machine.2} running? no",
    },
    Note {
        context: "{person} works on {line} and {person.2} works on {line.2}.",
        asks: "Who works on {line}? {person}; Who works on {line.2}? {person.2}; \
               Where does {person.2} work? {line.2}; Does {person} work on {line.2}? no",
    },
    Note {
        context: "There are {quantity} of part {part_id} on the shelf. Part {part_id.2} is out of stock.",
        asks: "How many of {part_id} are there? {quantity}; \
               Which part is out of stock? {part_id.2}; Is {part_id} in stock? yes; \
               Is {part_id.2} in stock? no",
    },
    Note {
        context: "Set {machine} to {temperature} degrees and {machine.2} to {temperature.2} degrees.",
        asks: "How hot is {machine}? {temperature}; \
               How hot is {machine.2}? {temperature.2}; \
               Which machine is set to {temperature}? {machine}; \
               How fast is {machine}? not stated",
    },
    Note {
        context: "Batch {batch} passed the check. Batch {batch.2} has a {defect}.",
        asks: "Which batch is bad? {batch.2}; Which batch passed? {batch}; \
               What is wrong with {batch.2}? {defect}; Did {batch} pass? yes; \
               Did {batch.2} pass? no",
    },
    Note {
        context: "The service of {machine} is on {date}. {person} does it and needs {hours} hours.",
        asks: "When is the service? {date}; Who does the service? {person}; \
               How many hours does it take? {hours}; What does it cost? not stated",
    },
    Note {
        context: "{supplier} delivers the {part}. {supplier.2} delivers the {part.2}, but it is late.",
        asks: "Who delivers the {part}? {supplier}; Which part is late? {part.2}; \
               Is {supplier.2} late? yes; Is {supplier} late? no; \
               What does {supplier} deliver? {part}",
    },
    Note {
        context: "Job {job} needs {quantity} pieces. {quantity.2} are done.",
        asks: "How many pieces are done? {quantity.2}; \
               How many pieces does the job need? {quantity}; Which job is it? {job}; \
               When is it ready? not stated",
    },
    Note {
        context: "The late shift starts at {time}. The night shift starts at {time.2}.",
        asks: "When does the late shift start? {time}; \
               When does the night shift start? {time.2}; \
               Which shift starts at {time}? late shift; Who works on the late shift? not stated",
    },
    Note {
        context: "The {part} is {millimetres} long. The drawing says {millimetres.2}.",
        asks: "How long is the {part}? {millimetres}; \
               What does the drawing say? {millimetres.2}; Which part is it? {part}; \
               Is the {part} as long as in the drawing? no",
    },
    Note {
        context: "{person} was hurt at {machine} in hall {hall}. {person.2} called a doctor at {time}.",
        asks: "Who was hurt? {person}; Who called a doctor? {person.2}; \
               In which hall was it? {hall}; Was {person.2} hurt? no; Was {person} hurt? yes",
    },
    Note {
        context: "The {part} for {machine} was ordered on {date} and comes on {date.2}.",
        asks: "When was the {part} ordered? {date}; When does the {part} come? {date.2}; \
               For which machine is it? {machine}; Was the {part} ordered? yes",
    },
];

const NOTES_HELD_OUT: &[Note] = &[
    Note {
        context: "{person} found a {defect} on {quantity} pieces of batch {batch}.",
        asks: "Who found it? {person}; What is wrong with {batch}? {defect}; \
               How many pieces are bad? {quantity}; Which batch is bad? {batch}",
    },
    Note {
        context: "{machine} and {machine.2} are in hall {hall}. Only {machine.2} is running.",
        asks: "Which machine is running? {machine.2}; In which hall is {machine}? {hall}; \
               Is {machine} running? no; Is {machine.2} running? yes",
    },
    Note {
        context: "{supplier} sent {quantity} of {part_id} on {date}. {supplier.2} sent nothing.",
        asks: "How many pieces came from {supplier}? {quantity}; \
               Which part was sent? {part_id}; When was it sent? {date}; \
               Who sent nothing? {supplier.2}",
    },
    Note {
        context: "Job {job} is ready on {date} and job {job.2} on {date.2}.",
        asks: "When is job {job} ready? {date}; When is job {job.2} ready? {date.2}; \
               Which job is ready on {date.2}? {job.2}; \
               How many pieces does job {job} need? not stated",
    },
    Note {
        context: "{person} sets {machine} to {temperature} degrees at {time}.",
        asks: "How hot is {machine}? {temperature}; Who sets {machine}? {person}; \
               When is it set? {time}; Which machine is it? {machine}",
    },
];

const FACTS: &[&str] = &[
    "{machine} [stopped|broke down] at {time} with error {error_code}.",
    "{person} [repairs|checks|starts] {machine} on the {shift}.",
    "The {part} is worn, and a new one was ordered from {supplier}.",
    "Batch {batch} has {quantity} pieces, and {few} of them have a {defect}.",
    "Part {part_id} is [on the shelf|in stock|out of stock] in hall {hall}.",
    "Job {job} was finished on {date} and shipped to the customer.",
    "{line} makes {quantity} pieces [a day|in {hours} hours].",
    "The oven is set to {temperature} degrees for this part.",
    "The delivery from {supplier} is {few} days late.",
    "Somebody slipped on the oil near {machine}, and {person} called a doctor.",
    "The next inspection of {machine} is planned for {date}.",
    "Workers wear gloves and goggles, because the edges are sharp.",
    "The {part} is {millimetres} long, as the drawing says.",
    "{person} and {person.2} trade their shifts on {day}.",
];

const GLOSSARY: &[(&str, &str)] = &[
    ("machine", "a thing with moving parts that does work"),
    ("batch", "all the parts that are made in one go"),
    ("defect", "a fault that makes a part bad"),
    ("shift", "the hours in which one group of people works"),
    ("maintenance", "the work that keeps a machine running"),
    ("supplier", "a company that sells parts to the plant"),
    ("spare part", "a part that is kept to replace a broken one"),
    ("scrap", "parts that are bad and are thrown away"),
    ("job", "an order for a number of pieces"),
    ("inspection", "a careful look at a machine or a part"),
    ("conveyor", "a belt that moves things through the hall"),
    ("guard", "a cover that keeps hands away from moving parts"),
];
