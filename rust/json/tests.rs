//! The scanner against `serde_json`.

use proptest::prelude::*;
use proptest::sample::select;
use serde::de::IgnoredAny;

use super::*;

fn quick(document: &str, after: &str) -> bool {
    accepts(format!("{document}{after}").as_bytes(), document.len(), &AnyKey)
}

fn parses(document: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(document).is_ok()
}

/// Both say the same, whatever stands after the document.
fn agrees(document: &str) {
    for after in ["", "\"", "0\":1}", "]]]]]]]]]]]]]]]]]]]]"] {
        assert_eq!(quick(document, after), parses(document), "{document:?} before {after:?}");
    }
}

#[test]
fn agrees_on_every_short_text() {
    let alphabet = ['{', '}', '[', ']', ',', ':', '"', '\\', '0', '1', '-', '.', 'e', ' ', 'n', '\u{1f}'];
    let mut texts = vec![String::new()];
    for _ in 0..4 {
        texts = texts.iter().flat_map(|text| alphabet.iter().map(move |last| format!("{text}{last}"))).collect();
        for text in &texts {
            agrees(text);
        }
    }
}

#[test]
fn agrees_on_what_is_easily_got_wrong() {
    let texts = [
        "",
        " ",
        "01",
        "-",
        "-0",
        "-01",
        "1.",
        ".1",
        "1e",
        "1e+",
        "1E-2",
        "1.5e3",
        "+1",
        "0x1",
        "NaN",
        "Infinity",
        "tru",
        "truex",
        "true false",
        "nulL",
        "[1 2]",
        "[,]",
        "[1,]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "[1}",
        "{\"a\":1]",
        "[\"a\":1]",
        "{\"a\",1}",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\x\"",
        "\"\\\"",
        "\"\t\"",
        "\"\\/\"",
        "\"\u{7f}\"",
        "[\u{a0}1]",
        "[\u{b}1]",
        "\u{feff}1",
        "\"é\\n日本\"",
        "12345678",
        "1234567812345678",
        "0.12345678",
        "\"1234567",
        "\"12345678",
        "123456789012345678901234567890",
        "1e999",
        "[-]",
        "[\"\"]",
        "[[[]]]",
        "[{}]",
    ];
    for text in texts {
        agrees(text);
    }
}

#[test]
fn leaves_deep_documents_to_the_parser() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(quick(&nested(63), ""));
    assert!(!quick(&nested(65), "") && parses(&nested(65)));
}

#[test]
fn shows_the_outermost_keys_and_no_others() {
    struct Shown(std::cell::RefCell<Vec<String>>);
    impl KeyCheck for Shown {
        fn takes(&self, key: &[u8]) -> bool {
            self.0.borrow_mut().push(String::from_utf8_lossy(key).into_owned());
            true
        }
    }
    let shown = Shown(std::cell::RefCell::default());
    let text = br#"{"a": {"b": 1}, "": [{"c": 2}], "d\n": "e"}"#;
    assert!(accepts(text, text.len(), &shown));
    assert_eq!(shown.0.into_inner(), ["a", "", "d\\n"]);
}

/// A document as it may be written, with spaces.
fn document() -> impl Strategy<Value = String> {
    let space = || select(vec!["", "", " ", "\n\t\r "]);
    let escapes = r#""([^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}){0,80}""#;
    let number = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![escapes, number, select(vec!["true", "false", "null"]).prop_map(str::to_owned)];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        let value = (space(), inner, space()).prop_map(|(before, value, after)| format!("{before}{value}{after}"));
        let member = (space(), escapes, space(), value.clone());
        let member = member.prop_map(|(before, key, after, value)| format!("{before}{key}{after}:{value}"));
        prop_oneof![
            prop::collection::vec(value, 0..6).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepts_every_document(document in document()) {
        prop_assert!(parses(&document));
        agrees(&document);
    }

    #[test]
    fn agrees_on_documents_with_a_flaw(
        document in document(),
        at: prop::sample::Index,
        removed in 0..3_usize,
        put in select(vec!["", "\"", "\\", "{", "}", "[", "]", ",", ":", "0", "-", ".", "e", " ", "\u{1}", "é", "true"]),
    ) {
        let mut characters: Vec<char> = document.chars().collect();
        let at = at.index(characters.len() + 1);
        let end = characters.len().min(at + removed);
        characters.splice(at..end, put.chars());
        agrees(&characters.into_iter().collect::<String>());
    }
}
