//! What of LeakSanitizer's options means anything here.

use std::path::PathBuf;

/// The options that are honoured; all others are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LsanOptions {
    /// `suppressions`: a file.
    pub suppressions: Option<PathBuf>,
    /// `exitcode`: the status of a run that leaks.
    pub exit_code: Option<u8>,
}

impl LsanOptions {
    /// From a text like `suppressions=lsan.supp:exitcode=7`: separated by blanks, colons or commas, values
    /// perhaps in quotes. The last of equal ones counts.
    pub fn parse(text: &str) -> LsanOptions {
        let mut options = LsanOptions::default();
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| !is_separator(c)) {
            rest = &rest[at..];
            let name_end = rest
                .find(|c: char| c == '=' || is_separator(c))
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(name_end);
            let Some(value) = after.strip_prefix('=') else {
                rest = after;
                continue;
            };
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (value, after) = match quote {
                Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
                None => value.split_at(value.find(is_separator).unwrap_or(value.len())),
            };
            match name {
                "suppressions" if !value.is_empty() => {
                    options.suppressions = Some(PathBuf::from(value))
                }
                "exitcode" => options.exit_code = value.parse().ok(),
                _ => {}
            }
            rest = after;
        }
        options
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | ',' | ':' | '\n' | '\t' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_among_others() {
        let options = LsanOptions::parse("verbosity=1:suppressions=/a/b.supp:exitcode=7");
        assert_eq!(options.suppressions, Some(PathBuf::from("/a/b.supp")));
        assert_eq!(options.exit_code, Some(7));
        let quoted = LsanOptions::parse(" use_stacks=0, suppressions='a b:c' print");
        assert_eq!(quoted.suppressions, Some(PathBuf::from("a b:c")));
        assert_eq!(
            LsanOptions::parse("help=1::exitcode=x,"),
            LsanOptions::default()
        );
        assert_eq!(
            LsanOptions::parse("suppressions='open").suppressions,
            Some(PathBuf::from("open"))
        );
    }
}
