use super::PersonalKind;

/// Personal data without the ways in which it can be written: two places with the same value mean the same.
pub(super) fn value(kind: PersonalKind, text: &str) -> String {
    let kept = |keep: fn(&char) -> bool| text.chars().filter(keep).collect::<String>();
    match kind {
        PersonalKind::Email => text.to_lowercase(),
        PersonalKind::Iban | PersonalKind::NationalId => {
            kept(char::is_ascii_alphanumeric).to_uppercase()
        }
        PersonalKind::Card => kept(char::is_ascii_digit),
        PersonalKind::Phone => kept(|c| c.is_ascii_digit() || *c == '+'),
        PersonalKind::Mac => kept(char::is_ascii_hexdigit).to_lowercase(),
        PersonalKind::Ip => match text.parse::<std::net::IpAddr>() {
            Ok(ip) => ip.to_string(),
            Err(_) => text.to_owned(),
        },
        // Letters of either size tell keys apart.
        PersonalKind::Secret | PersonalKind::SecretUrl => text.to_owned(),
        PersonalKind::Name | PersonalKind::Address => {
            let words: Vec<&str> = text.split_whitespace().collect();
            words.join(" ").to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_however_it_is_written() {
        use PersonalKind::{Card, Email, Iban, Ip, Mac, Name, NationalId, Phone, Secret};
        for (kind, one, other) in [
            (Email, "A.Smith@Example.com", "a.smith@example.com"),
            (
                Iban,
                "DE89 3704 0044 0532 0130 00",
                "DE89370400440532013000",
            ),
            (Card, "4111-1111-1111-1111", "4111 1111 1111 1111"),
            (Phone, "+49 30 (123) 4567", "+49301234567"),
            (Mac, "00-1B-44-11-3A-B7", "00:1b:44:11:3a:b7"),
            (Ip, "2001:DB8:0::1", "2001:db8::1"),
            (NationalId, "529.982.247-25", "52998224725"),
            (Name, "Ann\n Lee", "ANN LEE"),
        ] {
            assert_eq!(value(kind, one), value(kind, other), "{one}");
        }
        assert_ne!(value(Secret, "aB"), value(Secret, "ab"));
    }
}
