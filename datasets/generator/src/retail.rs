//! Retail: an online shop with a few stores.

use crate::domain::{Domain, Extraction, Intent, Note};
use crate::words::Kind::{Code, Money, Number, Rule, Words};
use crate::words::Slots;

pub(crate) const RETAIL: Domain = Domain {
    name: "retail",
    about: "Messages to an online shop with a few stores: orders, deliveries, returns, prices.",
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
        "item",
        Words(
            "oak lamp, wool rug, clay teapot, rain jacket, desk chair, steel kettle, bread knife, garden hose, linen shirt, \
        wall clock, picnic basket, yoga mat, coffee grinder, bath towel, winter coat, toy train, tea set, bike helmet, \
        reading lamp, canvas bag, flower pot, board game, phone case, water bottle, pepper mill \
        / copper pan, silk scarf, camping tent, bamboo tray, door mat, glass vase, travel pillow, corner shelf",
        ),
    ),
    (
        "brand",
        Words(
            "Velmora, Tarnby, Quillo, Brindle & Oak, Haskett, Lumidor, Ostrava Home, Pebblewick, Sonder Lane, Marrowby \
        / Ferntide, Kaldero, Wyncastle, Juniper Row",
        ),
    ),
    (
        "colour",
        Words(
            "red, blue, dark green, white, grey, black, brown, yellow / purple, navy, cream, orange",
        ),
    ),
    ("order_id", Code("RO-#####|#######|W##-####")),
    ("code", Code("SAVE##|@@@@##|DEAL-@@##")),
    ("price", Money(5, 240)),
    ("quantity", Number(2, 60)),
    (
        "street",
        Words(
            "Mill Lane, Station Road, Hill Street, Park Avenue, Bridge Street, Church Walk, River Road, Elm Close \
        / Orchard Way, Harbour Street, Canal Row, Foundry Lane",
        ),
    ),
    ("house", Number(2, 199)),
    ("address", Rule("{house} {street}")),
    ("parcel", Rule("[order|parcel|package|delivery|{item}]")),
    (
        "number",
        Rule("[{order_id}|number {order_id}|with the number {order_id}|]"),
    ),
    ("bought", Rule("[bought|ordered|got|purchased|paid for]")),
    ("shop", Rule("[shop|store|branch]")),
    ("money", Rule("[refund|money|money back|{price}]")),
    (
        "aside",
        Rule(
            "[I {bought} a {item} {ago}.|It is for my [sister|brother|mother|neighbour|office].|My order number is {order_id}.|\
        I have been a customer for years.|The order was placed {ago}.|I paid {price} with my card.|I got the email {ago}.|\
        The {item} is from {brand}.|It was a gift.|I looked on the website already.|I live in {town}.]",
        ),
    ),
];

const INTENTS: &[Intent] = &[
    Intent {
        label: "track_order",
        train: &[
            "[where is|where's] my {parcel} {number}?",
            "{tell_me} when my {parcel} [will arrive|gets here|will be here|is coming]?",
            "my {parcel} [has not come|still has not arrived|is late|should have been here {ago}], where is it [now|]?",
            "{i_want} [track|follow|see the status of] my {parcel} {number}.",
            "has [order {order_id}|my {parcel}] [been shipped|been sent|left the warehouse] yet?",
            "the tracking page [shows nothing|does not change] for [{order_id}|my {parcel}], when [will it come|does it arrive]?",
            "how [long|many days] until [my {parcel} arrives|the {item} gets here]?",
        ],
        held_out: &[
            "I am still waiting for my {parcel} {number}, [when will it be here|where is it now]?",
            "{can_you} check [the status of my {parcel}|where my {parcel} is] {number}?",
            "any news about when the {item} [will arrive|is coming]?",
        ],
    },
    Intent {
        label: "change_address",
        train: &[
            "{can_you} send my {parcel} to [another|a different|a new] address?",
            "I [moved|am moving] to {address}, {can_you} [change|update] the [delivery|shipping|] address of [my order|{order_id}]?",
            "the address on my {parcel} is wrong, it [should be|has to be] {address}.",
            "{i_want} change where my {parcel} [will be delivered|is sent], the new address is {address}.",
            "{how_do_i} [change|correct|edit] the [shipping|delivery] address for order {order_id}?",
            "I [typed|entered|gave] the wrong [street|house number|address] for my {parcel} {number}.",
            "please deliver [order {order_id}|my {parcel}] to {address} [instead|and not to my old home].",
        ],
        held_out: &[
            "my {parcel} should go to {address} instead, not to the old address.",
            "{i_want} [correct|update] the street for order {order_id}, I moved {ago}.",
            "{can_you} deliver order {order_id} to my new home, {address}?",
        ],
    },
    Intent {
        label: "cancel_order",
        train: &[
            "{i_want} cancel my {parcel} {number}.",
            "{can_you} cancel [order {order_id}|the {item}|what I {bought} {ago}]?",
            "I [do not|don't] [want|need] the {item} [any more|anymore], please stop the order [before it ships|].",
            "I {bought} the {item} by mistake, {can_you} [stop|cancel] the order before it is sent?",
            "{how_do_i} cancel an order that [has not been sent|was placed {ago}|is not shipped yet]?",
            "please [do not send|don't ship] order {order_id}, I [changed my mind|ordered twice].",
            "I ordered the {item} twice, cancel one of [them|the orders].",
        ],
        held_out: &[
            "stop order {order_id} please, I {bought} it by mistake.",
            "I changed my mind about the {item}, is it possible to cancel before it ships?",
            "is it too late to cancel the {item}? I do not need it any more.",
        ],
    },
    Intent {
        label: "return_item",
        train: &[
            "{how_do_i} [return|send back] the {item} that I {bought}?",
            "{i_want} [return|send back|give back] the {item}, it [does not fit|is too small|is too big|is not what I expected].",
            "the {item} [does not fit|is the wrong size|is too large], {can_you} send me a return label?",
            "can I [return|bring back] the {item} to [a|the|your] {shop}?",
            "how many days do I have to [return|send back] [an item|the {item}|order {order_id}]?",
            "I do not like the [colour|size|look] of the {item} and {i_want} [send it back|return it].",
            "where do I find the [return label|return form] for [order {order_id}|the {item}]?",
        ],
        held_out: &[
            "the {item} is too [small|big] for me, where can I send it back?",
            "is it still possible to return what I {bought} {ago}? it is not what I expected.",
            "I need the return form for the {item}, it is the wrong [size|colour].",
        ],
    },
    Intent {
        label: "refund_status",
        train: &[
            "[where is|when do I get|when will I get] my {money} for the {item} I [returned|sent back]?",
            "I [returned|sent back] the {item} {ago} and [still have no|did not get my] {money}.",
            "has my refund [for order {order_id}|] been [paid|sent|processed]?",
            "how long does a refund take [after a return|for a cancelled order|to reach my card]?",
            "the order was cancelled but {price} [is not back on my card|was not paid back].",
            "{tell_me} the status of my refund {number}?",
            "you got my return {ago}, why is the {money} not on my [card|account] yet?",
        ],
        held_out: &[
            "I am still waiting for the refund of the {item} that I sent back {ago}.",
            "when will the {price} for my cancelled order {order_id} be paid back to my card?",
            "you have had my return for a week, has my refund been sent?",
        ],
    },
    Intent {
        label: "damaged_item",
        train: &[
            "the {item} [arrived|came] [broken|damaged|with a crack|scratched].",
            "my {item} [stopped working|is broken|does not work] after [two days|a week|one use].",
            "there is a [crack|hole|scratch|dent] in the {item} [that came {ago}|from order {order_id}|].",
            "the box was [crushed|torn|wet] and the {item} [inside|] is [damaged|broken].",
            "I got a [broken|damaged|faulty] {item} [in order {order_id}|], what now?",
            "one part of the {item} was [broken|cracked] when I opened the {parcel}.",
            "the {colour} {item} has a [scratch|dent|hole], I want a new one.",
        ],
        held_out: &[
            "I opened the box and the {item} was cracked and scratched.",
            "the {item} I {bought} {ago} is already broken, it does not work at all.",
            "the {item} from order {order_id} does not work, there is a dent in it.",
        ],
    },
    Intent {
        label: "missing_item",
        train: &[
            "my {parcel} arrived but the {item} [was missing|was not in the box|was not inside].",
            "I ordered {few} of the {item} and [got only one|one is missing].",
            "the box [was empty|had only half of my order in it].",
            "[part of|something from] my order {number} is missing, there was no {item} in the [box|package].",
            "I {bought} two things but only the {item} was in the [parcel|box].",
            "you forgot [to pack|to put in|] the {item} [in order {order_id}|in my parcel].",
            "order {order_id} is not complete, the {item} [is missing|was left out].",
        ],
        held_out: &[
            "only half of order {order_id} was in the box, you forgot the {item}.",
            "the {item} is missing from the parcel that arrived {ago}, only the {item.2} was inside.",
            "I paid for the {item} and the {item.2}, but one of them was not in the package.",
        ],
    },
    Intent {
        label: "product_stock",
        train: &[
            "[do you have|is there] the {item} in {colour}?",
            "[is|when is] the {colour} {item} [in stock|available] [again|]?",
            "do you [sell|still sell|carry] [the|a] {item} [from {brand}|by {brand}|in other colours]?",
            "the {item} is sold out, when [will you have it again|does it come back|will it be available]?",
            "does the {shop} in {town} have the {brand} {item}?",
            "how many of the {item} [do you have|are left] in stock?",
            "does the {item} come in [a larger size|{colour}|other sizes]?",
        ],
        held_out: &[
            "I am looking for a {colour} {item}, do you have one in stock?",
            "is the {brand} {item} available in {town} or is it sold out?",
            "will the {colour} {item} be in stock again {soon}?",
        ],
    },
    Intent {
        label: "discount_code",
        train: &[
            "my [discount|promo|voucher] code {code} does not work.",
            "the code {code} [was not accepted|gives an error] when I [paid|ordered the {item}].",
            "{how_do_i} use [a voucher|a discount code|the code {code}]?",
            "I forgot to [enter|use] my code {code}, can I still get the discount [on order {order_id}|]?",
            "is there a [discount|promo code|sale] for [students|new customers|the {item}]?",
            "why was the discount not taken off the price of [my order|the {item}]?",
            "the {item} was {price} in the sale, but {code} did not take anything off.",
        ],
        held_out: &[
            "I entered {code} for the {item} but the price stayed the same.",
            "do new customers get a voucher or a discount on the {item}?",
            "[can I|how can I] still use {code} on my order?",
        ],
    },
    Intent {
        label: "store_hours",
        train: &[
            "[when|what time] does [your|the] {shop} in {town} [open|close] [{soon}|on {day}|]?",
            "[is|are] the {shop} [in {town}|on {street}] open on [{day}|the weekend|holidays]?",
            "what are the [opening hours|hours] of the {town} {shop}?",
            "until [when|what time] can I come to the {shop} [in {town}|] {soon}?",
            "are you open [today|on {day}|late on {day}] [in {town}|]?",
            "how late is the {shop} [on {street}|in {town}] open?",
            "I want to [come by|visit the {shop}] {soon}, what are the hours?",
        ],
        held_out: &[
            "{tell_me} the hours of the {shop} on {street}?",
            "can I come to the {town} {shop} on {day}, or is it closed?",
            "what time does the {town} {shop} open on holidays?",
        ],
    },
];

const EXTRACTIONS: &[Extraction] = &[
    Extraction {
        keys: &["order_id", "item"],
        train: &[
            "<The order is {order_id}.|It is about the {item}.>",
            "The {item} from order {order_id} has not come yet.",
            "I need help with the {item}, order {order_id}.",
            "Order {order_id}: the {colour} {item} is [broken|missing|late].",
            "In {order_id} there should be a {item}, but there was a {item.2}. So the {item} is missing.",
            "{can_you} look at {order_id}? The {item} does not fit.",
            "[My name is {person}.|] [I {bought} a {item} {ago}, the number is|Please cancel the {item} in] {order_id}.",
        ],
        held_out: &[
            "For the {item} I have the number {order_id} [and no answer|].",
            "Number {order_id} was a {item} for {price}.",
        ],
    },
    Extraction {
        keys: &["item", "quantity", "price"],
        train: &[
            "Please send {quantity} pieces of the {item} at {price} each.",
            "We {bought} {quantity} times the {item} for {price}.",
            "<The price is {price}.|We need {quantity} of the {item}.>",
            "{person} orders the {item}, {quantity} units, {price} a piece.",
            "Invoice: {item}, quantity {quantity}, price {price}.",
            "The {item} costs {price}, and the {town} store wants {quantity} of them.",
        ],
        held_out: &[
            "At {price} each, {town} takes {quantity} of the {item}.",
            "{quantity} units of the {item} were sold {ago}, each for {price}.",
        ],
    },
    Extraction {
        keys: &["person", "address", "date"],
        train: &[
            "Deliver to {person}, {address}, on {date}.",
            "<My name is {person}.|I live at {address}.|Please come on {date}.>",
            "{person} moved to {address} on {date}.",
            "On {date} the parcel goes to {address} for {person}.",
            "New address for {person}: {address}, from {date}.",
            "The driver was at {address} on {date}, but {person} was not at home.",
        ],
        held_out: &[
            "From {date} on, {person} lives at {address}.",
            "{person} at {address} waits for the driver on {date}.",
        ],
    },
    Extraction {
        keys: &["brand", "item", "colour"],
        train: &[
            "I am looking for the {brand} {item} in {colour}.",
            "Do you have a {colour} {item} from {brand}?",
            "The {item} by {brand} comes in {colour} [now|again|].",
            "<The brand is {brand}.|I want the {item}.|The colour should be {colour}.>",
            "{brand} sells a {item}, and I would like it in {colour}.",
            "My {colour} {item} is from {brand}.",
        ],
        held_out: &[
            "Is the {colour} {item} that {brand} makes in stock?",
            "In {colour}, please: the {item} of {brand}.",
        ],
    },
];

const NOTES: &[Note] = &[
    Note {
        context: "{person} {bought} a {item} and a {item.2}. The {item} cost {price} and the {item.2} cost {price.2}.",
        asks: "How much was the {item}? {price}; How much was the {item.2}? {price.2}; \
               Who {bought} the {item}? {person}; What cost {price.2}? {item.2}",
    },
    Note {
        context: "The store in {town} opens at {time}. The store in {town.2} opens at {time.2}.",
        asks: "When does the {town} store open? {time}; \
               When does the {town.2} store open? {time.2}; \
               Which store opens at {time.2}? {town.2}; Is there a store in {town}? yes; \
               Is there a store in {town.3}? no",
    },
    Note {
        context: "Order {order_id} was sent on {date} and will reach {person} on {date.2}.",
        asks: "When was the order sent? {date}; When will the order arrive? {date.2}; \
               Who gets the order? {person}; Was the order sent? yes; \
               What is the price? not stated",
    },
    Note {
        context: "There are {quantity} of the {item} in stock, but the {item.2} is sold out.",
        asks: "How many of the {item} are in stock? {quantity}; \
               Can I buy the {item} now? yes; Can I buy the {item.2} now? no; \
               What is sold out? {item.2}",
    },
    Note {
        context: "The code {code} takes {few} percent off until {date}.",
        asks: "Which code do I use? {code}; How many percent do I save? {few}; \
               Until when is the code good? {date}; Who made the code? not stated",
    },
    Note {
        context: "Returns are free for {few} days. {person} sent the {item} back on {date}.",
        asks: "How many days are returns free? {few}; What did {person} send back? {item}; \
               When was it sent back? {date}; Did {person} keep the {item}? no",
    },
    Note {
        context: "The {brand} {item} comes in {colour} and {colour.2}. It costs {price}.",
        asks: "What does the {item} cost? {price}; Does it come in {colour.2}? yes; \
               Does it come in {colour.3}? no; Which brand makes the {item}? {brand}",
    },
    Note {
        context: "{person} works in {town}. {person.2} drives the parcels from {town} to {town.2}.",
        asks: "Who drives the parcels? {person.2}; Where do the parcels go? {town.2}; \
               Where does {person} work? {town}; Does {person} drive the parcels? no",
    },
    Note {
        context: "The refund for {order_id} is {price}. It was paid to {person} on {date}.",
        asks: "How much is the refund? {price}; Who got the refund? {person}; \
               When was it paid? {date}; Was the refund paid? yes",
    },
    Note {
        context: "The parcel for {person} is at the shop on {street}. It can be picked up until {time}.",
        asks: "Where is the parcel? {street}; Until when can it be picked up? {time}; \
               Whose parcel is it? {person}; What is in the parcel? not stated",
    },
    Note {
        context: "{person} wanted {quantity} of the {item}, but only {quantity.2} came.",
        asks: "How many came? {quantity.2}; How many did {person} want? {quantity}; \
               Did all of them come? no; What did {person} want? {item}",
    },
    Note {
        context: "The {item} is not on sale. The {item.2} is on sale for {price}.",
        asks: "What is on sale? {item.2}; Is the {item} on sale? no; \
               Is the {item.2} on sale? yes; What is the sale price? {price}",
    },
];

const NOTES_HELD_OUT: &[Note] = &[
    Note {
        context: "The {item} costs {price} in {town}, and {price.2} in {town.2}.",
        asks: "How much is the {item} in {town}? {price}; \
               How much is the {item} in {town.2}? {price.2}; \
               Where does the {item} cost {price}? {town}; Is the {item} sold in {town.3}? no",
    },
    Note {
        context: "On {date} {person} got order {order_id} with {quantity} of the {item}.",
        asks: "When did the order arrive? {date}; Who got the order? {person}; \
               How many of the {item} came? {quantity}; What is the order number? {order_id}",
    },
    Note {
        context: "The {town} store has the {item} in {colour}. The {colour.2} one is sold out.",
        asks: "Which colour is sold out? {colour.2}; Which store has the {item}? {town}; \
               Can I buy the {item} in {colour}? yes; Can I buy the {item} in {colour.2}? no",
    },
    Note {
        context: "{person} sent back the {item} and kept the {item.2}. The refund is {price}.",
        asks: "What did {person} keep? {item.2}; What did {person} send back? {item}; \
               How much is the refund? {price}; Did {person} keep the {item}? no",
    },
];

const FACTS: &[&str] = &[
    "{person} [bought|ordered] a {item} in the {town} store for {price}.",
    "The [shop|store] in {town} opens at {time} and closes [in the evening|late on {day}].",
    "A customer [returns|sends back] the {item} because it [does not fit|is broken|is too small].",
    "Order {order_id} was [shipped|sent|packed] on {date} and [arrived|came] on {date.2}.",
    "The refund of {price} [was paid|goes] to the customer's [card|account].",
    "There are {quantity} of the {item} in stock, and the {item.2} is sold out.",
    "{brand} [makes|sells] a {colour} {item} that [many customers like|costs {price}].",
    "The driver brought the [parcel|package] to {address} in {town}.",
    "With the code {code} the {item} costs [less|only {price}].",
    "The box was [damaged|wet|empty], so {person} wrote to the shop.",
    "The warehouse [packs|sends] {quantity} parcels [a day|every hour].",
    "{person} cancelled the order before it was shipped.",
    "The delivery was late because the address was wrong.",
    "Prices in the sale are lower, but returns are [still free|not free].",
];

const GLOSSARY: &[(&str, &str)] = &[
    ("parcel", "a package that is sent to a customer"),
    ("refund", "money that a shop pays back to a customer"),
    ("discount", "a lower price for a product"),
    ("voucher", "a code or a card that makes an order cheaper"),
    (
        "warehouse",
        "a large building where products are kept before they are sent",
    ),
    ("stock", "the products that a shop has and can sell"),
    ("return", "a product that a customer sends back to the shop"),
    ("branch", "one of the stores of a shop"),
    (
        "delivery",
        "the way of an order from the warehouse to the customer",
    ),
    ("receipt", "a paper that shows what was paid and when"),
    ("sale", "a time in which many products cost less"),
    ("tracking", "a page that shows where a parcel is now"),
];
