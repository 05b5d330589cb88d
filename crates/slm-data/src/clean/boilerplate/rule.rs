//! What lines say that nobody wrote for the reader.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

/// What a line is that is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::clean) enum Rule {
    /// C4 leaves out lines about the use of cookies; here only those that ask for consent.
    Cookies,
    /// Counters and buttons to share (line-wise corrections of RefinedWeb, Penedo et al. 2023, appendix G.2).
    Sharing,
    /// Three entries of a menu in a row, or links to parts of the page (RefinedWeb, as above).
    Navigation,
    /// Copyright in one of the last lines.
    Footer,
    /// What a telephone puts below a mail.
    MailClient,
    /// Behind the separator of RFC 3676, section 4.3.
    Signature,
    /// A last paragraph on whom a mail is for.
    Disclaimer,
}

impl Rule {
    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cookies => "cookie notice",
            Self::Sharing => "links to share",
            Self::Navigation => "navigation",
            Self::Footer => "footer",
            Self::MailClient => "mail client",
            Self::Signature => "signature",
            Self::Disclaimer => "mail disclaimer",
        }
    }

    /// What a whole line is by itself, trimmed.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let (lines, rules) = &*WHOLE;
        let first = lines.matches(line).iter().next()?;
        Some(rules[first])
    }
}

/// Whether a line is an entry of a menu.
pub(super) fn is_entry(line: &str) -> bool {
    MENU.is_match(line.trim())
}

/// Whether a line is the footer of a page or a mail.
pub(super) fn is_copyright(line: &str) -> bool {
    COPYRIGHT.is_match(line)
}

/// Whether a paragraph on one line says whom a mail is for.
pub(super) fn is_disclaimer(paragraph: &str) -> bool {
    DISCLAIMER.is_match(paragraph)
}

/// Whole lines in small letters, without the mark or arrow at their end.
const LINES: [(Rule, &[&str]); 4] = [
    (
        Rule::Cookies,
        &[
            r"(this|our) (web)?(site|page|shop) (also )?uses? cookies\b.*",
            r"we (and our ([0-9]+ )?(trusted )?partners )?use (\w+ ){0,2}cookies\b.*\b(site|website|experience|consent|settings|policy|traffic|browsing)\b.*",
            r"by (continuing|using|clicking|browsing|closing)\b.*\bcookies?\b.*",
            r"(accept|allow|reject|decline|manage|customi[sz]e) (all |necessary |essential |the use of )*cookies",
            r"cookie (settings|preferences|policy|notice)",
            r"((diese|unsere) (web)?(site|seite)|wir) (verwende[nt]|nutz(en|t)) cookies\b.*",
            r"alle( cookies)? akzeptieren|(tout accepter|accepter (tous )?les cookies)|aceptar (todas )?las cookies",
            r"(ce|notre) site( web)? utilise des cookies\b.*|(este|nuestro) sitio( web)? (utiliza|usa) cookies\b.*",
        ],
    ),
    (
        Rule::Sharing,
        &[
            r"(share|tweet|pin|e-?mail|print)( (this|it))?( (article|page|post|story|recipe))? (on|via|to|with|by) (facebook|twitter|x|linkedin|whatsapp|pinterest|reddit|telegram|e-?mail|a friend|your friends)",
            r"click to (share|e-?mail|print)\b.*\(opens in new window\)|share this( article| page| post| story)?",
            r"[0-9][0-9.,]*k? (likes?|shares?|tweets?|retweets?|comments?|views?)",
        ],
    ),
    (
        Rule::Navigation,
        &[
            r"skip to (main )?(content|navigation)|toggle navigation|back to top|jump to navigation|zum inhalt springen|aller au contenu( principal)?",
        ],
    ),
    (
        Rule::MailClient,
        &[
            r"sent from my (iphone|ipad|android|samsung|galaxy|blackberry|huawei|pixel|mobile|phone|windows phone)\b[\w +]{0,30}|get outlook for (ios|android)( ?<.*>)?|sent from (outlook|yahoo mail|mail)( for \w+( [0-9]+)?)?",
            r"von meinem (iphone|ipad|mobiltelefon|samsung\b.*|smartphone) gesendet|envoyé de mon (iphone|ipad|mobile)|enviado desde mi (iphone|ipad|móvil)|inviato da(l mio)? (iphone|ipad)",
        ],
    ),
];
/// Entries of the menus of web pages.
const ENTRIES: &str = r"home(page)?|about( us)?|contact( us)?|log ?(in|out)|sign (in|up)|register|search|menu|site ?map|privacy( policy)?|terms( of (use|service)| (&|and) conditions)?|cookie policy|faqs?|blog|news|careers|jobs|products|services|support|help|shop|store|cart|checkout|my account|subscribe|newsletter|press|gallery|events|startseite|kontakt|impressum|datenschutz|agb|accueil|mentions légales|inicio|contacto|aviso legal";
/// Not an option `(c) 2020` of a question.
const FOOTERS: &str = r"^(copyright|copyright \(c\)|(copyright )?©( copyright)?),? ?(19|20)[0-9]{2}\b|\ball rights reserved\b|^alle rechte vorbehalten|^tous droits réservés";
const DISCLAIMERS: &str = r"^(confidentiality notice|disclaimer|(the information (contained )?in )?this (e-?mail|message|communication|transmission))\b.*\b(confidential|privileged)\b.*\b(intended|addressee)\b";

static WHOLE: LazyLock<(RegexSet, Vec<Rule>)> = LazyLock::new(|| {
    let lines = LINES
        .iter()
        .flat_map(|(rule, lines)| lines.iter().map(move |line| (rule, line)));
    let (rules, lines): (Vec<Rule>, Vec<String>) = lines
        .map(|(rule, line)| (*rule, format!(r"(?i)^(?:{line})[ .!:»›>]*$")))
        .unzip();
    (RegexSet::new(lines).expect("the tests compile it"), rules)
});
static MENU: LazyLock<Regex> = LazyLock::new(|| regex(&format!("^(?:{ENTRIES})$")));
static COPYRIGHT: LazyLock<Regex> = LazyLock::new(|| regex(FOOTERS));
static DISCLAIMER: LazyLock<Regex> = LazyLock::new(|| regex(DISCLAIMERS));

/// In any letters.
fn regex(pattern: &str) -> Regex {
    Regex::new(&format!("(?i){pattern}")).expect("the tests compile it")
}
