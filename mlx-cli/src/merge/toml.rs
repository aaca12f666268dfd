//! The merge of a `Cargo.toml` by its keys.

use super::{
    Labels, Merge,
    text::{self, LineEnds},
};
use std::collections::{BTreeMap, BTreeSet};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Key, RawString, Table, TableLike, Value};

/// Merges a `Cargo.toml` by its keys, so that both sides may add dependencies at the same place.
///
/// A key that one side changed has that side's value; one that both changed differently, or that one deleted and the other
/// changed, is in conflict. Tables are merged key by key, however they are written, lists of strings element by element, and
/// lists of tables (`[[bin]]`) by their `name`. In a table of dependencies, `"1"` is the same as `{ version = "1" }`.
///
/// The user's comments, order and spacing stay as they are outside the keys that the template changed; a key that the template
/// adds comes with its comment, after the key that it follows in the template. Where the merge by lines gives the same keys
/// and values, its text is taken, which has the template's changes of comments too. A list with
/// comments of the user's inside, and whatever is not TOML, is left to the merge by lines; its result is clean only if it is TOML
/// with the keys that came of the merge by keys. A deleted key on which the user has commented is in conflict.
pub fn toml(base: &[u8], ours: &[u8], theirs: &[u8], labels: &Labels<'_>) -> Merge {
    let by_lines = text::three_way(base, ours, theirs, labels);
    if text::trivial(base, ours, theirs).is_some() {
        return by_lines;
    }
    let conflict = || text::conflict(base, ours, theirs, labels);
    let Some([base, mine, other]) = parse_all([base, ours, theirs]) else {
        return by_lines;
    };
    match (by_keys(&base, mine, &other), by_lines) {
        (Some(keys), Merge::Clean(lines)) if keys.agrees(&lines) => Merge::Clean(lines),
        (Some(Merged { text: Some(text), .. }), _) => {
            let crlf = LineEnds::of(ours) == LineEnds::Crlf;
            Merge::Clean(if crlf { text::to_crlf(text.into_bytes()) } else { text.into_bytes() })
        }
        (_, Merge::Clean(_)) => conflict(),
        (_, by_lines) => by_lines,
    }
}

/// Both sides changed the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Conflict;

/// What came of the keys.
struct Merged {
    /// The document, unless the lines have to decide something.
    text: Option<String>,
    data: Data,
    /// The keys that the lines have to decide.
    undecided: Vec<Path>,
}

type Path = Vec<String>;

impl Merged {
    /// Whether the merge by lines gave the same, as far as the keys decide.
    fn agrees(&self, lines: &[u8]) -> bool {
        let Some(lines) = parse(lines) else { return false };
        let (mut here, mut there) = (self.data.clone(), table(lines.as_table()));
        for path in &self.undecided {
            here.take(path);
            there.take(path);
        }
        here == there
    }
}

/// A value without its spelling.
#[derive(Debug, Clone, PartialEq)]
enum Data {
    Scalar(String),
    List(Vec<Data>),
    Table(BTreeMap<String, Data>),
}

impl Data {
    fn take(&mut self, path: &[String]) {
        let (Data::Table(entries), [first, rest @ ..]) = (self, path) else { return };
        match (rest, entries.get_mut(first)) {
            ([], _) => drop(entries.remove(first)),
            (_, Some(inner)) => inner.take(rest),
            (_, None) => {}
        }
    }
}

/// The documents, if each is TOML, and the user's is written again as it was.
fn parse_all(texts: [&[u8]; 3]) -> Option<[DocumentMut; 3]> {
    let [base, ours, theirs] = texts.map(parse);
    let ours = ours?;
    (ours.to_string().as_bytes() == text::to_lf(texts[1])).then_some([base?, ours, theirs?])
}

fn parse(text: &[u8]) -> Option<DocumentMut> {
    // The line ends of a document are those of the user's text, which are known by then.
    if LineEnds::of(text) == LineEnds::Mixed {
        return None;
    }
    String::from_utf8(text::to_lf(text)).ok()?.parse().ok()
}

/// Nothing if a key is in conflict.
fn by_keys(base: &DocumentMut, mut ours: DocumentMut, theirs: &DocumentMut) -> Option<Merged> {
    let mut keys = Keys::default();
    keys.tables(base.as_table(), ours.as_table_mut(), theirs.as_table(), false).ok()?;
    let text = ours.to_string();
    // What stands there must be what was meant.
    let data = table(ours.as_table());
    let written = text.parse::<DocumentMut>().is_ok_and(|written| table(written.as_table()) == data);
    let text = (written && keys.undecided.is_empty()).then_some(text);
    Some(Merged { text, data, undecided: keys.undecided })
}

fn table(table: &dyn TableLike) -> Data {
    Data::Table(table.iter().map(|(key, item)| (key.to_owned(), data(item, is_dependencies(key)))).collect())
}

/// `dependencies`: whether this is a table of dependencies.
fn data(item: &Item, dependencies: bool) -> Data {
    if let Some(list) = item.as_array_of_tables() {
        return Data::List(list.iter().map(|element| table(element)).collect());
    }
    if let Some(list) = item.as_array() {
        return Data::List(list.iter().map(|element| data(&Item::Value(element.clone()), false)).collect());
    }
    match item.as_table_like() {
        Some(entries) if dependencies => Data::Table(
            entries
                .iter()
                .map(|(key, item)| match item.as_str() {
                    Some(version) => (key.to_owned(), Data::Table([("version".to_owned(), string(version))].into())),
                    None => (key.to_owned(), data(item, false)),
                })
                .collect(),
        ),
        Some(entries) => table(entries),
        None => scalar(item),
    }
}

fn scalar(item: &Item) -> Data {
    match item.as_value() {
        Some(Value::String(value)) => string(value.value()),
        Some(Value::Integer(value)) => Data::Scalar(format!("integer {}", value.value())),
        Some(Value::Float(value)) => Data::Scalar(format!("float {:?}", value.value())),
        Some(Value::Boolean(value)) => Data::Scalar(format!("boolean {}", value.value())),
        Some(Value::Datetime(value)) => Data::Scalar(format!("datetime {}", value.value())),
        _ => Data::Scalar(String::new()),
    }
}

fn string(value: &str) -> Data {
    Data::Scalar(format!("string {value}"))
}

fn is_dependencies(key: &str) -> bool {
    matches!(key, "dependencies" | "dev-dependencies" | "build-dependencies")
}

/// The way to the table that is merged, and what was found on it.
#[derive(Default)]
struct Keys {
    path: Path,
    undecided: Vec<Path>,
}

impl Keys {
    fn tables(
        &mut self,
        base: &dyn TableLike,
        ours: &mut dyn TableLike,
        theirs: &dyn TableLike,
        dependencies: bool,
    ) -> Result<(), Conflict> {
        let deleted = base.iter().map(|(key, _)| key).filter(|key| !theirs.contains_key(key));
        let keys: Vec<String> = theirs.iter().map(|(key, _)| key).chain(deleted).map(str::to_owned).collect();
        for key in keys {
            self.path.push(key.clone());
            self.key(&key, base, ours, theirs, dependencies)?;
            self.path.pop();
        }
        Ok(())
    }

    fn key(
        &mut self,
        key: &str,
        base: &dyn TableLike,
        ours: &mut dyn TableLike,
        theirs: &dyn TableLike,
        dependencies: bool,
    ) -> Result<(), Conflict> {
        let data_in = |table: &dyn TableLike| table.get(key).map(|item| entry(item, key, dependencies));
        let (was, mine, other) = (data_in(base), data_in(ours), data_in(theirs));
        if other == was || mine == other {
            return Ok(());
        }
        let Some((their_key, their_item)) = theirs.get_key_value(key) else {
            // Deleted by the template.
            let commented = base.get_key_value(key).zip(ours.get_key_value(key));
            if mine != was || commented.is_some_and(|(was, mine)| has_more_comments(&written(mine), &written(was))) {
                return Err(Conflict);
            }
            ours.remove(key);
            return Ok(());
        };
        let Some(item) = ours.get_mut(key) else {
            // Deleted by the user, or new.
            if was.is_some() {
                return Err(Conflict);
            }
            insert(ours, their_key, their_item, theirs);
            return Ok(());
        };
        let nothing = Item::None;
        let base_item = base.get(key).unwrap_or(&nothing);
        match (&mine, &other) {
            (Some(Data::Table(_)), Some(Data::Table(_))) => {
                let was_string = item.is_str();
                if was_string {
                    *item = spelled_out(item);
                }
                let spell = |item: &Item| if dependencies { spelled_out(item) } else { item.clone() };
                let (base_item, their_item) = (spell(base_item), spell(their_item));
                let empty = Table::new();
                let base_table = base_item.as_table_like().unwrap_or(&empty);
                let (Some(mine), Some(theirs)) = (item.as_table_like_mut(), their_item.as_table_like()) else {
                    self.undecided.push(self.path.clone());
                    return Ok(());
                };
                let keys: Vec<String> = mine.iter().map(|(key, _)| key.to_owned()).collect();
                self.tables(base_table, mine, theirs, is_dependencies(key))?;
                let same_keys = mine.iter().map(|(key, _)| key).eq(keys.iter().map(String::as_str));
                if let Some(inline) = item.as_inline_table_mut()
                    && !same_keys
                {
                    inline.fmt();
                }
                if was_string {
                    shorten(item);
                }
                Ok(())
            }
            (Some(Data::List(_)), Some(Data::List(_))) => self.lists(base_item, item, their_item, mine == was),
            _ if mine == was => {
                self.replace(item, their_item);
                Ok(())
            }
            _ => Err(Conflict),
        }
    }

    /// Puts a value of the template's in the place of one that the user left alone.
    fn replace(&mut self, item: &mut Item, with: &Item) {
        let mut with = without_position(with.clone());
        match (item.as_value(), with.as_value_mut()) {
            (Some(was), Some(value)) if !has_comment(item) => {
                *value.decor_mut() = was.decor().clone();
                *item = with;
            }
            _ => self.undecided.push(self.path.clone()),
        }
    }

    fn lists(&mut self, base: &Item, ours: &mut Item, theirs: &Item, unchanged: bool) -> Result<(), Conflict> {
        if let (Some(list), Some(theirs)) = (ours.as_array_of_tables_mut(), theirs.as_array_of_tables()) {
            // The elements have no path of their own.
            let mut elements = Keys::default();
            if !elements.named(base.as_array_of_tables(), list, theirs)? || !elements.undecided.is_empty() {
                self.undecided.push(self.path.clone());
            }
            return Ok(());
        }
        let (was, mine, other) = (strings(base), strings(ours), strings(theirs));
        let none = || base.is_none().then(Vec::new);
        if let (Some(was), Some(mine), Some(other)) = (was.or_else(none), mine, other)
            && is_set_edit(&was, &mine, &other)
            && !has_comment(ours)
            && let Some(list) = ours.as_array_mut()
        {
            merge_strings(&was, list, &other);
        } else if unchanged {
            self.replace(ours, theirs);
        } else {
            self.undecided.push(self.path.clone());
        }
        Ok(())
    }

    /// Merges lists of tables by the tables' names. False where they have none.
    fn named(
        &mut self,
        base: Option<&ArrayOfTables>,
        ours: &mut ArrayOfTables,
        theirs: &ArrayOfTables,
    ) -> Result<bool, Conflict> {
        let empty = ArrayOfTables::new();
        let (Some(base), Some(others), Some(mine)) = (by_name(base.unwrap_or(&empty)), by_name(theirs), by_name(ours))
        else {
            return Ok(false);
        };
        let place: BTreeMap<String, usize> =
            mine.iter().enumerate().map(|(at, (name, _))| ((*name).to_owned(), at)).collect();
        let find = |list: &[(&str, &Table)], name: &str| {
            list.iter().find(|(other, _)| *other == name).map(|(_, table)| (*table).clone())
        };
        let mut gone = Vec::new();
        for (name, was) in base.iter().filter(|(name, _)| find(&others, name).is_none()) {
            let Some((at, mine)) = place.get(*name).and_then(|at| Some((*at, ours.get(*at)?))) else { continue };
            if table(mine) != table(*was) || has_more_comments(&lines_of(mine), &lines_of(was)) {
                return Err(Conflict);
            }
            gone.push(at);
        }
        for (name, other) in others {
            let was = find(&base, name);
            if was.as_ref().is_some_and(|was| table(was) == table(other)) {
                continue;
            }
            match (place.get(name).and_then(|at| ours.get_mut(*at)), was) {
                (Some(mine), was) => self.tables(&was.unwrap_or_default(), mine, other, false)?,
                (None, Some(_)) => return Err(Conflict),
                (None, None) => {
                    let mut new = other.clone();
                    clear_position(&mut new);
                    ours.push(new);
                }
            }
        }
        gone.sort_unstable();
        gone.into_iter().rev().for_each(|at| {
            ours.remove(at);
        });
        Ok(true)
    }
}

fn entry(item: &Item, key: &str, dependencies: bool) -> Data {
    match item.as_str() {
        Some(version) if dependencies => Data::Table([("version".to_owned(), string(version))].into()),
        _ => data(item, is_dependencies(key)),
    }
}

/// A dependency `"1"` as `{ version = "1" }`.
fn spelled_out(item: &Item) -> Item {
    match item.as_value() {
        Some(Value::String(version)) => {
            let mut table = InlineTable::new();
            table.insert("version", Value::from(version.value().as_str()));
            *table.decor_mut() = version.decor().clone();
            Item::Value(table.into())
        }
        _ => item.clone(),
    }
}

/// A dependency `{ version = "1" }` as `"1"`.
fn shorten(item: &mut Item) {
    if let Some(table) = item.as_inline_table()
        && table.len() == 1
        && let Some(version) = table.get("version").and_then(Value::as_str)
    {
        let mut short = Value::from(version);
        *short.decor_mut() = table.decor().clone();
        *item = short.into();
    }
}

/// The key with its comments, as it is written.
fn written((key, item): (&Key, &Item)) -> String {
    let mut text = key.leaf_decor().prefix().and_then(RawString::as_str).unwrap_or_default().to_owned();
    text += key.get();
    match item {
        Item::Table(table) => text += &lines_of(table),
        Item::ArrayOfTables(list) => list.iter().for_each(|table| text += &lines_of(table)),
        Item::Value(_) | Item::None => text += &item.to_string(),
    }
    text
}

fn lines_of(table: &Table) -> String {
    let mut text = table.decor().prefix().and_then(RawString::as_str).unwrap_or_default().to_owned();
    for (name, _) in table.iter() {
        text.extend(table.get_key_value(name).map(written));
        text.push('\n');
    }
    text
}

/// Whether there is a comment in the first text that is not in the second.
fn has_more_comments(text: &str, than: &str) -> bool {
    let comments = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.split_once('#').map(|(_, comment)| comment.trim().to_owned())).collect()
    };
    let known = comments(than);
    comments(text).iter().any(|comment| !known.contains(comment))
}

/// Whether there is a comment inside a value.
fn has_comment(item: &Item) -> bool {
    match item.as_value() {
        // A `#` in a string counts too; then the lines decide.
        Some(value @ (Value::Array(_) | Value::InlineTable(_))) => value.to_string().contains('#'),
        _ => false,
    }
}

/// A table has its place in the document it was read from.
fn without_position(mut item: Item) -> Item {
    clear_position_of(&mut item);
    item
}

fn clear_position_of(item: &mut Item) {
    match item {
        Item::Table(table) => clear_position(table),
        Item::ArrayOfTables(list) => list.iter_mut().for_each(clear_position),
        Item::Value(_) | Item::None => {}
    }
}

fn clear_position(table: &mut Table) {
    table.set_position(None);
    table.iter_mut().for_each(|(_, item)| clear_position_of(item));
}

/// Adds a key of the template's after the key that it follows there, or, in a table that is in alphabetical order, where it
/// belongs.
fn insert(ours: &mut dyn TableLike, key: &Key, item: &Item, theirs: &dyn TableLike) {
    let order: Vec<String> = ours.iter().map(|(key, _)| key.to_owned()).collect();
    let before: Vec<&str> = theirs.iter().map(|(key, _)| key).take_while(|other| *other != key.get()).collect();
    let at = place(&order.iter().map(String::as_str).collect::<Vec<_>>(), key.get(), &before);
    // There is no way to insert at a place but to add the others again.
    let mut after = Vec::new();
    for name in order[at..].iter().rev() {
        if let Some((key, _)) = ours.get_key_value(name) {
            let key = key.clone();
            after.extend(ours.remove(name).map(|item| (key, item)));
        }
    }
    ours.entry_format(key).or_insert(without_position(item.clone()));
    for (key, item) in after.into_iter().rev() {
        ours.entry_format(&key).or_insert(item);
    }
}

/// Where `new` goes in `list`: where the alphabet says, if it is in that order; otherwise after the nearest of those that are
/// `before` it in the template.
fn place(list: &[&str], new: &str, before: &[&str]) -> usize {
    if list.len() > 1 && list.is_sorted() {
        return list.partition_point(|other| *other < new);
    }
    let neighbour = before.iter().rev().find_map(|before| list.iter().position(|other| other == before));
    neighbour.map_or(list.len(), |at| at + 1)
}

/// The strings of a list that has only strings, and none twice.
fn strings(item: &Item) -> Option<Vec<String>> {
    let list: Vec<String> =
        item.as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    let distinct: BTreeSet<&String> = list.iter().collect();
    (distinct.len() == list.len()).then_some(list)
}

/// Whether both sides' changes can be seen as adding and removing, without moving or replacing elements.
fn is_set_edit(was: &[String], mine: &[String], other: &[String]) -> bool {
    let keeps_order = |list: &[String]| {
        let kept = was.iter().filter(|element| list.contains(element));
        kept.eq(list.iter().filter(|element| was.contains(element)))
    };
    let adds = |list: &[String]| list.iter().any(|element| !was.contains(element));
    let both_remove_one = was.iter().any(|element| !mine.contains(element) && !other.contains(element));
    keeps_order(mine) && keeps_order(other) && !(both_remove_one && adds(mine) && adds(other))
}

fn merge_strings(was: &[String], list: &mut Array, theirs: &[String]) {
    for gone in was.iter().filter(|element| !theirs.contains(element)) {
        let Some(at) = list.iter().position(|value| value.as_str() == Some(gone)) else { continue };
        let removed = list.remove(at);
        if at == 0
            && let Some(first) = list.get_mut(0)
        {
            set_prefix(first, prefix(&removed));
        }
        if at == list.len()
            && let Some(last) = at.checked_sub(1).and_then(|at| list.get_mut(at))
        {
            set_suffix(last, suffix(&removed));
        }
    }
    for (index, new) in theirs.iter().enumerate() {
        if was.contains(new) || list.iter().any(|value| value.as_str() == Some(new)) {
            continue;
        }
        let names: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        let before: Vec<&str> = theirs[..index].iter().map(String::as_str).collect();
        let at = place(&names, new, &before);
        push_like_neighbour(list, at, new);
    }
}

/// Inserts a string with the line break and indentation that the elements beside it have.
fn push_like_neighbour(list: &mut Array, at: usize, new: &str) {
    let mut value = Value::from(new);
    let first = list.get(0).map(prefix);
    match first {
        Some(first) if first.contains('\n') => set_prefix(&mut value, first),
        Some(first) if at == 0 => {
            set_prefix(&mut value, first);
            if let Some(second) = list.get_mut(0) {
                set_prefix(second, " ".to_owned());
            }
        }
        Some(_) => set_prefix(&mut value, " ".to_owned()),
        None => {}
    }
    if at == list.len()
        && let Some(last) = at.checked_sub(1).and_then(|at| list.get_mut(at))
    {
        let end = suffix(last);
        set_suffix(&mut value, end);
        set_suffix(last, String::new());
    }
    list.insert_formatted(at, value);
}

fn prefix(value: &Value) -> String {
    value.decor().prefix().and_then(RawString::as_str).unwrap_or_default().to_owned()
}

fn suffix(value: &Value) -> String {
    value.decor().suffix().and_then(RawString::as_str).unwrap_or_default().to_owned()
}

fn set_prefix(value: &mut Value, prefix: String) {
    value.decor_mut().set_prefix(prefix);
}

fn set_suffix(value: &mut Value, suffix: String) {
    value.decor_mut().set_suffix(suffix);
}

/// The tables by their key `name`, if each has one and none is there twice.
fn by_name(list: &ArrayOfTables) -> Option<Vec<(&str, &Table)>> {
    let named: Vec<_> = list.iter().map(|table| Some((table.get("name")?.as_str()?, table))).collect::<Option<_>>()?;
    let distinct: BTreeSet<&str> = named.iter().map(|(name, _)| *name).collect();
    (distinct.len() == named.len()).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"# Made by a template.
[package]
name = "platform"
version = "0.1.0"
edition = "2024"

[features]
default = ["server"]
server = []

[dependencies]
anyhow = "1"
serde = { version = "1.0.200", features = ["derive"] }
tokio = "1.40"

[[bin]]
name = "server"
path = "src/main.rs"
"#;

    fn merge(ours: &str, theirs: &str) -> Merge {
        toml(BASE.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &Labels::default())
    }

    #[track_caller]
    fn assert_clean(ours: &str, theirs: &str, expected: &str) {
        match merge(ours, theirs) {
            Merge::Clean(text) => assert_eq!(String::from_utf8(text).unwrap(), expected),
            other => panic!("{other:?}"),
        }
    }

    /// `text` with some of it exchanged; each part must be there.
    #[track_caller]
    fn edit(text: &str, edits: &[(&str, &str)]) -> String {
        edits.iter().fold(text.to_owned(), |text, (was, is)| {
            assert!(text.contains(was), "{was}");
            text.replacen(was, is, 1)
        })
    }

    #[test]
    fn both_add_dependencies_at_the_same_place() {
        let ours = edit(BASE, &[("tokio = \"1.40\"\n", "tokio = \"1.40\" # pinned\n\n# Ours.\nuuid = \"1\"\n")]);
        let theirs = edit(BASE, &[("tokio = \"1.40\"\n", "tokio = \"1.40\"\n# For spans.\ntracing = \"0.1\"\n")]);
        let expected = edit(&ours, &[("# pinned\n", "# pinned\n# For spans.\ntracing = \"0.1\"\n")]);
        assert_clean(&ours, &theirs, &expected);
    }

    #[test]
    fn a_version_and_features_of_one_dependency_are_merged() {
        let ours = edit(
            BASE,
            &[("tokio = \"1.40\"", "tokio   =   { version = \"1.40\", features = [\"full\"] } # all of it")],
        );
        let theirs = edit(BASE, &[("tokio = \"1.40\"", "tokio = \"1.48\"")]);
        assert_clean(&ours, &theirs, &edit(&ours, &[("\"1.40\"", "\"1.48\"")]));
        let ours = edit(BASE, &[("1.0.200", "1.0.210")]);
        let theirs = edit(BASE, &[("[\"derive\"]", "[\"derive\", \"rc\"]")]);
        assert_clean(&ours, &theirs, &edit(&ours, &[("[\"derive\"]", "[\"derive\", \"rc\"]")]));
        let ours = edit(BASE, &[("\"1.40\"", "\"1.41\"")]);
        let theirs = edit(BASE, &[("\"1.40\"", "{ version = \"1.40\", features = [\"net\"] }")]);
        assert_clean(&ours, &theirs, &edit(&ours, &[("\"1.41\"", "{ version = \"1.41\", features = [\"net\"] }")]));
    }

    #[test]
    fn the_way_the_user_writes_a_table_stays() {
        let ours = edit(
            BASE,
            &[
                ("serde = { version = \"1.0.200\", features = [\"derive\"] }\n", ""),
                ("[[bin]]", "[dependencies.serde]\nversion = \"1.0.200\"    # old\nfeatures = [\"derive\"]\n\n[[bin]]"),
            ],
        );
        let theirs = edit(BASE, &[("1.0.200", "1.0.228")]);
        assert_clean(&ours, &theirs, &edit(&ours, &[("1.0.200", "1.0.228")]));
    }

    #[test]
    fn order_and_spacing_outside_the_changed_keys_stay() {
        let ours = edit(
            BASE,
            &[
                ("name = \"platform\"\nversion = \"0.1.0\"", "version    = '0.1.0'\n\n\n# who\nname=\"mine\""),
                ("[features]", "# All of them.\n[ features ]"),
                ("default = [\"server\"]", "default = [\n  \"server\",\n  \"mine\",\n]"),
            ],
        );
        let theirs = edit(
            BASE,
            &[
                ("default = [\"server\"]", "default = [\"server\", \"metrics\"]"),
                ("server = []", "metrics = []\nserver = []"),
                ("anyhow = \"1\"\n", ""),
                ("edition = \"2024\"\n", "edition = \"2024\"\nrust-version = \"1.91\"\n"),
            ],
        );
        let expected = edit(
            &ours,
            &[
                ("  \"server\",\n", "  \"server\",\n  \"metrics\",\n"),
                ("server = []", "metrics = []\nserver = []"),
                ("anyhow = \"1\"\n", ""),
                ("edition = \"2024\"\n", "edition = \"2024\"\nrust-version = \"1.91\"\n"),
            ],
        );
        assert_clean(&ours, &theirs, &expected);
    }

    #[test]
    fn tables_and_lists_of_tables_are_added_on_both_sides() {
        let ours = edit(BASE, &[("path = \"src/main.rs\"\n", "path = \"src/main.rs\"\n\n[[bin]]\nname = \"mine\"\n")]);
        let theirs = edit(
            BASE,
            &[(
                "path = \"src/main.rs\"\n",
                "path = \"src/main.rs\"\n\n[[bin]]\nname = \"worker\"\n\n[profile.release]\nlto = true\n",
            )],
        );
        let Merge::Clean(text) = merge(&ours, &theirs) else { panic!("clean") };
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with(&ours), "{text}");
        assert_eq!(text[ours.len()..], *"\n[[bin]]\nname = \"worker\"\n\n[profile.release]\nlto = true\n");
    }

    #[test]
    fn a_key_that_both_changed_is_in_conflict() {
        let (ours, theirs) = (edit(BASE, &[("1.40", "1.41")]), edit(BASE, &[("1.40", "1.48")]));
        assert!(matches!(merge(&ours, &theirs), Merge::Conflict { conflicts: 1, .. }));
        let (ours, theirs) = (edit(BASE, &[("tokio = \"1.40\"\n", "")]), edit(BASE, &[("1.40", "1.48")]));
        assert!(matches!(merge(&ours, &theirs), Merge::Conflict { .. }));
        let (ours, theirs) = (edit(BASE, &[("1.40", "1.48")]), edit(BASE, &[("tokio = \"1.40\"\n", "")]));
        assert!(matches!(merge(&ours, &theirs), Merge::Conflict { .. }));
    }

    #[test]
    fn lines_that_merge_into_a_key_twice_are_a_conflict() {
        let ours = edit(BASE, &[("anyhow = \"1\"\n", "async-trait = \"0.1.80\"\nanyhow = \"1\"\n")]);
        let theirs = edit(BASE, &[("tokio = \"1.40\"\n", "tokio = \"1.40\"\nasync-trait = \"0.1.92\"\n")]);
        assert!(matches!(
            text::three_way(BASE.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &Labels::default()),
            Merge::Clean(_)
        ));
        assert!(matches!(merge(&ours, &theirs), Merge::Conflict { conflicts: 1, .. }));
    }

    #[test]
    fn a_deleted_key_with_a_comment_of_the_users_is_not_deleted_silently() {
        let ours = edit(BASE, &[("anyhow = \"1\"", "# Needed by hand-written code.\nanyhow = \"1\"")]);
        let theirs = edit(BASE, &[("anyhow = \"1\"\n", "")]);
        assert!(matches!(merge(&ours, &theirs), Merge::Conflict { .. }));
    }

    #[test]
    fn comments_inside_a_list_are_kept_or_left_to_the_lines() {
        let base = "[features]\ndefault = [\n  \"a\",\n  \"b\",\n  \"c\",\n  \"d\",\n]\n";
        let ours = edit(base, &[("\"a\",", "\"a\", # first")]);
        let theirs = edit(base, &[("  \"d\",\n", "  \"d\",\n  \"e\",\n")]);
        let result = toml(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &Labels::default());
        assert_eq!(result, Merge::Clean(edit(&ours, &[("  \"d\",\n", "  \"d\",\n  \"e\",\n")]).into_bytes()));
        let theirs = edit(base, &[("  \"a\",\n", "")]);
        let result = toml(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &Labels::default());
        assert!(matches!(result, Merge::Conflict { .. }), "{result:?}");
    }

    #[test]
    fn a_list_where_both_replaced_an_element_is_in_conflict() {
        let of = |port: &str| format!("args = [\"-p\", \"{port}\"]\n");
        let result = toml(of("80").as_bytes(), of("81").as_bytes(), of("82").as_bytes(), &Labels::default());
        assert!(matches!(result, Merge::Conflict { .. }), "{result:?}");
    }

    #[test]
    fn strings_are_added_and_removed_where_they_belong() {
        #[track_caller]
        fn check(base: &str, ours: &str, theirs: &str, expected: &str) {
            let list = |text: &str| format!("x = {text}\n").into_bytes();
            let result = toml(&list(base), &list(ours), &list(theirs), &Labels::default());
            let expected = Merge::Clean(list(expected));
            assert_eq!(result, expected, "{result:?}");
        }
        check(r#"["b", "a"]"#, r#"["b", "a", "o"]"#, r#"["t", "b", "a"]"#, r#"["b", "a", "o", "t"]"#);
        check(r#"["b", "a"]"#, r#"["b", "a", "o"]"#, r#"["b", "t", "a"]"#, r#"["b", "t", "a", "o"]"#);
        check(r#"["a", "c"]"#, r#"["a", "c", "d"]"#, r#"["a", "b", "c"]"#, r#"["a", "b", "c", "d"]"#);
        check(r#"[ "b", "c" ]"#, r#"[ "b", "c", "d" ]"#, r#"[ "a", "b", "c" ]"#, r#"[ "a", "b", "c", "d" ]"#);
        check(r#"["a", "b"]"#, r#"["a", "b", "c"]"#, r#"["b"]"#, r#"["b", "c"]"#);
        check(r#"["a", "b"]"#, r#"["a", "b", "c"]"#, r#"["a"]"#, r#"["a", "c"]"#);
        check(r#"[ "a", "b" ]"#, r#"[ "c", "b" ]"#, r#"[ "a" ]"#, r#"[ "c" ]"#);
        check("[]", r#"["o"]"#, r#"["t"]"#, r#"["o", "t"]"#);
        check(
            "[\n  \"b\",\n  \"a\"\n]",
            "[\n  \"b\",\n  \"a\",\n  \"o\"\n]",
            "[\n  \"b\",\n  \"a\",\n  \"t\"\n]",
            "[\n  \"b\",\n  \"a\",\n  \"t\",\n  \"o\"\n]",
        );
    }

    #[test]
    fn what_is_not_toml_is_merged_by_lines() {
        let labels = Labels::default();
        let result = toml(b"a = 1\nb = 2\nc = 3\n", b"a = \nb = 2\nc = 3\n", b"a = 1\nb = 2\nc = 4\n", &labels);
        assert_eq!(result, Merge::Clean(b"a = \nb = 2\nc = 4\n".to_vec()));
        assert_eq!(toml(b"\xff", b"a = 1", b"b = 1", &labels), Merge::Binary);
    }

    #[test]
    fn line_ends_of_the_user_stay() {
        let crlf = |text: &str| text.replace('\n', "\r\n");
        let ours = edit(BASE, &[("tokio = \"1.40\"\n", "tokio = \"1.40\"\nuuid = \"1\"\n")]);
        let theirs = edit(BASE, &[("tokio = \"1.40\"\n", "tokio = \"1.40\"\ntracing = \"0.1\"\n")]);
        let expected = edit(&ours, &[("tokio = \"1.40\"\n", "tokio = \"1.40\"\ntracing = \"0.1\"\n")]);
        assert_clean(&crlf(&ours), &theirs, &crlf(&expected));
        assert_clean(&ours, &theirs, &expected);
    }

    /// SplitMix64 (Steele, Lea, Flood, 2014).
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) % limit as u64) as usize
        }
    }

    /// Dependencies by name: version and features.
    type Crates = BTreeMap<String, (String, Vec<String>)>;

    const NAMES: [&str; 8] = ["anyhow", "bytes", "clap", "http", "serde", "time", "tokio", "uuid"];

    fn changed(random: &mut Random, crates: &Crates) -> Crates {
        let mut crates = crates.clone();
        for _ in 0..1 + random.below(3) {
            let name = NAMES[random.below(NAMES.len())].to_owned();
            match random.below(4) {
                0 => drop(crates.remove(&name)),
                1 => {
                    let features = &mut crates.entry(name).or_insert_with(|| ("1".to_owned(), Vec::new())).1;
                    let feature = ["alloc", "full", "std"][random.below(3)].to_owned();
                    match features.iter().position(|there| *there == feature) {
                        Some(at) => drop(features.remove(at)),
                        None => features.push(feature),
                    }
                }
                _ => {
                    crates.entry(name).or_insert_with(|| (String::new(), Vec::new())).0 =
                        format!("1.{}", random.below(4))
                }
            }
        }
        crates
    }

    /// The crates in one of many spellings, with comments of who wrote it.
    fn spelled(random: &mut Random, crates: &Crates, who: &str, comments: &mut Vec<String>) -> String {
        let mut text = "[package]\nname = \"shop\"\n\n[dependencies]\n".to_owned();
        let mut tables = String::new();
        let free = !who.is_empty();
        for (name, (version, features)) in crates {
            if free && random.below(3) == 0 {
                comments.push(format!("# {who} on {name}"));
                text += &format!("# {who} on {name}\n");
            }
            let list = features.iter().map(|feature| format!("\"{feature}\"")).collect::<Vec<_>>().join(", ");
            let style = if free { random.below(4) } else { 0 };
            match (style, features.is_empty()) {
                (0 | 1, true) => text += &format!("{name} = \"{version}\"\n"),
                (2, _) => {
                    tables += &format!("\n[dependencies.{name}]\nversion   = '{version}'\n");
                    if !features.is_empty() {
                        tables += &format!("features = [\n  {list}\n]\n");
                    }
                }
                (_, true) => text += &format!("{name}={{version=\"{version}\"}}\n"),
                (_, false) => text += &format!("{name} = {{ version = \"{version}\", features = [{list}] }}\n"),
            }
        }
        text + &tables
    }

    /// What the rules say comes of three values.
    fn expected<T: Clone + PartialEq>(was: &T, mine: &T, other: &T) -> Option<T> {
        if mine == other || other == was {
            Some(mine.clone())
        } else if mine == was {
            Some(other.clone())
        } else {
            None
        }
    }

    fn expected_crates(was: &Crates, mine: &Crates, other: &Crates) -> Option<Crates> {
        let mut merged = Crates::new();
        for name in NAMES {
            let [was, mine, other] = [was, mine, other].map(|crates| crates.get(name).cloned());
            let result = match (expected(&was, &mine, &other), &was, &mine, &other) {
                (Some(result), ..) => result,
                (None, was, Some(mine), Some(other)) => {
                    let nothing = (String::new(), Vec::new());
                    let was = was.as_ref().unwrap_or(&nothing);
                    let mut features: Vec<String> = Vec::new();
                    for feature in ["alloc", "full", "std"] {
                        let has = |of: &(String, Vec<String>)| of.1.iter().any(|there| there == feature);
                        if expected(&has(was), &has(mine), &has(other))? {
                            features.push(feature.to_owned());
                        }
                    }
                    Some((expected(&was.0, &mine.0, &other.0)?, features))
                }
                _ => return None,
            };
            merged.extend(result.map(|(version, mut features)| {
                features.sort();
                (name.to_owned(), (version, features))
            }));
        }
        Some(merged)
    }

    fn read(text: &str) -> Crates {
        let document: DocumentMut = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
        let table = document["dependencies"].as_table_like().unwrap();
        let crates = table.iter().map(|(name, item)| {
            let version = item.as_str().or_else(|| item.get("version")?.as_str()).unwrap().to_owned();
            let list = item.get("features").and_then(Item::as_array);
            let mut features: Vec<String> =
                list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            features.sort();
            (name.to_owned(), (version, features))
        });
        crates.collect()
    }

    #[test]
    fn a_clean_result_has_the_keys_that_the_rules_give_and_all_comments_of_the_users() {
        let mut random = Random(3);
        let (mut clean, mut conflicts, mut refused) = (0, 0, 0);
        for case in 0..2_000 {
            let base: Crates = changed(&mut random, &Crates::new());
            let base = changed(&mut random, &base);
            let (mine, other) = (changed(&mut random, &base), changed(&mut random, &base));
            let mut comments = Vec::new();
            let base_text = spelled(&mut random, &base, "", &mut comments);
            let ours = spelled(&mut random, &mine, "ours", &mut comments);
            let theirs = spelled(&mut random, &other, "", &mut comments);
            let result = toml(base_text.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &Labels::default());
            let show = || {
                format!("case {case}\n--- base\n{base_text}\n--- ours\n{ours}\n--- theirs\n{theirs}\n--- {result:?}")
            };
            let expected = expected_crates(&base, &mine, &other);
            match &result {
                Merge::Clean(text) => {
                    let text = std::str::from_utf8(text).unwrap();
                    assert_eq!(Some(read(text)), expected, "{}\n{text}", show());
                    assert!(comments.iter().all(|comment| text.contains(comment)), "{}\n{text}", show());
                    clean += 1;
                }
                Merge::Conflict { .. } if expected.is_none() => conflicts += 1,
                Merge::Conflict { .. } => refused += 1,
                Merge::Binary => panic!("text"),
            }
        }
        println!("{clean} clean, {conflicts} in conflict, {refused} refused though the keys go together");
        assert!(clean > 1_000 && refused * 10 < clean);
    }
}
