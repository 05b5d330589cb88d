use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use slm_recipe::PersonalSection;

use super::PersonalKind;
use super::value::value;
use crate::error::DataError;

/// Bytes that a key needs: 128 bits, the least security strength that NIST SP 800-107 (5.3.4) names for a key of HMAC today.
const KEY_BYTES: usize = 16;

/// What makes pseudonyms: HMAC-SHA256 (RFC 2104) over the kind of personal data and its value. Whoever lacks the key cannot find
/// the value by trying all of them, as one can with a hash alone.
#[derive(Clone)]
pub(crate) struct PseudonymKey(Hmac<Sha256>);

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(..)")
    }
}

impl PseudonymKey {
    /// The key that a section names, without blanks around it.
    pub(crate) fn of(section: &PersonalSection) -> Result<Self, DataError> {
        let (place, found) = match (&section.key_env, &section.key_file) {
            (Some(name), _) => (
                format!("the environment variable `{name}`"),
                std::env::var(name).unwrap_or_default().into_bytes(),
            ),
            (None, Some(path)) => {
                let read = fs_err::read(path).map_err(|source| DataError::Io { source })?;
                (format!("the file `{path}`"), read)
            }
            (None, None) => ("`data.clean.personal`".into(), Vec::new()),
        };
        let key = found.trim_ascii();
        match Hmac::new_from_slice(key) {
            Ok(mac) if key.len() >= KEY_BYTES => Ok(Self(mac)),
            _ => Err(DataError::PseudonymKey {
                place,
                found: key.len(),
                needed: KEY_BYTES,
            }),
        }
    }

    /// Tells keys apart without telling them.
    pub(crate) fn mark(&self) -> String {
        hex(&self.hash(&["which key"])[..16])
    }

    /// What stands for a value. E-mail keeps its shape, with one host for one host, under `.example`, which belongs to nobody
    /// (RFC 2606); so does the address of a network card, marked as locally given (IEEE 802). Of other kinds no shape is left
    /// for numbers that belong to nobody.
    pub(crate) fn pseudonym(&self, kind: PersonalKind, text: &str) -> String {
        let value = value(kind, text);
        let hash = self.hash(&[kind.name(), &value]);
        match (kind, value.rsplit_once('@')) {
            (PersonalKind::Email, Some((_, host))) => {
                let host = self.hash(&["HOST", host]);
                format!("u{}@h{}.example", hex(&hash[..6]), hex(&host[..4]))
            }
            (PersonalKind::Mac, _) => {
                // The second-lowest bit of the first byte says that no manufacturer gave it, the lowest that it is one card's.
                let bytes = [&[hash[0] & 0xfc | 2], &hash[1..6]].concat();
                let bytes: Vec<String> = bytes.iter().map(|byte| hex(&[*byte])).collect();
                bytes.join(if text.contains('-') { "-" } else { ":" })
            }
            _ => format!("<{}_{}>", kind.name(), hex(&hash[..6])),
        }
    }

    /// Over parts, each preceded by its length.
    fn hash(&self, parts: &[&str]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> PseudonymKey {
        PseudonymKey(Hmac::new_from_slice(text.as_bytes()).unwrap())
    }

    /// Python's `hmac` and `struct` made these.
    #[test]
    fn pseudonyms_of_another_implementation() {
        let key = key("0123456789abcdef");
        for (kind, text, pseudonym) in [
            (
                PersonalKind::Email,
                "A@Example.com",
                "u0ca1206f2ade@h980b4d61.example",
            ),
            (
                PersonalKind::Iban,
                "DE89 3704 0044 0532 0130 00",
                "<IBAN_e37821a56aa9>",
            ),
            (PersonalKind::Mac, "00-1B-44-11-3A-B7", "56-1f-20-4d-ee-69"),
            (PersonalKind::Name, "Ann  Lee", "<NAME_372a6e6a0fe2>"),
        ] {
            assert_eq!(key.pseudonym(kind, text), pseudonym);
        }
    }

    #[test]
    fn other_keys_kinds_and_values_have_others() {
        let one = key("0123456789abcdef");
        let ip = one.pseudonym(PersonalKind::Ip, "192.0.2.7");
        let other = key("0123456789abcdeF");
        assert_ne!(ip, other.pseudonym(PersonalKind::Ip, "192.0.2.7"));
        assert_ne!(ip, one.pseudonym(PersonalKind::Ip, "192.0.2.8"));
        let name = one.pseudonym(PersonalKind::Name, "Paris");
        let address = one.pseudonym(PersonalKind::Address, "Paris");
        assert_ne!(name["<NAME_".len()..], address["<ADDRESS_".len()..]);
        assert_ne!(one.mark(), other.mark());
        assert_eq!(format!("{one:?}"), "PseudonymKey(..)");
    }
}
