//! The reader of rules: any text is rules, or wrong in a line that it has and at a character of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use v8heap::rules::Rules;

fuzz_target!(|text: &str| {
    if let Err(wrong) = Rules::parse(text) {
        assert!(wrong.line >= 1 && wrong.line <= text.lines().count());
        assert!(!wrong.why.to_string().contains('\n'), "{}", wrong.why);
        assert!(wrong.why.before <= wrong.why.text.chars().count());
    }
});
