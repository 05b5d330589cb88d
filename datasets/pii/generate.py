"""Writes test.jsonl: sentences with invented personal data, and sentences with what only looks like it.

    pip install python-stdnum==2.* && python3 datasets/pii/generate.py > datasets/pii/test.jsonl

Check digits come from python-stdnum, not from the code that is measured. Nothing here belongs to anyone: numbers are random, hosts
are those that RFC 2606 and RFC 5737 reserve.
"""

import json
import random
import string

from stdnum import luhn, verhoeff
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.iso7064 import mod_97_10
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.pl import pesel

draw = random.Random(20240611)
FIRST = "mara jonas priya wei lucia amir greta pavel nina kofi".split()
LAST = "brennick okonjo fontane sandoval nakata lindqvist moreau castell abara weiss".split()


def digits(n, first="0123456789"):
    return draw.choice(first) + "".join(draw.choice(string.digits) for _ in range(n - 1))


def letters(n, of=string.ascii_letters + string.digits):
    return "".join(draw.choice(of) for _ in range(n))


def born():
    return draw.randint(1, 28), draw.randint(1, 12), draw.randint(1940, 1999)


def email():
    name = draw.choice(["{}.{}", "{}_{}", "{}{}", "{}+{}"]).format(draw.choice(FIRST), draw.choice(LAST))
    return name + draw.choice(["", digits(2)]) + "@" + draw.choice(["example.com", "mail.example.org", "firm-x.example.net"])


def phone():
    d = digits
    return draw.choice([
        f"+49 30 {d(8)}", f"+1 {d(3, '23456789')} {d(3, '23456789')} {d(4)}", f"+44 20 {d(4)} {d(4)}", f"+33 6 {d(2)} {d(2)} {d(2)} {d(2)}",
        f"({d(3, '23456789')}) {d(3, '23456789')}-{d(4)}", f"{d(3, '23456789')}-{d(3, '23456789')}-{d(4)}", f"030 {d(7, '123456789')}",
        f"0171/{d(7, '123456789')}", f"+91 {d(5, '789')} {d(5)}", f"+86 138 {d(4)} {d(4)}",
    ])


def iban():
    country, length = draw.choice([("DE", 22), ("AT", 20), ("ES", 24), ("BE", 16), ("PL", 28), ("CH", 21)])
    body = digits(length - 4)
    text = country + mod_97_10.calc_check_digits(body + country) + body
    grouped = " ".join(text[i:i + 4] for i in range(0, length, 4))
    return draw.choice([text, grouped])


def card():
    start, length = draw.choice([("4", 16), ("5", 16), ("37", 15), ("6011", 16)])
    body = start + digits(length - 1 - len(start))
    text = body + luhn.calc_check_digit(body)
    if length == 15:
        return draw.choice([text, f"{text[:4]} {text[4:10]} {text[10:]}"])
    sep = draw.choice(["", " ", "-"])
    return sep.join(text[i:i + 4] for i in range(0, 16, 4))


def national():
    kind = draw.randrange(13)
    day, month, year = born()
    yy = f"{year % 100:02d}"
    if kind == 0:
        return f"{draw.choice([draw.randint(1, 665), draw.randint(667, 899)]):03d}-{draw.randint(1, 99):02d}-{draw.randint(1, 9999):04d}"
    if kind == 1:
        while True:
            ten = list("1234567890")
            draw.shuffle(ten)
            ten[draw.randrange(10)] = draw.choice(ten)
            body = "".join(ten)
            text = body + idnr.mod_11_10.calc_check_digit(body)
            if idnr.is_valid(text):
                return f"{text[:2]} {text[2:5]} {text[5:8]} {text[8:]}"
    if kind == 2:
        body = f"{draw.choice('12')}{yy}{month:02d}{draw.randint(1, 95):02d}{digits(6)}"
        return body + nir.calc_check_digits(body)
    if kind == 3:
        body = digits(8)
        return body + dni.calc_check_digit(body)
    if kind == 4:
        body = draw.choice("XYZ") + digits(7)
        return body + nie.calc_check_digit(body)
    if kind == 5:
        body = letters(6, "BCDFGLMNPRST") + yy + draw.choice("ABCDEHLMPRST") + f"{day:02d}" + draw.choice("AFHL") + digits(3)
        return body + codicefiscale.calc_check_digit(body)
    if kind == 6:
        while True:
            text = digits(9, "123456789")
            if bsn.is_valid(text):
                return draw.choice([f"BSN {text}", f"{text[:3]}.{text[3:6]}.{text[6:]}"])
    if kind == 7:
        body = f"{yy}{month:02d}{day:02d}{draw.randint(1, 997):03d}"
        text = body + f"{97 - int(body) % 97:02d}"
        assert nn.is_valid(text)
        return f"{text[:2]}.{text[2:4]}.{text[4:6]}-{text[6:9]}.{text[9:]}"
    if kind == 8:
        body = f"{yy}{month:02d}{day:02d}{digits(4)}"
        return "PESEL " + body + pesel.calc_check_digit(body)
    if kind == 9:
        body = f"{yy}{month:02d}{day:02d}{digits(3)}"
        return f"{body[:6]}-{body[6:]}{luhn.calc_check_digit(body)}"
    if kind == 10:
        body = f"{day:02d}{month:02d}{yy}{draw.randint(2, 899):03d}"
        return f"{body[:6]}-{body[6:]}{hetu._calc_checksum(body)}"
    if kind == 11:
        body = digits(9)
        first = cpf._calc_check_digits(body)
        return f"{body[:3]}.{body[3:6]}.{body[6:]}-{first}"
    if draw.random() < 0.5:
        body = digits(11, "23456789")
        text = body + verhoeff.calc_check_digit(body)
        return f"{text[:4]} {text[4:8]} {text[8:]}"
    body = f"110105{year}{month:02d}{day:02d}{digits(3)}"
    return body + ric.calc_check_digit(body + "0")


def ip():
    v4 = f"{draw.choice(['192.0.2', '198.51.100', '203.0.113'])}.{draw.randint(1, 254)}"
    return draw.choice([v4, f"2001:db8:{draw.randrange(65536):x}::{draw.randrange(65536):x}"])


def mac():
    return draw.choice(":-").join(f"{draw.randrange(256):02x}" for _ in range(6))


def secret():
    return draw.choice([
        "AKIA" + letters(16, string.ascii_uppercase + string.digits), "ghp_" + letters(36), "sk_live_" + letters(24),
        "xoxb-" + digits(12) + "-" + letters(24), "hf_" + letters(34), "password: " + letters(24), "the api key " + letters(32),
    ])


def url():
    return draw.choice([
        f"https://{draw.choice(FIRST)}:{letters(10)}@host.example.com/path", f"https://api.example.com/v1?token={letters(20)}",
        f"postgres://app:{letters(12)}@db.example.net:5432/main",
    ])


KINDS = [("email", email), ("phone", phone), ("iban", iban), ("card", card), ("national_id", national), ("ip", ip), ("mac", mac),
         ("secret", secret), ("secret_url", url)]
BEFORE = ["Please write down {} for the file.", "My details: {}.", "It was {}, I think", "({})", "{} is what they gave me.",
          "Der Kunde nannte {} am Telefon.", "Use {} and, if that fails, ask again."]
# A prefix that says what follows is not part of it.
LEADS = ("BSN ", "PESEL ", "password: ", "the api key ")


def bad(text, valid):
    """The same with one digit changed until it is not valid."""
    while True:
        at = draw.choice([i for i, c in enumerate(text) if c.isdigit()])
        other = text[:at] + draw.choice(string.digits) + text[at + 1:]
        if not valid(other):
            return other


def negative():
    d = digits
    return draw.choice([
        lambda: f"Order RO-{d(5)} of {draw.randint(1, 28):02d}.{draw.randint(1, 12):02d}.2024 weighs {d(3)}.{d(2)} kg.",
        lambda: f"Version {draw.randint(1, 9)}.{draw.randint(0, 30)}.{draw.randint(0, 9)}.{draw.randint(0, 9)} came out on 2024-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}.",
        lambda: f"The tracking code is {d(20, '1')} and the batch {letters(8, string.ascii_uppercase)}-{d(4)}.",
        lambda: f"Between 10:20:30 and 11:45:00 we saw {d(6)} of {d(7)} requests.",
        lambda: f"The commit is {letters(40, '0123456789abcdef')}.",
        lambda: f"See https://docs.example.com/guide?page={d(2)}&lang=en for the {d(4)} steps.",
        lambda: "Card " + bad(card(), lambda t: luhn.is_valid("".join(c for c in t if c.isdigit()))) + " was refused.",
        lambda: f"Revenue was {d(1, '123456789')},{d(3)},{d(3)} in {draw.randint(1990, 2024)} and {d(3)} more.",
        lambda: f"ISBN 978-{d(1)}-{d(4)}-{d(4)}-{d(1)} has {d(3)} pages.",
        lambda: f"Write @{draw.choice(FIRST)} in the channel, or a@b without a domain.",
        lambda: f"Room {d(3)}, shelf {d(2)}-{d(2)}-{d(2)}, box {d(5)}.",
        lambda: f"x = {d(1)}.{d(10)} and y = -{d(2)}.{d(6)}e-{d(1)}",
        lambda: f"The SSN 000-{d(2)}-{d(4)} is only a sample.",
        lambda: f"std::vec::Vec and a::b::c are paths; the ratio is {d(1)}:{d(1)}.",
        lambda: f"ThisIsAVeryLongIdentifierName{d(2)} calls another_function_with_words_{d(1)}.",
    ])()


for number in range(1500):
    if number % 5 < 3:
        kind, make = KINDS[number % len(KINDS)]
        value = make()
        lead = next((lead for lead in LEADS if value.startswith(lead)), "")
        before, after = draw.choice(BEFORE).split("{}")
        text = before + value + after
        start = len((before + lead).encode())
        spans = [[start, start + len(value[len(lead):].encode()), kind]]
    else:
        text, spans = negative(), []
    line = json.dumps({"text": text, "spans": spans}, ensure_ascii=False)
    # Scanners for secrets read files without decoding them: the invented keys need not alarm them.
    for key in ["AKIA", "ghp_", "sk_live_", "xoxb-", "hf_"]:
        line = line.replace(key, f"\\u{ord(key[0]):04x}" + key[1:])
    print(line)
