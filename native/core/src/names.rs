//! Which attributes mean something for an event: the names as the Python core's one table has them, and what each is.
//!
//! The law: no name is spelled here; the caller hands them over.

/// Columns of text that an attribute fills, by their places in `columns::TEXTS`.
pub const LIFTED_TEXTS: [&str; 9] =
    ["kind", "run", "agent", "task", "stage", "status", "source", "correlation", "schema"];
/// Columns of whole numbers that an attribute fills, by their places in `columns::LONGS`.
pub const LIFTED_WHOLES: [&str; 3] = ["seq", "elapsed_ns", "turn"];

/// What an attribute means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Role(u8);

impl Role {
    pub const NONE: Role = Role(0);
    pub const CAUSED_BY: Role = Role(FIRST_OWN);
    pub const PAYLOAD: Role = Role(FIRST_OWN + 1);
    pub const ID: Role = Role(FIRST_OWN + 2);
    pub const HINT: Role = Role(FIRST_OWN + 3);
    pub const PROJECTION: Role = Role(FIRST_OWN + 4);
    pub const PROJECTED_SEVERITY: Role = Role(FIRST_OWN + 5);
    pub const PROJECTED_DESCRIPTION: Role = Role(FIRST_OWN + 6);
    pub const PROJECTED_JSON: Role = Role(FIRST_OWN + 7);
    pub const BODY: Role = Role(FIRST_OWN + 8);
    pub const SPAN_KIND: Role = Role(FIRST_OWN + 9);
    pub const SPAN_MESSAGE: Role = Role(FIRST_OWN + 10);
    pub const CAUSE: Role = Role(FIRST_OWN + 11);
    pub const EFFECT: Role = Role(FIRST_OWN + 12);
    pub const SERVICE_NAME: Role = Role(FIRST_OWN + 13);
    pub const SERVICE_INSTANCE: Role = Role(FIRST_OWN + 14);
    pub const HOST_NAME: Role = Role(FIRST_OWN + 15);
    pub const PROCESS_PID: Role = Role(FIRST_OWN + 16);
    pub const RUN: Role = Role(2);

    /// Which column of text it fills.
    #[inline]
    pub fn text(self) -> Option<usize> {
        (1..=LIFTED_TEXTS.len() as u8).contains(&self.0).then(|| usize::from(self.0) - 1)
    }

    /// Which column of whole numbers it fills.
    #[inline]
    pub fn whole(self) -> Option<usize> {
        (FIRST_WHOLE..FIRST_OWN).contains(&self.0).then(|| usize::from(self.0 - FIRST_WHOLE))
    }

    /// Of another convention's name: its place among those.
    #[inline]
    pub fn other(self) -> Option<usize> {
        (FIRST_OTHER..=LAST).contains(&self.0).then(|| usize::from(self.0 - FIRST_OTHER))
    }
}

const FIRST_WHOLE: u8 = 1 + LIFTED_TEXTS.len() as u8;
const FIRST_OWN: u8 = FIRST_WHOLE + LIFTED_WHOLES.len() as u8;
/// In the order of the constants above.
const OWN: [&str; 17] = [
    "caused_by",
    "payload",
    "id",
    "hint",
    "projection",
    "projected_severity",
    "projected_description",
    "projected_json",
    "body",
    "span_kind",
    "span_message",
    "cause",
    "effect",
    "service_name",
    "service_instance",
    "host_name",
    "process_pid",
];
const FIRST_OTHER: u8 = FIRST_OWN + OWN.len() as u8;
const LAST: u8 = 63;

/// The names.
pub struct Names {
    /// By their lengths.
    roles: Vec<Vec<(Vec<u8>, Role)>>,
    /// Which column of text each of the other conventions' names fills, the first of them before the second.
    pub others: Vec<usize>,
    pub body: Vec<u8>,
    pub span_kind: Vec<u8>,
    pub span_message: Vec<u8>,
    /// The type of a span event that tells of an exception.
    pub exception: Vec<u8>,
}

impl Names {
    /// Reads lines of two words, `ROLE NAME`, where the role is a column, one of `OWN`, `exception`, or `other-COLUMN`.
    pub fn parse(text: &str) -> Result<Names, String> {
        let mut names = Names {
            roles: Vec::new(),
            others: Vec::new(),
            body: Vec::new(),
            span_kind: Vec::new(),
            span_message: Vec::new(),
            exception: Vec::new(),
        };
        let mut missing: Vec<&str> = LIFTED_TEXTS.iter().chain(&LIFTED_WHOLES).chain(&OWN).copied().collect();
        missing.push("exception");
        for line in text.lines() {
            let (word, name) = line.split_once(' ').ok_or_else(|| format!("cannot read the line {line:?}"))?;
            missing.retain(|&each| each != word);
            names.add(word, name.as_bytes()).ok_or_else(|| format!("cannot read the line {line:?}"))?;
        }
        if missing.is_empty() { Ok(names) } else { Err(format!("no name was given for {missing:?}")) }
    }

    fn add(&mut self, word: &str, name: &[u8]) -> Option<()> {
        let place = |of: &[&str], word: &str| of.iter().position(|&each| each == word);
        let role = if let Some(column) = word.strip_prefix("other-") {
            self.others.push(place(&LIFTED_TEXTS, column)?);
            u8::try_from(self.others.len()).ok().map(|count| FIRST_OTHER + count - 1).filter(|&role| role <= LAST)?
        } else if let Some(text) = place(&LIFTED_TEXTS, word) {
            1 + text as u8
        } else if let Some(whole) = place(&LIFTED_WHOLES, word) {
            FIRST_WHOLE + whole as u8
        } else if word == "exception" {
            self.exception = name.to_vec();
            return Some(());
        } else {
            FIRST_OWN + place(&OWN, word)? as u8
        };
        match Role(role) {
            Role::BODY => self.body = name.to_vec(),
            Role::SPAN_KIND => self.span_kind = name.to_vec(),
            Role::SPAN_MESSAGE => self.span_message = name.to_vec(),
            _ => {}
        }
        if self.roles.len() <= name.len() {
            self.roles.resize(name.len() + 1, Vec::new());
        }
        self.roles[name.len()].push((name.to_vec(), Role(role)));
        Some(())
    }

    /// What an attribute of this name means.
    #[inline]
    pub fn role(&self, key: &[u8]) -> Role {
        let Some(known) = self.roles.get(key.len()) else { return Role::NONE };
        known.iter().find(|(name, _)| name == key).map_or(Role::NONE, |(_, role)| *role)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Names for tests, each column and each of our own called as it is; two that others have.
    pub(crate) fn names() -> Names {
        let words = LIFTED_TEXTS.iter().chain(&LIFTED_WHOLES).chain(&OWN).map(|word| format!("{word} w.{word}"));
        let more = ["exception exception", "other-agent their.agent", "other-task their.task"].map(str::to_owned);
        Names::parse(&words.chain(more).collect::<Vec<_>>().join("\n")).unwrap()
    }

    #[test]
    fn each_name_has_its_role_and_no_other() {
        let names = names();
        assert_eq!(names.role(b"w.run"), Role::RUN);
        assert_eq!(names.role(b"w.run").text(), Some(1));
        assert_eq!(names.role(b"w.turn").whole(), Some(2));
        assert_eq!(names.role(b"w.process_pid"), Role::PROCESS_PID);
        assert_eq!(names.role(b"their.task").other().map(|at| LIFTED_TEXTS[names.others[at]]), Some("task"));
        assert_eq!((names.role(b"w.payload").text(), names.role(b"w.payload").other()), (None, None));
        for unknown in [&b""[..], b"w.ruN", b"w.run ", &b"x".repeat(10_000)] {
            assert_eq!(names.role(unknown), Role::NONE);
        }
        assert!(Names::parse("run w.run").is_err());
        assert!(Names::parse("nothing w.run").is_err());
    }
}
