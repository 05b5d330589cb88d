//! Numbers that states give to persons.
//!
//! A check digit alone proves little: one in ten or eleven of all numbers of that length has it. A number that is written as its
//! country writes it is taken; one without any grouping only behind a word for it.

use std::ops::Range;

use super::checksums::{
    codice_fiscale, cpf, digits, eleven_test, luhn, mod_11_2, mod_11_10, number, pesel, verhoeff,
};
use super::{alone, follows_word};

/// How countries write them.
pub(super) const NUMBERS: [&str; 13] = [
    r"\b[0-9]{17}[0-9Xx]\b",
    r"\b[12] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
    r"\b[A-Z]{6}[0-9]{2}[A-EHLMPR-T][0-9]{2}[A-Z][0-9]{3}[A-Z]\b",
    r"\b[2-9][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}\b",
    r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b",
    r"\b[0-9]{2}\.?[0-9]{2}\.?[0-9]{2}[ -]?[0-9]{3}[ .-]?[0-9]{2}\b",
    r"\b[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b",
    r"\b[0-9]{6}[+-][0-9]{4}\b",
    r"\b[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]\b",
    r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b",
    r"\b[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}\b",
    r"\b[0-9]{2}\.?[0-9]{3}\.?[0-9]{3}-?[A-Z]\b",
    r"\b[XYZ]-?[0-9]{7}-?[A-Z]\b",
];

/// Whether it is one of: US SSN, German Steuer-IdNr., French NIR, Spanish DNI and NIE, Italian codice fiscale, Dutch BSN, Belgian
/// national number, Polish PESEL, Swedish personnummer, Finnish HETU, Brazilian CPF, Indian Aadhaar, Chinese resident number.
pub(super) fn national_id(text: &str, at: Range<usize>) -> bool {
    let said = &text[at.clone()];
    if !alone(text, &at, "-. ") {
        return false;
    }
    let behind = |words: &[&str]| follows_word(text, at.start, words);
    let shape: String = said
        .chars()
        .map(|c| match c {
            '0'..='9' => '9',
            'A'..='Z' => 'A',
            other => other,
        })
        .collect();
    let plain: String = said.chars().filter(char::is_ascii_alphanumeric).collect();
    let digits = digits(said);
    let grouped = |shapes: &[&str], words: &[&str]| {
        shapes.contains(&shape.as_str()) || (plain == *said && behind(words))
    };
    match (digits.len(), plain.len()) {
        (9, 9) if shape == "999-99-9999" => social_security(&digits),
        (9, 9) => {
            grouped(
                &["999.999.999"],
                &["bsn", "burgerservicenummer", "sofinummer"],
            ) && eleven_test(&digits)
        }
        (8, 9) if shape.starts_with('9') => {
            grouped(&["99999999A", "99999999-A", "99.999.999-A"], &[]) && spanish(&plain)
        }
        (7, 9) => grouped(&["A9999999A", "A-9999999-A"], &[]) && spanish(&plain),
        (9 | 10, 9..=11) if said.len() == 11 && finnish(said, &digits) => true,
        (10, 10) => {
            grouped(&["999999-9999", "999999+9999"], &["personnummer"])
                && born(&digits, "ymd")
                && luhn(&digits)
        }
        (11, 11) => {
            (grouped(&["999.999.999-99"], &["cpf"]) && cpf(&digits))
                || (grouped(
                    &["99.99.99-999.99", "99.99.99 999 99", "999999-999-99"],
                    &["rijksregisternummer", "niss", "insz"],
                ) && belgian(&digits))
                || (grouped(
                    &["99 999 999 999"],
                    &[
                        "steuer",
                        "idnr",
                        "steueridentifikationsnummer",
                        "tin",
                        "steuernummer",
                    ],
                ) && german(&digits))
                || (grouped(&[], &["pesel"]) && pesel(&digits))
        }
        (12, 12) => {
            grouped(
                &["9999 9999 9999", "9999-9999-9999"],
                &["aadhaar", "aadhar", "uid"],
            ) && digits[0] >= 2
                && verhoeff(&digits)
        }
        (12, 13) => false,
        (7.., 16) => codice_fiscale(&plain),
        (13..=15, 15) => french(&plain),
        (17 | 18, 18) => {
            plain == *said
                && plausible_year(number(&digits[6..10]))
                && born(&digits[8..14], "ymd")
                && mod_11_2(&plain)
        }
        _ => false,
    }
}

/// Social Security Administration, "SSN randomization": no 000, 666 or 900 and above, no group 00, no serial 0000.
fn social_security(digits: &[u32]) -> bool {
    let (area, group, serial) = (
        number(&digits[..3]),
        number(&digits[3..5]),
        number(&digits[5..]),
    );
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0
}

/// The letter that ends a DNI or NIE (Ministerio del Interior): the remainder by 23.
fn spanish(plain: &str) -> bool {
    const LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let (body, last) = plain.split_at(plain.len() - 1);
    let body = body
        .replacen('X', "0", 1)
        .replacen('Y', "1", 1)
        .replacen('Z', "2", 1);
    let number: Result<usize, _> = body.parse();
    number.is_ok_and(|number| last.as_bytes() == [LETTERS[number % 23]])
}

/// Digital and Population Data Services Agency: the remainder of the nine digits by 31.
fn finnish(said: &str, digits: &[u32]) -> bool {
    const SIGNS: &[u8] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let bytes = said.as_bytes();
    let nine = [&bytes[..6], &bytes[7..10]].concat();
    nine.iter().all(u8::is_ascii_digit)
        && b"+-ABCDEFUVWXY".contains(&bytes[6])
        && born(digits, "dmy")
        && bytes[10] == SIGNS[number(&digits[..9]) as usize % 31]
}

/// Rijksregister: 97 less the remainder of the first nine digits, with a 2 before them for those born from 2000 on.
fn belgian(digits: &[u32]) -> bool {
    let (body, check) = (number(&digits[..9]), number(&digits[9..]));
    [body, 2_000_000_000 + body]
        .iter()
        .any(|body| 97 - body % 97 == check)
}

/// Bundeszentralamt für Steuern: of the first ten digits one occurs twice or three times, the others at most once.
fn german(digits: &[u32]) -> bool {
    let count = |digit: u32| digits[..10].iter().filter(|other| **other == digit).count();
    let repeated: Vec<usize> = (0..10).map(count).filter(|count| *count > 1).collect();
    digits[0] != 0 && matches!(repeated[..], [2 | 3]) && mod_11_10(digits)
}

/// INSEE: 97 less the remainder of the number, 2A and 2B of Corsica read as 19 and 18.
fn french(plain: &str) -> bool {
    let plain = plain.replacen("2A", "19", 1).replacen("2B", "18", 1);
    let digits = digits(&plain);
    plain.len() == digits.len()
        && matches!(digits[0], 1 | 2)
        && matches!(number(&digits[3..5]), 1..=12 | 20..=42 | 50..)
        && 97 - number(&digits[..13]) % 97 == number(&digits[13..])
}

/// Whether the first six digits can be a date of birth.
fn born(digits: &[u32], order: &str) -> bool {
    let pair = |at: usize| number(&digits[at..at + 2]);
    let (month, day) = match order {
        "dmy" => (pair(2), pair(0)),
        _ => (pair(2), pair(4)),
    };
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

fn plausible_year(year: u64) -> bool {
    (1900..2100).contains(&year)
}
