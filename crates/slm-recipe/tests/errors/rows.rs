//! What is said of rows.

use super::assert_problems;

#[test]
fn cleaning() {
    assert_problems(
        "[data.clean]\ndedup = \"fuzzy\"",
        &["r.toml:5:9 `data.clean.dedup` is `fuzzy`, needs one of `off`, `exact`, `minhash`"],
    );
    assert_problems(
        "[data.clean]\ndedup_threshold = 0.4\nshingle_size = 0",
        &[
            "r.toml:5:19 `data.clean.dedup_threshold` is 0.4, needs at least 0.5 and at most 1",
            "r.toml:6:16 `data.clean.shingle_size` is 0, needs at least 1",
        ],
    );
    assert_problems(
        "[data.clean]\nmin_chars = 9\nmax_chars = 8",
        &[
            "r.toml:5:1 `data.clean.min_chars` is 9 and `data.clean.max_chars` is 8: no row can have both",
        ],
    );
    assert_problems(
        "[data.clean]\nlanguages = [\"de\", \"zho\", \"english\"]\nmin_language_confidence = 90",
        &[
            "r.toml:5:1 `data.clean.languages` has `english`, needs codes of languages that can be told, as in `en` or `deu`",
            "r.toml:6:27 `data.clean.min_language_confidence` is 90, needs at least 0 and at most 1",
        ],
    );
    assert_problems(
        "[data.clean.balance]\nmax_ratio = 0.5",
        &[
            "r.toml:5:1 `data.clean.balance.max_ratio` is 0.5, needs 0 or at least 1: the rarest label keeps its rows",
        ],
    );
    assert_problems(
        "[data.clean.outliers]\naction = \"error\"\nmax_length_z = -1\nmin_words_with_letters = 2",
        &[
            "r.toml:5:10 `data.clean.outliers.action` is `error`, needs one of `off`, `report`, `drop`",
            "r.toml:6:16 `data.clean.outliers.max_length_z` is -1, needs at least 0",
            "r.toml:7:26 `data.clean.outliers.min_words_with_letters` is 2, needs at least 0 and at most 1",
        ],
    );
}

#[test]
fn personal_data() {
    assert_problems(
        "[data.clean]\npii = \"hide\"",
        &[
            "r.toml:5:7 `data.clean.pii` is `hide`, needs one of `off`, `report`, `redact`, `pseudonymise`, `error`",
        ],
    );
    assert_problems(
        "[data.clean]\npii = \"pseudonymise\"",
        &[
            "r.toml:5:1 missing key `data.clean.personal.key_env`: a keyed hash makes pseudonyms; name the environment variable that holds the key, or its file with `key_file`",
        ],
    );
    assert_problems(
        "[data.clean.personal]\nkey_env = \"A\"\nkey_file = \"b\"\nnames = [\"c\"]",
        &[
            "r.toml:5:1 `data.clean.personal.key_env` and `data.clean.personal.key_file` both name a key; needs one of them",
            "r.toml:7:1 `data.clean.personal.names` has no meaning: `data.clean.pii` is `off` and looks for nothing",
        ],
    );
}

#[test]
fn leaks_and_units_of_the_split() {
    assert_problems(
        "[data]\non_leak = \"stop\"\nmax_leak_rate = 2",
        &[
            "r.toml:5:11 `data.on_leak` is `stop`, needs one of `off`, `error`, `drop`, `report`",
            "r.toml:6:17 `data.max_leak_rate` is 2, needs at least 0 and at most 1",
        ],
    );
    assert_problems(
        "[data]\nval_every = 5\nstratify = true\nkeep_near_together = true",
        &[
            "r.toml:6:1 `data.stratify` is about the split by `data.val_size`, and there is none",
            "r.toml:7:1 `data.keep_near_together` is about the split by `data.val_size`, and there is none",
        ],
    );
}
