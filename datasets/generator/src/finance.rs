//! Finance: the help desk of a retail bank.

use crate::domain::{Domain, Extraction, Intent, Note};
use crate::words::Kind::{Code, Money, Number, Rule, Words};
use crate::words::Slots;

pub(crate) const FINANCE: Domain = Domain {
    name: "finance",
    about: "Messages to the help desk of a bank: cards, transfers, fees, loans, shares. The companies and tickers do not \
        exist, and nothing here is financial advice.",
    slots: SLOTS,
    intents: INTENTS,
    extractions: EXTRACTIONS,
    notes: NOTES,
    notes_held_out: NOTES_HELD_OUT,
    facts: FACTS,
    glossary: GLOSSARY,
};

const SLOTS: Slots = &[
    ("amount", Money(20, 4000)),
    ("fee", Money(2, 60)),
    ("account", Code("AC-######|####-####|@@##-#####")),
    ("transfer_id", Code("TX-#####|TR######|@##-####")),
    (
        "payee",
        Words(
            "Brightwater Energy, Tarn & Sons, Lumen Gym, Oakhurst School, Pinnacle Rent, Metro Parking, Sunny Bakery, \
        Delta Garage, Corner Books, Alder Dental, Quick Laundry, City Water / Vale Insurance, Foxglove Florist, Harbor Fitness, \
        Northgate Rent, Maple Music",
        ),
    ),
    (
        "ticker",
        Words(
            "VLMR, QXTN, BRDK, HSKT, TRNB, LMDR, OPLX, WXFD, KRVN, DZLA, JNOX, PBLW / ZKRT, FNTD, YORV, GLDX, MBRQ",
        ),
    ),
    (
        "company",
        Words(
            "Velmar Steel, Quexton Foods, Birdock Mining, Haskett Motors, Tarnby Lines, Lumidor Light, Opalix Software, \
        Waxford Paper / Zokrat Energy, Ferntide Shipping, Yorvale Drugs, Goldex Metals",
        ),
    ),
    ("shares", Number(3, 400)),
    ("percent", Code("#.#|#.##|##")),
    (
        "bank_product",
        Words(
            "savings account, joint account, student account, business account, gold card, travel card, home loan, car loan \
        / youth account, platinum card, study loan, pension plan",
        ),
    ),
    (
        "country",
        Words(
            "Norland, Estavia, Morovia, Tirland, Calvonia, West Arden / Zanthia, Belmora, Ostria",
        ),
    ),
    ("kind", Rule("[card|debit card|credit card|bank card]")),
    ("send", Rule("[send|transfer|wire|move]")),
    (
        "aside",
        Rule(
            "[My account is {account}.|I have been with the bank for {few} years.|I tried the app and the website.|I sent {amount} to {payee} {ago}.|\
        I am in {country} right now.|I got a message {ago}.|I paid {amount} with my card {ago}.|I called {ago} and waited for {few} minutes.|\
        I have a {bank_product} with you.|It is [urgent|not urgent].|My balance was {amount} {ago}.]",
        ),
    ),
];

const INTENTS: &[Intent] = &[
    Intent {
        label: "card_lost",
        train: &[
            "I [lost|cannot find|have lost] my {kind} [in {town}|{ago}|].",
            "my {kind} was stolen [in {country}|{ago}|], [please block it|what do I do].",
            "someone [stole|took] my [wallet|bag] with my {kind}.",
            "{can_you} [block|freeze] my {kind}? I [lost it|left it in a shop|cannot find it].",
            "my {kind} is gone, {i_want} block it.",
            "I left my {kind} in [a shop|a taxi|the machine] {ago} and it is [gone|not there].",
            "{how_do_i} [report|block] a [lost|stolen] {kind}?",
        ],
        held_out: &[
            "my wallet was stolen in {town} with the {kind} in it.",
            "please block my {kind}, it is gone since {day}.",
            "I think I left my {kind} in a taxi {ago}, can you freeze it?",
        ],
    },
    Intent {
        label: "card_declined",
        train: &[
            "my {kind} was [declined|refused|not accepted] [at {payee}|in {country}|].",
            "why [was|is] my {kind} [declined|rejected|refused] [when I paid {amount}|at the shop|]?",
            "I tried to pay {amount} [at {payee}|] but [my {kind} was refused|the payment was declined].",
            "the [machine|shop|terminal] does not [take|accept] my {kind}.",
            "my {kind} does not work [in {country}|in shops|online], [there is enough money|my balance is fine].",
            "I [cannot|can't] pay with my {kind} [at {payee}|online|anywhere].",
            "the payment with my {kind} [failed|did not go through] [twice|at {payee}|].",
        ],
        held_out: &[
            "{payee} refused my {kind}, but there is enough money on the account.",
            "why can I not pay with my {kind} in {country}?",
            "I wanted to pay {amount} at {payee} and the machine refused my card.",
        ],
    },
    Intent {
        label: "unknown_charge",
        train: &[
            "there is a [charge|payment] of {amount} [from|to] {payee} that I [did not make|do not know].",
            "I [do not recognise|don't know|never made] [a|the] payment [of {amount}|to {payee}] [on my account|].",
            "who [took|charged] {amount} [from my account|on {date}]? I [bought nothing|do not know {payee}].",
            "{payee} [took|charged] {amount} [twice|two times|without asking me].",
            "somebody [used|paid with] my card [number|] at {payee}, it was not me.",
            "{i_want} dispute [a|the] charge [of {amount}|from {payee}].",
            "what is the {amount} from {payee} on my [statement|card]? it was not me.",
        ],
        held_out: &[
            "my statement shows {amount} to {payee}, but I never bought anything there.",
            "I did not make the payment of {amount} on {date}, somebody used my card.",
            "{payee} charged my card twice, {i_want} dispute it.",
        ],
    },
    Intent {
        label: "transfer_status",
        train: &[
            "where is the {amount} that I sent to {payee} [{ago}|]?",
            "my transfer [{transfer_id}|of {amount}|to {payee}] has not arrived [yet|].",
            "has [transfer {transfer_id}|my transfer|the {amount} to {payee}] [been sent|gone through|arrived]?",
            "I sent {amount} {ago} and [{payee} has not got it|it is still pending].",
            "how long does a transfer [to {country}|of {amount}|] take [to arrive|]?",
            "{tell_me} the status of [transfer {transfer_id}|my transfer|the payment {transfer_id}].",
            "why is [my transfer|{transfer_id}] still pending?",
        ],
        held_out: &[
            "{payee} is still waiting for the {amount} that I sent {ago}.",
            "when will {transfer_id} arrive? it is pending since {day}.",
            "did my {amount} get to {payee} yet? I sent it {ago}.",
        ],
    },
    Intent {
        label: "make_transfer",
        train: &[
            "{i_want} {send} {amount} to {payee}.",
            "{how_do_i} {send} money to [{country}|another bank|{payee}|a friend]?",
            "please {send} {amount} [from {account}|] to {account.2}.",
            "{can_you} {send} {amount} to [{payee}|my savings account|{person}] [{soon}|]?",
            "{i_want} set up a [monthly|weekly|standing] payment of {amount} to {payee}.",
            "can I {send} money [to {country}|from my phone|without the app]?",
            "{i_want} pay {payee} {amount} from my account {soon}.",
        ],
        held_out: &[
            "{amount} should go from {account} to {payee} {soon}.",
            "every month {i_want} {send} {amount} to {person}, how do I set it up?",
            "please move {amount} to my savings account {soon}.",
        ],
    },
    Intent {
        label: "account_fee",
        train: &[
            "why [was I charged|did I pay|is there] a fee of {fee} [for the transfer|on my account|]?",
            "what [is|are] the [monthly fee|fees|cost] [of|for] [a|the] {bank_product}?",
            "how much [is the fee|do you charge] for [a transfer to {country}|paying in {country}|taking out cash]?",
            "is there a fee [for|when I use] [a {bank_product}|my card in {country}]?",
            "you [took|charged] {fee} as a [monthly|transfer|late] fee, {can_you} [give it back|explain it]?",
            "the fee [of {fee}|for my {bank_product}] is too high, [is there a cheaper account|why is that].",
            "how can I avoid the [monthly fee|fee of {fee}|transfer fee]?",
        ],
        held_out: &[
            "what does it cost to take out cash in {country}, is there a fee?",
            "{fee} every month for a {bank_product}, why do you charge that?",
            "is the {bank_product} free or is there a monthly cost?",
        ],
    },
    Intent {
        label: "open_account",
        train: &[
            "{i_want} open a {bank_product} [for my daughter|for my son|].",
            "what do I need to [open|get|apply for] a {bank_product}?",
            "{how_do_i} open [an account|a {bank_product}] [online|with you|as a student]?",
            "can I [have|open] a second account [in the app|for savings|with my wife]?",
            "which [papers|documents] do you need for [a new account|a {bank_product}]?",
            "I am new in {country}, can I [open an account|become a customer]?",
            "my [son|daughter] is {few} and needs [an account|a first account].",
        ],
        held_out: &[
            "I would like to become a customer, which documents do I need?",
            "is it possible to open a {bank_product} in the app?",
            "my daughter needs her first account, what do we have to do?",
        ],
    },
    Intent {
        label: "loan_request",
        train: &[
            "{i_want} [borrow|get a loan of] {amount} [for a car|for my house|].",
            "can I [get|have] a loan [of {amount}|for a [car|kitchen|house]|]?",
            "what is the interest [rate|] [on|for] a [loan|loan of {amount}|car loan]?",
            "how much can I borrow [for a house|with my income|]?",
            "{i_want} pay back my loan [early|faster|in {few} months].",
            "what [would|will] a loan of {amount} cost [a month|per month|over {few} years]?",
            "I need {amount} for [a car|the roof|my studies], [can the bank lend it|do you offer a loan].",
        ],
        held_out: &[
            "how much interest do I pay if I borrow {amount}?",
            "the bank should lend me {amount} for a new kitchen, how does a loan work?",
            "can I pay back the car loan of {amount} early?",
        ],
    },
    Intent {
        label: "buy_sell_shares",
        train: &[
            "{i_want} buy {shares} shares of {company}.",
            "[buy|sell] {shares} {ticker} [at {amount}|{soon}|when it opens].",
            "please sell [all|half of|{shares} of] my {ticker} [shares|].",
            "{how_do_i} [buy|sell] [shares|stocks|{ticker}] [in the app|]?",
            "what is the price of {ticker} [now|today]? {i_want} [buy|sell].",
            "{can_you} [place|put in] an order for {shares} [shares of {company}|{ticker}]?",
            "my order for {ticker} [was not filled|is still open], [please sell at {amount}|change it to {shares}].",
        ],
        held_out: &[
            "put half of my {company} shares on sale at {amount}.",
            "I would like {shares} more of {ticker} {soon}, how do I place the order?",
            "is my order to sell {shares} {ticker} still open?",
        ],
    },
    Intent {
        label: "login_problem",
        train: &[
            "I [cannot|can't] log in [to the app|to my account|] [any more|since {day}|].",
            "I forgot my [password|PIN|user name].",
            "the app [does not accept|rejects] my [password|PIN|code] [when I log in|].",
            "my [login|online access|account access] is [locked|blocked] [after three tries|].",
            "{how_do_i} [reset|change] my [password|PIN]?",
            "I have a new phone and [the app does not let me in|cannot log in].",
            "the code for the login [does not come|never arrives|is wrong].",
        ],
        held_out: &[
            "the app says that my password is wrong and does not let me in.",
            "my online access is locked since I got a new phone.",
            "{how_do_i} get into the app, I forgot my PIN?",
        ],
    },
];

const EXTRACTIONS: &[Extraction] = &[
    Extraction {
        keys: &["amount", "payee", "date"],
        train: &[
            "I paid {amount} to {payee} on {date}.",
            "On {date} {payee} took {amount} from my account.",
            "<The payment went to {payee}.|It was {amount}.|The date is {date}.>",
            "Please send {amount} to {payee} on {date}.",
            "The bill from {payee} is {amount} and has to be paid by {date}.",
            "{payee} says that the {amount} of {date} did not arrive.",
        ],
        held_out: &[
            "By {date} I owe {payee} {amount}.",
            "A charge of {amount} on {date} names {payee}.",
            "Since {date} the {amount} for {payee} is pending.",
        ],
    },
    Extraction {
        keys: &["transfer_id", "account"],
        train: &[
            "Transfer {transfer_id} went to account {account}.",
            "<My account is {account}.|The transfer is {transfer_id}.>",
            "I sent {transfer_id} from {account} {ago}.",
            "{account} did not get {transfer_id}.",
            "Why is {transfer_id} still open? The money left {account} {ago}.",
            "Please stop {transfer_id}, it should not go to {account}.",
        ],
        held_out: &[
            "The money of {transfer_id} is not on {account} yet.",
            "For {account} I see a payment with the number {transfer_id}.",
        ],
    },
    Extraction {
        keys: &["ticker", "shares", "amount"],
        train: &[
            "Buy {shares} shares of {ticker} at {amount}.",
            "Sell {shares} {ticker} when the price is {amount}.",
            "<The ticker is {ticker}.|I want {shares} shares.|Not above {amount}.>",
            "{person} bought {shares} of {ticker} for {amount} each.",
            "At {amount} I sell my {shares} shares of {ticker}.",
            "{ticker} closed at {amount}, and we hold {shares} shares.",
        ],
        held_out: &[
            "We hold {ticker}: {shares} shares, bought at {amount}.",
            "{shares} shares at {amount} each, all of them {ticker}.",
        ],
    },
    Extraction {
        keys: &["person", "bank_product", "percent"],
        train: &[
            "{person} has a {bank_product} with {percent} percent.",
            "The {bank_product} of {person} pays {percent} percent.",
            "<The customer is {person}.|The product is a {bank_product}.|The rate is {percent} percent.>",
            "We offer {person} a {bank_product} at {percent} percent.",
            "From {date} the rate is {percent} percent for {person}, who has a {bank_product}.",
            "{person} asks if {percent} percent is right for the {bank_product}.",
        ],
        held_out: &[
            "At {percent} percent, {person} took the {bank_product}.",
            "The {bank_product} at {percent} percent was opened for {person}.",
        ],
    },
];

const NOTES: &[Note] = &[
    Note {
        context: "{person} sent {amount} to {payee}. {person.2} sent {amount.2} to {payee.2}.",
        asks: "How much did {person} send? {amount}; Who got {amount.2}? {payee.2}; \
               Who sent money to {payee}? {person}; To whom did {person.2} send money? {payee.2}; \
               Did {person} send money to {payee.2}? no",
    },
    Note {
        context: "The fee for a {bank_product} is {fee} a month. The {bank_product.2} is free.",
        asks: "How much is the {bank_product}? {fee}; What is free? {bank_product.2}; \
               Is the {bank_product} free? no; Is the {bank_product.2} free? yes",
    },
    Note {
        context: "{ticker} rose to {amount}. {ticker.2} fell to {amount.2}.",
        asks: "Which one fell? {ticker.2}; Which one rose? {ticker}; \
               What is the price of {ticker}? {amount}; \
               What is the price of {ticker.2}? {amount.2}; Did {ticker} fall? no",
    },
    Note {
        context: "The loan of {person} is {amount} at {percent} percent. The first payment is on {date}.",
        asks: "How large is the loan? {amount}; How many percent is it? {percent}; \
               When is the first payment? {date}; When is the last payment? not stated",
    },
    Note {
        context: "Transfer {transfer_id} arrived on {date}. Transfer {transfer_id.2} is pending.",
        asks: "Which transfer is pending? {transfer_id.2}; \
               Which transfer arrived? {transfer_id}; Did {transfer_id} arrive? yes; \
               Did {transfer_id.2} arrive? no",
    },
    Note {
        context: "{person} owns {shares} shares of {company} and {shares.2} shares of {company.2}.",
        asks: "How many shares of {company} does {person} own? {shares}; \
               How many shares of {company.2} are there? {shares.2}; \
               Who owns the shares? {person}; What is the price of a share? not stated",
    },
    Note {
        context: "The card of {person} is blocked. The card of {person.2} works, but not in {country}.",
        asks: "Whose card is blocked? {person}; \
               Does the card of {person.2} work in {country}? no; \
               Is the card of {person} blocked? yes; \
               In which country does the card of {person.2} not work? {country}",
    },
    Note {
        context: "Account {account} belongs to {person} and has {amount} on it.",
        asks: "Whose account is it? {person}; How much money is on it? {amount}; \
               Which account belongs to {person}? {account}; Which bank is it? not stated",
    },
    Note {
        context: "The bank in {town} opens at {time}. The bank in {town.2} is closed {soon}.",
        asks: "Which bank is closed? {town.2}; When does the bank in {town} open? {time}; \
               Is the bank in {town} closed? no",
    },
    Note {
        context: "{payee} charged {amount} on {date} and paid back {amount.2} on {date.2}.",
        asks: "How much was paid back? {amount.2}; When was {amount} charged? {date}; \
               When was money paid back? {date.2}; Who charged {amount}? {payee}",
    },
    Note {
        context: "A transfer to {country} takes {few} days and costs {fee}.",
        asks: "How many days does it take? {few}; What does it cost? {fee}; \
               Where does the money go? {country}; Is the transfer free? no",
    },
    Note {
        context: "{person} forgot the PIN. {person.2} at the bank sent a new one on {date}.",
        asks: "Who forgot the PIN? {person}; Who sent a new PIN? {person.2}; \
               When was it sent? {date}; What is the new PIN? not stated",
    },
];

const NOTES_HELD_OUT: &[Note] = &[
    Note {
        context: "On {date} {person} bought {shares} shares of {ticker} for {amount}.",
        asks: "How many shares are there? {shares}; Who bought the shares? {person}; \
               What is the price of {ticker}? {amount}; When were they bought? {date}",
    },
    Note {
        context: "{person} has a {bank_product} and {person.2} has a {bank_product.2} at {percent} percent.",
        asks: "How many percent is the {bank_product.2}? {percent}; \
               Who has a {bank_product}? {person}; What does {person.2} have? {bank_product.2}; \
               Does {person} have a {bank_product.2}? no",
    },
    Note {
        context: "{amount} went from {account} to {payee}. Transfer {transfer_id} is pending.",
        asks: "Who got {amount}? {payee}; Which account did the money leave? {account}; \
               Which transfer is pending? {transfer_id}; Did {transfer_id} arrive? no",
    },
    Note {
        context: "The fee in {country} is {fee}, and {fee.2} in {country.2}.",
        asks: "How much is the fee in {country}? {fee}; \
               How much is the fee in {country.2}? {fee.2}; \
               Where is the fee {fee.2}? {country.2}; Is it free in {country}? no",
    },
    Note {
        context: "{person} paid back {amount} of the loan on {date}. The next payment is on {date.2}.",
        asks: "How much was paid back? {amount}; When is the next payment? {date.2}; \
               Who has the loan? {person}; Is there a next payment? yes",
    },
];

const FACTS: &[&str] = &[
    "{person} [sent|paid|transferred] {amount} to {payee} on {date}.",
    "The [monthly|yearly] fee for a {bank_product} is {fee}.",
    "The card was [declined|blocked|stolen] in {country}, so {person} called the bank.",
    "Transfer {transfer_id} is still pending and [arrives|will be there] {soon}.",
    "{company} trades as {ticker}, and a share [costs|is] {amount}.",
    "{person} [bought|sold] {shares} shares of {ticker} for {amount} each.",
    "A loan of {amount} at {percent} percent is paid back in {few} years.",
    "Account {account} has a balance of {amount}.",
    "The bank in {town} opens at {time} and helps new customers.",
    "Somebody charged {amount} on the card, and it was not {person}.",
    "{person} forgot the password and cannot log in to the app.",
    "Interest is paid on the savings account at the end of each month.",
    "The statement shows {few} payments, and one of them is from {payee}.",
    "To open a {bank_product} you need a passport and a proof of income.",
];

const GLOSSARY: &[(&str, &str)] = &[
    ("balance", "the money that is on an account"),
    ("transfer", "money that is sent from one account to another"),
    ("fee", "money that a bank takes for a service"),
    ("loan", "money that is lent and has to be paid back"),
    ("interest", "the price of money that is lent"),
    (
        "share",
        "a small part of a company that can be bought and sold",
    ),
    ("ticker", "the short name of a company at the exchange"),
    ("statement", "a list of all payments of a month"),
    ("payee", "the person or company that gets the money"),
    ("charge", "a payment that is taken from a card"),
    ("savings", "money that is kept for later"),
    ("deposit", "money that is put into an account"),
];
