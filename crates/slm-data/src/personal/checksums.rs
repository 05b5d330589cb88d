//! Check digits, each with its source.

/// The digits of a text, whatever stands between them.
pub(super) fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// The number that digits write.
pub(super) fn number(digits: &[u32]) -> u64 {
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(*digit))
}

fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum()
}

/// Luhn's check digit (ISO/IEC 7812-1, annex B), the last one.
pub(super) fn luhn(digits: &[u32]) -> bool {
    let doubled = |(at, digit): (usize, &u32)| match (at % 2, digit * 2) {
        (0, _) => *digit,
        (_, twice) => twice / 10 + twice % 10,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// Verhoeff's check digit (1969), the last one: the dihedral group of ten elements.
pub(super) fn verhoeff(digits: &[u32]) -> bool {
    const TURNED: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let product = |left: u32, right: u32| match (left < 5, right < 5) {
        (true, true) => (left + right) % 5,
        (true, false) => 5 + (left + right) % 5,
        (false, true) => 5 + (left + 5 - right) % 5,
        (false, false) => (left + 5 - right) % 5,
    };
    let turned =
        |digit: u32, times: usize| (0..times % 8).fold(digit, |digit, _| TURNED[digit as usize]);
    let places = digits.iter().rev().enumerate();
    places.fold(0, |sum, (at, digit)| product(sum, turned(*digit, at))) == 0
}

/// The remainder of letters and digits by 97, letters as 10 to 35 (ISO/IEC 7064, MOD 97-10).
pub(super) fn mod_97(text: impl Iterator<Item = char>) -> Option<u32> {
    text.filter(|c| !c.is_whitespace()).try_fold(0, |rest, c| {
        let value = c.to_digit(36)?;
        Some(
            if value < 10 {
                rest * 10 + value
            } else {
                rest * 100 + value
            } % 97,
        )
    })
}

/// MOD 11,10 (ISO/IEC 7064): of the German tax number.
pub(super) fn mod_11_10(digits: &[u32]) -> bool {
    let Some((check, rest)) = digits.split_last() else {
        return false;
    };
    let product = rest.iter().fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == *check
}

/// MOD 11-2 (ISO/IEC 7064), `X` is 10: of the Chinese resident number (GB 11643-1999).
pub(super) fn mod_11_2(text: &str) -> bool {
    let values = text.chars().map(|c| match c {
        'X' | 'x' => Some(10),
        c => c.to_digit(10),
    });
    values
        .into_iter()
        .try_fold(0, |sum, value| Some((sum * 2 + value?) % 11))
        == Some(1)
}

/// The Dutch eleven test: weights 9 to 2, and -1.
pub(super) fn eleven_test(digits: &[u32]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    digits.len() == 9 && sum > 0 && sum % 11 == digits[8]
}

/// The Polish PESEL: weights 1, 3, 7, 9.
pub(super) fn pesel(digits: &[u32]) -> bool {
    digits.len() == 11
        && (weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) + digits[10]).is_multiple_of(10)
}

/// The two check digits of the Brazilian CPF.
pub(super) fn cpf(digits: &[u32]) -> bool {
    let check = |n: usize| {
        let weights: Vec<u32> = (2..=n as u32 + 1).rev().collect();
        match weighted(&digits[..n], &weights) % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    digits.len() == 11
        && digits.iter().any(|digit| *digit != digits[0])
        && check(9) == digits[9]
        && check(10) == digits[10]
}

/// The letter that ends an Italian codice fiscale (D.M. 23 December 1976).
pub(super) fn codice_fiscale(text: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let value = |c: char| match c.to_digit(36) {
        Some(value) if value < 10 => Some(value as usize),
        Some(value) => Some(value as usize - 10),
        None => None,
    };
    let sum = text
        .chars()
        .take(15)
        .enumerate()
        .try_fold(0, |sum, (at, c)| {
            let value = value(c)?;
            Some(
                sum + if at % 2 == 0 {
                    ODD[value]
                } else {
                    value as u32
                },
            )
        });
    let last = text.chars().nth(15).and_then(value);
    text.len() == 16 && last.is_some() && sum.map(|sum| sum as usize % 26) == last
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples that the sources named above, and the authorities, publish.
    #[test]
    fn published_examples() {
        for (number, holds) in [
            ("79927398713", true),
            ("4111111111111111", true),
            ("79927398710", false),
        ] {
            assert_eq!(luhn(&digits(number)), holds, "{number}");
        }
        assert!(verhoeff(&digits("2363")) && !verhoeff(&digits("2364")));
        assert!(verhoeff(&digits("1428570")) && !verhoeff(&digits("4128570")));
        let iban = |text: &str| mod_97(text[4..].chars().chain(text[..4].chars()));
        assert_eq!(iban("GB82WEST12345698765432"), Some(1));
        assert_eq!(iban("DE89370400440532013000"), Some(1));
        assert_ne!(iban("DE89370400440532013001"), Some(1));
        assert!(mod_11_10(&digits("86095742719")) && !mod_11_10(&digits("86095742718")));
        assert!(mod_11_2("11010519491231002X") && !mod_11_2("110105194912310021"));
        assert!(eleven_test(&digits("111222333")) && !eleven_test(&digits("111222334")));
        assert!(pesel(&digits("44051401359")) && !pesel(&digits("44051401358")));
        assert!(cpf(&digits("529.982.247-25")) && !cpf(&digits("529.982.247-26")));
        assert!(codice_fiscale("RSSMRA85T10A562S") && !codice_fiscale("RSSMRA85T10A562T"));
    }
}
