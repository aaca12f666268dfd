//! A plan for people: a list, a tree, a diagram.

use super::{Plan, Step};
use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

/// A numbered list in the order of the start, and who is left out.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            write!(f, "{:>3}. {}", number + 1, described(step))?;
            for (word, positions) in [("after", &step.requires), ("with", &step.optional)] {
                let others: Vec<String> = positions.iter().map(|i| self.steps[*i].label()).collect();
                if !others.is_empty() {
                    write!(f, " {word} {}", printable(&others.join(", ")))?;
                }
            }
            writeln!(f)?;
        }
        for left_out in &self.left_out {
            let (label, winner) = (left_out.label(), printable(&left_out.winner));
            writeln!(f, "     {} is left out: {winner} is preferred", printable(&label))?;
        }
        Ok(())
    }
}

impl Plan {
    /// The plugins as trees: under each those it requires, and those it uses and could do without, marked `(optional)`.
    /// A plugin that has been shown before is marked `(*)`, and what is under it is not repeated.
    pub fn to_tree(&self) -> String {
        let mut required = vec![false; self.steps.len()];
        for position in self.steps.iter().flat_map(|step| &step.requires) {
            required[*position] = true;
        }
        let mut shown = vec![false; self.steps.len()];
        let mut text = String::new();
        for root in (0..self.steps.len()).filter(|position| !required[*position]) {
            // What is still to be written: the marks before it, whether it is the last of its siblings, who, and whether
            // the one above could do without it. A stack, because a chain can be long.
            let mut stack = vec![(String::new(), None, root, false)];
            while let Some((indent, last, position, optional)) = stack.pop() {
                let step = &self.steps[position];
                let (branch, below) = match last {
                    None => ("", ""),
                    Some(false) => ("├── ", "│   "),
                    Some(true) => ("└── ", "    "),
                };
                let _ = write!(text, "{indent}{branch}{}", described(step));
                // Nobody's root is repeated where it is optional: it has a tree of its own.
                text.push_str(if optional { " (optional)" } else { "" });
                let again = !optional && std::mem::replace(&mut shown[position], true);
                text.push_str(if again { " (*)\n" } else { "\n" });
                if again || optional {
                    continue;
                }
                let needs = step.requires.iter().map(|other| (*other, false));
                let children: Vec<_> = needs.chain(step.optional.iter().map(|other| (*other, true))).collect();
                let indent = format!("{indent}{below}");
                for (nth, (child, optional)) in children.iter().enumerate().rev() {
                    stack.push((indent.clone(), Some(nth + 1 == children.len()), *child, *optional));
                }
            }
        }
        text
    }

    /// The plugins as a [Mermaid](https://mermaid.js.org/syntax/flowchart.html) flowchart: `-->` from a plugin to what it
    /// requires, `-.->` to what it uses and could do without, and `x--x` to what cannot run beside it and is not part of
    /// the plan, drawn with a dashed border.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("graph TD\n");
        for (position, step) in self.steps.iter().enumerate() {
            let metadata = step.registration.metadata();
            let _ = writeln!(
                text,
                "  p{position}[\"{}<br/>{} {}\"]",
                escaped(&step.label()),
                escaped(metadata.name),
                escaped(metadata.version)
            );
        }
        for (position, step) in self.steps.iter().enumerate() {
            for (arrow, others) in [("-->", &step.requires), ("-.->", &step.optional)] {
                for other in others {
                    let _ = writeln!(text, "  p{position} {arrow} p{other}");
                }
            }
        }
        let left_out = self.left_out.iter().map(|left_out| {
            let winner = self.steps.iter().position(|step| step.label() == left_out.winner);
            (left_out.label(), "left out", winner)
        });
        let excluded = self.excluded();
        let excluded = excluded.iter().map(|excluded| {
            let metadata = excluded.registration.metadata();
            (format!("{}/{}", metadata.kind.name, metadata.name), "not in the plan", Some(excluded.by))
        });
        let mut absent: Vec<(String, &str)> = Vec::new();
        for (label, why, other) in left_out.chain(excluded) {
            let known = absent.iter().position(|(known, _)| *known == label);
            let number = known.unwrap_or(absent.len());
            if known.is_none() {
                let _ = writeln!(text, "  x{number}[\"{}<br/>{why}\"]:::absent", escaped(&label));
                absent.push((label, why));
            }
            if let Some(other) = other {
                let _ = writeln!(text, "  p{other} x--x x{number}");
            }
        }
        if !absent.is_empty() {
            text.push_str("  classDef absent stroke-dasharray:4\n");
        }
        text
    }
}

/// `data_source/payments (sqlite 1.2.0)`.
fn described(step: &Step) -> String {
    let metadata = step.registration.metadata();
    format!("{} ({} {})", printable(&step.label()), metadata.name, metadata.version)
}

/// The text on one line, and without what a terminal would obey.
fn printable(text: &str) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        false => Cow::Borrowed(text),
        true => {
            let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
            Cow::Owned(text.chars().map(shown).collect())
        }
    }
}

/// The text for a quoted label of Mermaid, where `#34;` stands for the character 34. Everything that means something
/// to Mermaid, to Markdown or to HTML is written so; spaces too, because Mermaid obeys `direction LR` in a label.
fn escaped(text: &str) -> String {
    let mut label = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // Within a word, Markdown takes an underscore for what it is.
        let within = label.ends_with(char::is_alphanumeric) && rest.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            _ if c.is_alphanumeric() => label.push(c),
            '-' | '.' | '/' => label.push(c),
            '_' if within => label.push(c),
            // No character reference stands for these.
            _ if c.is_control() => label.extend(c.escape_default().filter(|c| c.is_ascii_alphanumeric())),
            _ => {
                let _ = write!(label, "#{};", u32::from(c));
            }
        }
    }
    label
}
