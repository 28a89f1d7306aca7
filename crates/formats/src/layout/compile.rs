//! From the text of a layout to its steps.

use super::{Code, Encoding, Extent, Layout, LayoutError, Number, Step, Text};
use crate::escape;
use std::str::FromStr;

impl FromStr for Layout {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Layout, LayoutError> {
        let steps = Compiler::new(text).run()?;
        let reads = |step: &Step| !matches!(step, Step::Number(_, Encoding::Constant(_)));
        if !steps.iter().any(reads) {
            return Err(wrong("it reads nothing"));
        }
        Ok(Layout { steps })
    }
}

fn wrong(reason: impl Into<String>) -> LayoutError {
    LayoutError(reason.into())
}

struct Compiler<'a> {
    rest: &'a str,
    literal: Vec<u8>,
    steps: Vec<Step>,
    /// Numbers and texts that were named, by their letter.
    seen: Vec<char>,
}

impl<'a> Compiler<'a> {
    fn new(text: &'a str) -> Compiler<'a> {
        Compiler {
            rest: text,
            literal: Vec::new(),
            steps: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Vec<Step>, LayoutError> {
        if self.rest.is_empty() {
            return Err(wrong("it is empty"));
        }
        while let Some(character) = self.take() {
            match character {
                '\\' => self.escape()?,
                '%' => self.verb()?,
                other => self
                    .literal
                    .extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.end_literal();
        let rest = |step: &Step| matches!(step, Step::Text(_, Extent::Rest, _));
        let last = self.steps.len().saturating_sub(1);
        if self.steps[..last].iter().any(rest) {
            return Err(wrong(
                "a key or value without a length needs text behind it that ends it",
            ));
        }
        // What is not read comes first, so that a length is known wherever it was written.
        self.steps
            .sort_by_key(|step| !matches!(step, Step::Number(_, Encoding::Constant(_))));
        Ok(self.steps)
    }

    fn take(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        Some(character)
    }

    /// What is in the braces that open here, if they do.
    fn braces(&mut self) -> Result<Option<&'a str>, LayoutError> {
        let Some(inside) = self.rest.strip_prefix('{') else {
            return Ok(None);
        };
        let end = inside.find('}').ok_or_else(|| wrong("a brace { is not closed"))?;
        self.rest = &inside[end + 1..];
        Ok(Some(&inside[..end]))
    }

    fn escape(&mut self) -> Result<(), LayoutError> {
        // As long as the escape is: \xHH has four characters.
        let length = if self.rest.starts_with('x') { 3 } else { 1 };
        let escape = self.rest.get(..length.min(self.rest.len()));
        let escape = escape.ok_or_else(|| wrong("unknown escape"))?;
        let bytes = escape::unescape(&format!("\\{escape}")).map_err(wrong)?;
        self.literal.extend_from_slice(&bytes);
        self.rest = &self.rest[escape.len()..];
        Ok(())
    }

    /// What was literal so far ends the text before it, or has to be there.
    fn end_literal(&mut self) {
        let literal = std::mem::take(&mut self.literal);
        if literal.is_empty() {
            return;
        }
        match self.steps.last_mut() {
            Some(Step::Text(_, extent @ Extent::Rest, _)) => *extent = Extent::Delimiter(literal),
            _ => self.steps.push(Step::Literal(literal)),
        }
    }

    fn verb(&mut self) -> Result<(), LayoutError> {
        let Some(verb) = self.take() else {
            self.literal.push(b'%');
            return Ok(());
        };
        if matches!(verb, '%' | '{' | '}') {
            self.literal.push(verb as u8);
            return Ok(());
        }
        self.end_literal();
        let step = match verb {
            'K' => self.number(verb, Number::KeyLength)?,
            'V' => self.number(verb, Number::ValueLength)?,
            'H' => self.number(verb, Number::Headers)?,
            'p' => self.number(verb, Number::Partition)?,
            'd' => self.number(verb, Number::Timestamp)?,
            'o' | 'e' | 'x' | 'y' => self.number(verb, Number::Ignored)?,
            'k' => self.text(verb, Text::Key)?,
            'v' => self.text(verb, Text::Value)?,
            'h' => self.headers()?,
            't' | 'T' => return Err(wrong(format!("%{verb}: the topic is named by -t"))),
            other => {
                return Err(wrong(format!(
                    "%{other} is unknown; there are %k %v %h %p %d, %K %V %H, %o %e %x %y, and %% %{{ %}}"
                )));
            }
        };
        self.steps.push(step);
        Ok(())
    }

    fn see(&mut self, verb: char) -> Result<(), LayoutError> {
        if self.seen.contains(&verb) {
            return Err(wrong(format!("%{verb} stands there twice")));
        }
        self.seen.push(verb);
        Ok(())
    }

    fn number(&mut self, verb: char, number: Number) -> Result<Step, LayoutError> {
        self.see(verb)?;
        let counted = verb.to_ascii_lowercase();
        if verb.is_ascii_uppercase() && self.seen.contains(&counted) {
            return Err(wrong(format!("%{verb} must stand before %{counted}")));
        }
        let encoding = match self.braces()? {
            None => Encoding::Decimal,
            Some(name) => encoding(name).ok_or_else(|| {
                wrong(format!(
                    "%{verb}{{{name}}}: a number is a constant above 0, or one of ascii, hex64, hex32, hex16, hex8, \
                     hex4, big64, big32, big16, big8, little64, little32, little16, little8 and byte"
                ))
            })?,
        };
        Ok(Step::Number(number, encoding))
    }

    fn text(&mut self, verb: char, text: Text) -> Result<Step, LayoutError> {
        self.see(verb)?;
        let code = match self.braces()? {
            None => Code::Plain,
            Some("hex") => Code::Hexadecimal,
            Some("base64") => Code::Base64,
            Some(other) => {
                return Err(wrong(format!(
                    "%{verb}{{{other}}}: there are hex and base64 (and no regular expressions)"
                )));
            }
        };
        let extent = if self.seen.contains(&verb.to_ascii_uppercase()) {
            Extent::Length
        } else {
            // The text behind it may still end it.
            Extent::Rest
        };
        Ok(Step::Text(text, extent, code))
    }

    fn headers(&mut self) -> Result<Step, LayoutError> {
        self.see('h')?;
        if !self.seen.contains(&'H') {
            return Err(wrong("%h needs their number before it: %H"));
        }
        let inside = self
            .rest
            .strip_prefix('{')
            .ok_or_else(|| wrong("%h needs braces with the layout of one header"))?;
        let end = closing_brace(inside).ok_or_else(|| wrong("the brace of %h{ is not closed"))?;
        self.rest = &inside[end + 1..];
        let steps = Compiler::new(&inside[..end])
            .run()
            .map_err(|LayoutError(reason)| wrong(format!("in %h: {reason}")))?;
        for step in &steps {
            match step {
                Step::Headers(_)
                | Step::Number(
                    Number::Headers | Number::Partition | Number::Timestamp | Number::Ignored,
                    _,
                ) => {
                    return Err(wrong("in %h: a header has %k, %v, %K and %V only"));
                }
                Step::Text(_, Extent::Rest, _) => {
                    return Err(wrong("in %h: a header's end must be told by a length or by text"));
                }
                _ => {}
            }
        }
        if !steps.iter().any(|step| matches!(step, Step::Text(Text::Key, ..))) {
            return Err(wrong("in %h: a header needs a name, %k"));
        }
        Ok(Step::Headers(steps))
    }
}

/// Where the brace closes that was open before `text`; braces inside come in pairs, or after a %.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 1;
    let mut after_percent = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if after_percent => after_percent = false,
            '%' => after_percent = true,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn encoding(name: &str) -> Option<Encoding> {
    Some(match name {
        "ascii" => Encoding::Decimal,
        "hex64" => Encoding::Hexadecimal(16),
        "hex32" => Encoding::Hexadecimal(8),
        "hex16" => Encoding::Hexadecimal(4),
        "hex8" => Encoding::Hexadecimal(2),
        "hex4" => Encoding::Hexadecimal(1),
        "big64" => Encoding::Big(8),
        "big32" => Encoding::Big(4),
        "big16" => Encoding::Big(2),
        "big8" | "little8" | "byte" => Encoding::Big(1),
        "little64" => Encoding::Little(8),
        "little32" => Encoding::Little(4),
        "little16" => Encoding::Little(2),
        constant => match constant.parse() {
            Ok(0) | Err(_) => return None,
            Ok(constant) => Encoding::Constant(constant),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        #[track_caller]
        fn check(layout: &str, part: &str) {
            let LayoutError(error) = layout.parse::<Layout>().expect_err(layout);
            assert!(error.contains(part), "{layout}: {error}");
        }
        check("", "empty");
        check("%V{3}", "reads nothing");
        check("%q", "%q is unknown");
        check("%t %v\n", "the topic is named by -t");
        check("%k%v\n", "needs text behind it");
        check("%k %k\n", "%k stands there twice");
        check("%k%K\n", "%K must stand before %k");
        check("%v{re[a*]}\n", "no regular expressions");
        check("%v{hex\n", "not closed");
        check("%V{0}%v", "a constant above 0");
        check("%V{big65}%v", "a constant above 0");
        check("%h{%k=%v }\n", "%h needs their number");
        check("%H%h %v\n", "%h needs braces");
        check("%H%h{%k=%v %v\n", "not closed");
        check("%H %h{%k=%v}%v\n", "in %h: a header's end");
        check("%H %h{%k=%p }%v\n", "%k, %v, %K and %V only");
        check("%H %h{%v }%v\n", "needs a name");
        check("a\\q%v", "unknown escape");
        check("a\\xé", "\\x takes two");
        check("a\\", "backslash");
    }

    #[test]
    fn layouts_become_steps() {
        let steps = |layout: &str| layout.parse::<Layout>().map(|layout| layout.steps);
        assert_eq!(
            steps("%k{hex} %%%v"),
            Ok(vec![
                Step::Text(Text::Key, Extent::Delimiter(b" %".to_vec()), Code::Hexadecimal),
                Step::Text(Text::Value, Extent::Rest, Code::Plain),
            ])
        );
        assert_eq!(
            steps("<%V{3}\\x3e%v"),
            Ok(vec![
                Step::Number(Number::ValueLength, Encoding::Constant(3)),
                Step::Literal(b"<".to_vec()),
                Step::Literal(b">".to_vec()),
                Step::Text(Text::Value, Extent::Length, Code::Plain),
            ])
        );
    }
}
