"""Writes held_out.jsonl: other sentences, other ways of writing and other draws than test.jsonl, which nothing was corrected by.

    pip install python-stdnum==2.* && python3 datasets/pii/held_out.py > datasets/pii/held_out.jsonl

Check digits come from python-stdnum. Nothing here belongs to anyone: numbers are random, hosts are those that RFC 2606 and RFC 5737
reserve.
"""

import base64
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

draw = random.Random(77001)
FIRST = "Olena Tomasz Ngozi Björn Chiara Dmitri Fatima Hugo Ines Kenji".split()
LAST = "Vasquez Thorne Iwu Lindgren Bellini Orlov Haddad Marchetti Duarte Mori".split()
ALNUM = string.ascii_letters + string.digits
pick, number = draw.choice, draw.randint


def digits(n, first="0123456789"):
    return pick(first) + "".join(pick(string.digits) for _ in range(n - 1))


def letters(n, of=ALNUM):
    return "".join(pick(of) for _ in range(n))


def email():
    first, last = pick(FIRST).lower().replace("ö", "oe"), pick(LAST)
    name = pick([f"{first[0]}.{last}", f"{last}-{first}", f"{first}.{last}+news", f"o'{last}", f"{last}{digits(3)}", f"{first}_{digits(2)}.{last}"])
    host = pick(["example.org", "sub.dept.example.net", "EXAMPLE.COM", "my-shop.example", "xn--bcher-kva.example"])
    return pick([name, name.lower()]) + "@" + host


def phone():
    d = digits
    return pick([
        f"+39 06 {d(4)} {d(4)}", f"+34 6{d(2)} {d(3)} {d(3)}", f"+31-20-{d(3)}-{d(4)}", f"+61 2 {d(4)} {d(4)}", f"+1-{d(3, '23456789')}-{d(3, '23456789')}-{d(4)}",
        f"+55 (11) 9{d(4)}-{d(4)}", f"+4179{d(7)}", f"0049 30 {d(7, '123456789')}", f"(040) {d(3, '123456789')} {d(4)}", f"{d(3, '23456789')}.{d(3, '23456789')}.{d(4)}",
        f"01 {d(2)} {d(2)} {d(2)} {d(2)}", f"020 7{d(3)} {d(4)}",
    ])


def iban():
    country, length = pick([("FR", 27), ("GB", 22), ("NL", 18), ("IT", 27), ("SE", 24), ("NO", 15), ("PT", 25), ("TR", 26)])
    body = digits(length - 4)
    if country in ("GB", "NL"):
        body = letters(4, string.ascii_uppercase) + body[4:]
    if country == "IT":
        body = pick(string.ascii_uppercase) + body[1:]
    text = country + mod_97_10.calc_check_digits(body + country) + body
    return pick([text, " ".join(text[i:i + 4] for i in range(0, length, 4))])


def card():
    start, length = pick([("2221", 16), ("36", 14), ("34", 15), ("65", 16), ("3528", 16), ("4", 19)])
    body = start + digits(length - 1 - len(start))
    text = body + luhn.calc_check_digit(body)
    if length == 16:
        return pick(["", " ", "-"]).join(text[i:i + 4] for i in range(0, 16, 4))
    if length == 15:
        return pick([text, f"{text[:4]}-{text[4:10]}-{text[10:]}"])
    return text


def national():
    """A word before the number or none, and the number."""
    day, month, year = number(1, 28), number(1, 12), number(1940, 1999)
    yy, mm, dd = f"{year % 100:02d}", f"{month:02d}", f"{day:02d}"
    kind = draw.randrange(13)
    if kind == 0:
        return pick(["", "SSN "]), f"{number(1, 665):03d}-{number(1, 99):02d}-{number(1, 9999):04d}"
    if kind == 1:
        while True:
            ten = list("1234567890")
            draw.shuffle(ten)
            ten[draw.randrange(10)] = pick(ten)
            text = "".join(ten) + idnr.mod_11_10.calc_check_digit("".join(ten))
            if idnr.is_valid(text):
                return pick([("Steuer-ID ", text), ("", f"{text[:2]} {text[2:5]} {text[5:8]} {text[8:]}")])
    if kind == 2:
        body = f"{pick('12')}{yy}{mm}{number(1, 95):02d}{digits(6)}"
        text = body + nir.calc_check_digits(body)
        return "", f"{text[0]} {text[1:3]} {text[3:5]} {text[5:7]} {text[7:10]} {text[10:13]} {text[13:]}"
    if kind == 3:
        body = digits(8)
        return pick(["", "DNI "]), body + "-" + dni.calc_check_digit(body)
    if kind == 4:
        body = pick("XYZ") + digits(7)
        return "", f"{body[0]}-{body[1:]}-{nie.calc_check_digit(body)}"
    if kind == 5:
        body = letters(6, "BCDFGLMNPRST") + yy + pick("ABCDEHLMPRST") + f"{day + pick([0, 40]):02d}" + pick("BCDGHLM") + digits(3)
        return pick(["", "codice fiscale "]), body + codicefiscale.calc_check_digit(body)
    if kind == 6:
        while True:
            text = digits(9, "123456789")
            if bsn.is_valid(text):
                return "burgerservicenummer ", text
    if kind == 7:
        body = f"{yy}{mm}{dd}{number(1, 997):03d}"
        text = body + f"{97 - int(body) % 97:02d}"
        assert nn.is_valid(text)
        return pick([("Rijksregisternummer ", text), ("", f"{text[:2]}.{text[2:4]}.{text[4:6]}-{text[6:9]}.{text[9:]}")])
    if kind == 8:
        body = f"{yy}{mm}{dd}{digits(4)}"
        return pick(["PESEL: ", "numer PESEL "]), body + pesel.calc_check_digit(body)
    if kind == 9:
        body = f"{yy}{mm}{dd}{digits(3)}"
        return pick(["", "personnummer "]), f"{body[:6]}{pick('-+')}{body[6:]}{luhn.calc_check_digit(body)}"
    if kind == 10:
        body = f"{dd}{mm}{yy}{number(2, 899):03d}"
        return pick(["", "henkilötunnus "]), f"{body[:6]}{pick('-YXW')}{body[6:]}{hetu._calc_checksum(body)}"
    if kind == 11:
        body = digits(9)
        check = cpf._calc_check_digits(body)
        return pick([("CPF ", f"{body}{check}"), ("", f"{body[:3]}.{body[3:6]}.{body[6:]}-{check}")])
    if draw.random() < 0.5:
        body = digits(11, "23456789")
        text = body + verhoeff.calc_check_digit(body)
        return pick([("Aadhaar ", text), ("", f"{text[:4]}-{text[4:8]}-{text[8:]}")])
    body = f"440301{year}{mm}{dd}{digits(3)}"
    return "", body + ric.calc_check_digit(body + "0")


def ip():
    return pick([
        f"10.{number(0, 255)}.{number(0, 255)}.{number(1, 254)}", f"172.16.{number(0, 255)}.{number(1, 254)}", f"198.51.100.{number(1, 254)}",
        f"fe80::{draw.randrange(65536):x}:{draw.randrange(65536):x}", ":".join(f"{number(1, 65535):04x}" for _ in range(8)),
        f"2001:DB8::{draw.randrange(4096, 65536):X}",
    ])


def mac():
    return pick([
        "-".join(f"{draw.randrange(256):02X}" for _ in range(6)), ":".join(f"{draw.randrange(256):02X}" for _ in range(6)),
        ":".join(f"{draw.randrange(256):02x}" for _ in range(6)),
    ])


def secret():
    """A word before the key or none, and the key."""
    def part(text):
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    token = f"{part(json.dumps({'alg': 'HS256'}))}.{part(json.dumps({'sub': digits(10)}))}.{letters(43)}"
    return pick([
        ("", "ASIA" + letters(16, string.ascii_uppercase + string.digits)), ("", "github_pat_" + letters(22) + "_" + letters(59)),
        ("", "glpat-" + letters(20)), ("", "npm_" + letters(36)), ("", "AIza" + letters(35)), ("", "sk-proj-" + letters(40)), ("", token),
        ("Authorization: Bearer ", letters(40, string.ascii_lowercase + string.digits)), ("secret=", letters(28)), ("AWS secret key ", letters(40, ALNUM + "+/")),
    ])


def url():
    return pick([
        f"ftp://{pick(LAST).lower()}:{letters(8)}@files.example.org/in", f"https://example.com/cb#access_token={letters(24)}&state=1",
        f"https://store.example.net/object?X-Amz-Signature={letters(64, '0123456789abcdef')}", f"redis://:{letters(14)}@cache.example.com:6379/0",
        f"https://hooks.example.com/run?id={digits(3)}&api_key={letters(16)}",
    ])


KINDS = {"email": email, "phone": phone, "iban": iban, "card": card, "national_id": national, "ip": ip, "mac": mac, "secret": secret, "secret_url": url}
AROUND = ["{}", "- {}\n- none\n", "Bonjour, voici {} comme demandé.", "{{\"value\": \"{}\", \"ok\": true}}", "Grüße,\n{}", "please update <b>{}</b> today!",
          "| field | {} |", "He wrote: «{}».", "Both {} and nothing else;", "Contact={}"]


def negative():
    d = digits
    return pick([
        lambda: f"id {letters(8, '0123456789abcdef')}-{letters(4, '0123456789abcdef')}-4{letters(3, '0123456789abcdef')}-a{letters(3, '0123456789abcdef')}-{letters(12, '0123456789abcdef')}",
        lambda: f"At 2024-{number(1, 12):02d}-{number(1, 28):02d}T{number(10, 23)}:{number(10, 59)}:{number(10, 59)}+02:00 the job ended.",
        lambda: f"The lamp at {number(10, 59)}.{d(6)}, {number(10, 99)}.{d(6)} is out.",
        lambda: f"EAN {d(13, '4')} costs {d(2, '123456789')},{d(2)} EUR.",
        lambda: f"CAS {d(5, '123456789')}-{d(2)}-{d(1)} melts at {d(3, '123456789')} K.",
        lambda: f"doi:10.{d(4, '123456789')}/s{d(5)}-0{d(2)}-{d(5)}-{d(1)}",
        lambda: f"See arXiv {number(10, 24)}{number(1, 12):02d}.{d(5)}v{number(1, 5)} and Luke {number(1, 24)}:{number(1, 38)}-{number(39, 50)}.",
        lambda: f"sha256 {letters(64, '0123456789abcdef')} file-{d(4)}.tar.gz",
        lambda: f"Invoice {d(10, '123456789')} for {number(2, 9)} x {d(6, '123456789')}-{d(3)}",
        lambda: f"color: #{letters(6, '0123456789abcdef')}; margin: {number(1, 9)}px {number(1, 9)}px {number(1, 9)}px {number(1, 9)}px;",
        lambda: f"The set ended {number(6, 7)}-{number(0, 5)}, {number(6, 7)}-{number(0, 5)} after {number(1, 3)}:{number(10, 59)} hours.",
        lambda: f"kernel v{number(3, 6)}.{number(0, 20)}.{number(0, 200)}.{number(1, 20)} and release {number(1, 9)}.{number(0, 9)}.{number(0, 9)}.{number(0, 9)}",
        lambda: f"population {number(1, 9)} {d(3)} {d(3)}, area {d(3, '123456789')} {d(3)} km²",
        lambda: f"SELECT a.b FROM t WHERE n = {d(9, '123456789')} -- @todo",
        lambda: f"https://www.example.org/path/{d(8)}?q=keys&sort=token&page={number(1, 9)}",
        lambda: f"part number {letters(3, string.ascii_uppercase)}{d(4)}-{d(3)}-{d(4)}",
        lambda: f"from 1914 to 1918, pp. {number(100, 300)}-{number(301, 900)}, vol. {number(1, 90)}({number(1, 12)})",
        lambda: f"{d(3, '123456789')} {d(3)} {d(3)} {d(3)} kWh over {number(2, 9)} years",
    ])()


KEYS = ["ASIA", "github_pat_", "glpat-", "npm_", "AIza", "sk-proj-", "eyJ"]
for row in range(1500):
    if row % 5 < 3:
        kind = list(KINDS)[row % len(KINDS)]
        made = KINDS[kind]()
        lead, value = made if isinstance(made, tuple) else ("", made)
        around = pick(AROUND).replace("{{", "{").replace("}}", "}")
        before, after = around.split("{}")
        start = len((before + lead).encode())
        text, spans = before + lead + value + after, [[start, start + len(value.encode()), kind]]
    else:
        text, spans = negative(), []
    line = json.dumps({"text": text, "spans": spans}, ensure_ascii=False)
    # Scanners for secrets read files without decoding them: the invented keys need not alarm them.
    for key in KEYS:
        line = line.replace(key, f"\\u{ord(key[0]):04x}" + key[1:])
    print(line)
