//! The languages that can be told, by their codes.

/// Codes of ISO 639-1 and 639-3: the languages that whatlang 0.18 tells apart.
pub const LANGUAGES: [(&str, &str); 70] = [
    ("af", "afr"),
    ("ak", "aka"),
    ("am", "amh"),
    ("ar", "ara"),
    ("az", "aze"),
    ("be", "bel"),
    ("bg", "bul"),
    ("bn", "ben"),
    ("ca", "cat"),
    ("cs", "ces"),
    ("cy", "cym"),
    ("da", "dan"),
    ("de", "deu"),
    ("el", "ell"),
    ("en", "eng"),
    ("eo", "epo"),
    ("es", "spa"),
    ("et", "est"),
    ("fa", "pes"),
    ("fi", "fin"),
    ("fr", "fra"),
    ("gu", "guj"),
    ("he", "heb"),
    ("hi", "hin"),
    ("hr", "hrv"),
    ("hu", "hun"),
    ("hy", "hye"),
    ("id", "ind"),
    ("it", "ita"),
    ("ja", "jpn"),
    ("jv", "jav"),
    ("ka", "kat"),
    ("km", "khm"),
    ("kn", "kan"),
    ("ko", "kor"),
    ("la", "lat"),
    ("lt", "lit"),
    ("lv", "lav"),
    ("mk", "mkd"),
    ("ml", "mal"),
    ("mr", "mar"),
    ("my", "mya"),
    ("nb", "nob"),
    ("ne", "nep"),
    ("nl", "nld"),
    ("or", "ori"),
    ("pa", "pan"),
    ("pl", "pol"),
    ("pt", "por"),
    ("ro", "ron"),
    ("ru", "rus"),
    ("si", "sin"),
    ("sk", "slk"),
    ("sl", "slv"),
    ("sn", "sna"),
    ("sr", "srp"),
    ("sv", "swe"),
    ("ta", "tam"),
    ("te", "tel"),
    ("th", "tha"),
    ("tk", "tuk"),
    ("tl", "tgl"),
    ("tr", "tur"),
    ("uk", "ukr"),
    ("ur", "urd"),
    ("uz", "uzb"),
    ("vi", "vie"),
    ("yi", "yid"),
    ("zh", "cmn"),
    ("zu", "zul"),
];

/// Codes of groups of languages, of which one can be told.
const GROUPS: [(&str, &str); 4] = [("fas", "fa"), ("no", "nb"), ("nor", "nb"), ("zho", "zh")];

/// The two letters (ISO 639-1) of a language that can be told, by any code of it.
pub fn language_code(code: &str) -> Option<&'static str> {
    let of_language = LANGUAGES
        .into_iter()
        .find(|(two, three)| code == *two || code == *three);
    let of_group = || GROUPS.into_iter().find(|(group, _)| code == *group);
    of_language
        .map(|(two, _)| two)
        .or_else(|| of_group().map(|(_, two)| two))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_code_of_a_language_is_known() {
        for (code, two) in [("de", "de"), ("deu", "de"), ("zho", "zh"), ("no", "nb")] {
            assert_eq!(language_code(code), Some(two), "{code}");
        }
        for code in ["", "DE", "german", "xx"] {
            assert_eq!(language_code(code), None, "{code}");
        }
        let groups = GROUPS
            .iter()
            .filter(|(_, two)| language_code(two).is_some());
        assert_eq!(groups.count(), GROUPS.len());
    }
}
