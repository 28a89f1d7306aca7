//! Whether values of one JSON Schema are values of another, by the rules of Confluent's registry.
//!
//! The rules look at the schema's form, and not at all values that it allows. Where an object takes properties that it does
//! not name, naming one narrows it; where it takes no others, naming one widens it. What is not compared: `contains`,
//! `unevaluatedItems`, `unevaluatedProperties`, `propertyNames`, and `if`.

use regex::Regex;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Differences that are told; one would be enough to refuse.
const DIFFERENCES_MAX: usize = 20;
/// Schemas inside of schemas; parts of a schema may name each other in circles.
const DEPTH_MAX: usize = 100;
/// Pairs of schemas that are looked at: each part of a union is held against each of the other one's.
const PAIRS_MAX: usize = 20_000;
/// `$ref` to a `$ref`.
const HOPS_MAX: usize = 32;

/// A schema, and what it refers to by name.
pub(super) struct Documents {
    pub(super) root: Value,
    pub(super) others: BTreeMap<String, Value>,
}

/// Why values of `writer` may be none of `reader`; empty if they all are.
pub(super) fn incompatibilities(writer: &Documents, reader: &Documents) -> Vec<String> {
    let mut check = Check {
        writer,
        reader,
        under_way: BTreeSet::new(),
        pairs: 0,
    };
    let mut differences = Vec::new();
    let root = |documents| Node::whole(documents, documents);
    check.pair(root(&writer.root), root(&reader.root), "#", &mut differences);
    differences.truncate(DIFFERENCES_MAX);
    differences
}

/// A schema, or one of its sides.
#[derive(Clone, Copy, PartialEq)]
struct Node<'s> {
    /// Where `#` in a reference begins.
    document: &'s Value,
    schema: &'s Value,
    side: Option<Side>,
}

/// A side of a schema that has several: all of them have to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Null,
    Boolean,
    Text,
    Number,
    Integer,
    Array,
    Object,
    /// One of several types.
    Types,
    Enum,
    Const,
    All,
    Any,
    One,
    Not,
}

/// How the parts of a combination hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    All,
    Any,
    One,
}

/// What a schema is, as far as it is compared.
enum Shape<'s> {
    /// It allows everything.
    Everything,
    Nothing,
    /// It is elsewhere, and not at hand.
    Elsewhere(&'s str),
    Null,
    Boolean,
    Text(&'s Map<String, Value>),
    Number(&'s Map<String, Value>, bool),
    Array(Node<'s>, &'s Map<String, Value>),
    Object(Node<'s>, &'s Map<String, Value>),
    Enum(&'s [Value]),
    Const(&'s Value),
    Combined(Rule, Vec<Node<'s>>),
    Not(Node<'s>),
}

impl<'s> Node<'s> {
    fn whole(document: &'s Value, schema: &'s Value) -> Node<'s> {
        Node {
            document,
            schema,
            side: None,
        }
    }

    /// A schema within this one.
    fn inner(self, schema: &'s Value) -> Node<'s> {
        Node::whole(self.document, schema)
    }

    fn side(self, side: Side) -> Node<'s> {
        Node {
            side: Some(side),
            ..self
        }
    }

    /// For telling whether a pair is being looked at.
    fn address(self) -> (usize, Option<Side>) {
        (std::ptr::from_ref(self.schema).addr(), self.side)
    }

    /// The schema that it stands for, if it is a reference.
    fn followed(mut self, documents: &'s Documents) -> Result<Node<'s>, &'s str> {
        for _ in 0..HOPS_MAX {
            let Some(reference) = self.schema.get("$ref").and_then(Value::as_str) else {
                return Ok(self);
            };
            let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
            let document = match file {
                "" => Some(self.document),
                file => documents.find(file),
            };
            let found = document.and_then(|document| {
                let pointer = crate::registry::percent_decoded(fragment);
                Some(Node::whole(document, document.pointer(&pointer)?))
            });
            self = found.ok_or(reference)?;
        }
        Err("too many references")
    }

    fn shape(self, documents: &'s Documents) -> Shape<'s> {
        let node = match self.followed(documents) {
            Ok(node) => node,
            Err(reference) => return Shape::Elsewhere(reference),
        };
        let keywords = match node.schema {
            Value::Bool(false) => return Shape::Nothing,
            Value::Object(keywords) => keywords,
            _ => return Shape::Everything,
        };
        if let Some(side) = node.side {
            return node.one(side, keywords);
        }
        let sides = sides(keywords);
        match sides[..] {
            [] => Shape::Everything,
            [side] => node.one(side, keywords),
            _ => Shape::Combined(Rule::All, sides.iter().map(|side| node.side(*side)).collect()),
        }
    }

    fn one(self, side: Side, keywords: &'s Map<String, Value>) -> Shape<'s> {
        let many = |rule, word: &str| {
            let parts = keywords.get(word).and_then(Value::as_array);
            let parts = parts.map_or(&[][..], Vec::as_slice);
            Shape::Combined(rule, parts.iter().map(|part| self.inner(part)).collect())
        };
        match side {
            Side::Null => Shape::Null,
            Side::Boolean => Shape::Boolean,
            Side::Text => Shape::Text(keywords),
            Side::Number => Shape::Number(keywords, false),
            Side::Integer => Shape::Number(keywords, true),
            Side::Array => Shape::Array(self.whole_again(), keywords),
            Side::Object => Shape::Object(self.whole_again(), keywords),
            Side::Types => {
                let types = keywords.get("type").and_then(Value::as_array);
                let sides = types
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .filter_map(typed);
                Shape::Combined(Rule::Any, sides.map(|side| self.side(side)).collect())
            }
            Side::Enum => {
                let values = keywords.get("enum").and_then(Value::as_array);
                Shape::Enum(values.map_or(&[], Vec::as_slice))
            }
            Side::Const => Shape::Const(keywords.get("const").unwrap_or(&Value::Null)),
            Side::All => many(Rule::All, "allOf"),
            Side::Any => many(Rule::Any, "anyOf"),
            Side::One => many(Rule::One, "oneOf"),
            Side::Not => Shape::Not(self.inner(keywords.get("not").unwrap_or(&Value::Null))),
        }
    }

    fn whole_again(self) -> Node<'s> {
        Node { side: None, ..self }
    }
}

impl Documents {
    /// What has this name, or says so itself.
    fn find(&self, name: &str) -> Option<&Value> {
        let all = || self.others.values().chain([&self.root]);
        let says_so = |schema: &&Value| schema.get("$id").and_then(Value::as_str) == Some(name);
        self.others.get(name).or_else(|| all().find(says_so))
    }
}

fn typed(name: &str) -> Option<Side> {
    Some(match name {
        "null" => Side::Null,
        "boolean" => Side::Boolean,
        "string" => Side::Text,
        "number" => Side::Number,
        "integer" => Side::Integer,
        "array" => Side::Array,
        "object" => Side::Object,
        _ => return None,
    })
}

/// The sides of a schema by its keywords; some of them say the type.
fn sides(keywords: &Map<String, Value>) -> Vec<Side> {
    const NAMED: [(&str, Side); 6] = [
        ("enum", Side::Enum),
        ("const", Side::Const),
        ("allOf", Side::All),
        ("anyOf", Side::Any),
        ("oneOf", Side::One),
        ("not", Side::Not),
    ];
    const IMPLIED: [(Side, &[&str]); 4] = [
        (
            Side::Object,
            &[
                "properties",
                "required",
                "additionalProperties",
                "patternProperties",
                "minProperties",
                "maxProperties",
                "dependencies",
                "dependentRequired",
                "dependentSchemas",
            ],
        ),
        (
            Side::Array,
            &[
                "items",
                "prefixItems",
                "additionalItems",
                "minItems",
                "maxItems",
                "uniqueItems",
            ],
        ),
        (Side::Text, &["minLength", "maxLength", "pattern", "format"]),
        (
            Side::Number,
            &[
                "minimum",
                "maximum",
                "exclusiveMinimum",
                "exclusiveMaximum",
                "multipleOf",
            ],
        ),
    ];
    let has = |word: &str| keywords.contains_key(word);
    let mut sides: Vec<_> = NAMED
        .into_iter()
        .filter(|(word, _)| has(word))
        .map(|(_, side)| side)
        .collect();
    match keywords.get("type") {
        Some(Value::String(name)) => sides.extend(typed(name)),
        Some(Value::Array(_)) => sides.push(Side::Types),
        _ => {
            let implied = IMPLIED
                .into_iter()
                .filter(|(_, words)| words.iter().any(|word| has(word)));
            sides.extend(implied.map(|(side, _)| side));
        }
    }
    sides
}

struct Check<'d> {
    writer: &'d Documents,
    reader: &'d Documents,
    /// Pairs that are being looked at.
    under_way: BTreeSet<[(usize, Option<Side>); 2]>,
    pairs: usize,
}

type Differences = Vec<String>;

fn differ(differences: &mut Differences, path: &str, what: impl std::fmt::Display) {
    if differences.len() < DIFFERENCES_MAX {
        differences.push(format!("{path}: {what}"));
    }
}

impl<'d> Check<'d> {
    fn fits(&mut self, old: Node<'d>, new: Node<'d>) -> bool {
        let mut differences = Vec::new();
        self.pair(old, new, "", &mut differences);
        differences.is_empty()
    }

    fn pair(&mut self, old: Node<'d>, new: Node<'d>, path: &str, differences: &mut Differences) {
        let key = [old.address(), new.address()];
        self.pairs += 1;
        if self.pairs > PAIRS_MAX || self.under_way.len() > DEPTH_MAX {
            return differ(differences, path, "the schemas are too large to be compared");
        }
        if !self.under_way.insert(key) {
            return;
        }
        self.shapes(old, new, path, differences);
        self.under_way.remove(&key);
    }

    fn optional(
        &mut self,
        old: Option<Node<'d>>,
        new: Option<Node<'d>>,
        path: &str,
        differences: &mut Differences,
    ) {
        match (old, new) {
            (Some(old), Some(new)) => self.pair(old, new, path, differences),
            (None, Some(_)) => differ(differences, path, "a schema has come"),
            (_, None) => {}
        }
    }

    fn shapes(&mut self, old: Node<'d>, new: Node<'d>, path: &str, differences: &mut Differences) {
        let (was, is) = (old.shape(self.writer), new.shape(self.reader));
        match (&was, &is) {
            (Shape::Combined(..), Shape::Combined(..)) => {}
            (_, Shape::Combined(rule, parts)) => {
                let is_union = *rule != Rule::All || parts.len() == 1;
                if is_union && parts.iter().any(|part| self.fits(old, *part)) {
                    return;
                }
            }
            (Shape::Combined(_, parts), _) => {
                if let [part] = parts[..]
                    && self.fits(part, new)
                {
                    return;
                }
            }
            _ => {}
        }
        match (was, is) {
            (Shape::Nothing, _) | (_, Shape::Everything) => {}
            (Shape::Null, Shape::Null) | (Shape::Boolean, Shape::Boolean) => {}
            (Shape::Text(old), Shape::Text(new)) => texts(old, new, path, differences),
            (Shape::Number(old, was_integer), Shape::Number(new, is_integer)) => {
                numbers(old, new, path, differences);
                if is_integer && !was_integer {
                    differ(differences, path, "the type was number, and is integer");
                }
            }
            (Shape::Enum(old), Shape::Enum(new)) => {
                if !old.iter().all(|value| new.contains(value)) {
                    differ(differences, path, "the enum lacks values that it had");
                }
            }
            (Shape::Const(old), Shape::Const(new)) => {
                if old != new {
                    differ(differences, path, "the const is another");
                }
            }
            (Shape::Not(old), Shape::Not(new)) => {
                // Turned around: what is not allowed may only become less.
                let mut turned = Check {
                    writer: self.reader,
                    reader: self.writer,
                    under_way: BTreeSet::new(),
                    pairs: self.pairs,
                };
                let fits = turned.fits(new, old);
                self.pairs = turned.pairs;
                if !fits {
                    differ(
                        differences,
                        &format!("{path}/not"),
                        "more is not allowed than was",
                    );
                }
            }
            (Shape::Combined(was, old), Shape::Combined(is, new)) => {
                self.combinations((was, old), (is, new), path, differences);
            }
            (Shape::Object(old, was), Shape::Object(new, is)) => {
                self.objects((old, was), (new, is), path, differences);
            }
            (Shape::Array(old, was), Shape::Array(new, is)) => {
                self.arrays((old, was), (new, is), path, differences);
            }
            (Shape::Elsewhere(old), Shape::Elsewhere(new)) if old == new => {}
            _ => differ(differences, path, "the type is another"),
        }
    }

    fn combinations(
        &mut self,
        (was, old): (Rule, Vec<Node<'d>>),
        (is, new): (Rule, Vec<Node<'d>>),
        path: &str,
        differences: &mut Differences,
    ) {
        let is_allowed = match is {
            _ if was == is => true,
            Rule::Any => true,
            Rule::One => old.len() == 1,
            Rule::All => old.len() == 1 && new.len() == 1,
        };
        if !is_allowed {
            return differ(
                differences,
                path,
                format_args!("{was:?} of the parts became {is:?} of them"),
            );
        }
        let (old, new) = (distinct(&old), distinct(&new));
        if old.len() < new.len() && is == Rule::All {
            differ(differences, path, "more schemas have to hold at once");
        }
        if old.len() > new.len() && is != Rule::All {
            differ(differences, path, "there are fewer schemas to choose from");
        }
        let fits: Vec<Vec<usize>> = old
            .iter()
            .map(|old| (0..new.len()).filter(|at| self.fits(*old, new[*at])).collect())
            .collect();
        if matching(&fits, new.len()) < old.len().min(new.len()) {
            differ(differences, path, "schemas of a combination have no counterpart");
        }
    }

    fn objects(
        &mut self,
        (old, was): (Node<'d>, &'d Map<String, Value>),
        (new, is): (Node<'d>, &'d Map<String, Value>),
        path: &str,
        differences: &mut Differences,
    ) {
        let (before, after) = (Content::of_object(old, was), Content::of_object(new, is));
        let properties = [was, is].map(|keywords| object(keywords, "properties"));
        for (name, schema) in properties[0] {
            let path = format!("{path}/properties/{name}");
            let old = old.inner(schema);
            match properties[1].get(name) {
                Some(schema) => {
                    let (was_needed, is_needed) = (requires(was, name), requires(is, name));
                    if is_needed && !was_needed && schema.get("default").is_none() {
                        differ(differences, &path, "it is required, and was not");
                    }
                    self.pair(old, new.inner(schema), &path, differences);
                }
                None if after.is_open() => {}
                None => match after.of_name(name) {
                    Some(other) => self.pair(old, other, &path, differences),
                    None if *schema == Value::Bool(false) => {}
                    None => differ(differences, &path, "it is gone, and the object takes no others"),
                },
            }
        }
        for (name, schema) in properties[1]
            .iter()
            .filter(|(name, _)| !properties[0].contains_key(*name))
        {
            let path = format!("{path}/properties/{name}");
            let new = new.inner(schema);
            if before.is_open() {
                if !matches!(new.shape(self.reader), Shape::Everything) {
                    differ(
                        differences,
                        &path,
                        "it is new, and the object took others of any kind",
                    );
                }
                continue;
            }
            if let Some(other) = before.of_name(name) {
                self.pair(other, new, &path, differences);
            }
            if requires(is, name) && schema.get("default").is_none() {
                differ(differences, &path, "it is new, required, and has no default");
            }
        }
        self.dependencies((old, was), (new, is), path, differences);
        self.rest(
            &before,
            &after,
            &format!("{path}/additionalProperties"),
            differences,
        );
        limits(was, is, &["maxProperties"], &["minProperties"], path, differences);
    }

    fn dependencies(
        &mut self,
        (old, was): (Node<'d>, &'d Map<String, Value>),
        (new, is): (Node<'d>, &'d Map<String, Value>),
        path: &str,
        differences: &mut Differences,
    ) {
        for word in ["dependencies", "dependentRequired", "dependentSchemas"] {
            let known = object(was, word);
            for (name, after) in object(is, word) {
                let path = format!("{path}/{word}/{name}");
                match (known.get(name), after) {
                    (Some(Value::Array(before)), Value::Array(after)) => {
                        if !after.iter().all(|name| before.contains(name)) {
                            differ(differences, &path, "more is needed than was");
                        }
                    }
                    (
                        Some(before @ (Value::Object(_) | Value::Bool(_))),
                        Value::Object(_) | Value::Bool(_),
                    ) => {
                        self.pair(old.inner(before), new.inner(after), &path, differences);
                    }
                    _ => differ(differences, &path, "the dependency is new"),
                }
            }
        }
    }

    /// What stands for all that is not named.
    fn rest(&mut self, before: &Content<'d>, after: &Content<'d>, path: &str, differences: &mut Differences) {
        match (before.takes_others, after.takes_others) {
            (true, false) => differ(differences, path, "others were taken, and are not"),
            (false, true) => {}
            _ => match (before.others, after.others) {
                (None, Some(_)) => differ(differences, path, "others were of any kind, and are not"),
                (Some(_), None) => {}
                (old, new) => self.optional(old, new, path, differences),
            },
        }
    }

    fn arrays(
        &mut self,
        (old, was): (Node<'d>, &'d Map<String, Value>),
        (new, is): (Node<'d>, &'d Map<String, Value>),
        path: &str,
        differences: &mut Differences,
    ) {
        let (before, after) = (Items::of(old, was), Items::of(new, is));
        self.optional(before.each, after.each, &format!("{path}/items"), differences);
        for at in 0..before.first.len().max(after.first.len()) {
            let path = format!("{path}/items/{at}");
            match (before.first.get(at), after.first.get(at)) {
                (Some(old), Some(new)) => self.pair(*old, *new, &path, differences),
                (Some(_), None) if after.rest.is_open() => {}
                (Some(old), None) => match after.rest.others {
                    Some(other) => self.pair(*old, other, &path, differences),
                    None if *old.schema == Value::Bool(false) => {}
                    None => differ(differences, &path, "it is gone, and the array takes no others"),
                },
                (None, Some(new)) if before.rest.is_open() => {
                    if !matches!(new.shape(self.reader), Shape::Everything) {
                        differ(
                            differences,
                            &path,
                            "it is new, and the array took others of any kind",
                        );
                    }
                }
                (None, Some(new)) => {
                    if let Some(other) = before.rest.others {
                        self.pair(other, *new, &path, differences);
                    }
                }
                (None, None) => {}
            }
        }
        self.rest(
            &before.rest,
            &after.rest,
            &format!("{path}/additionalItems"),
            differences,
        );
        limits(was, is, &["maxItems"], &["minItems"], path, differences);
        let unique = |keywords: &Map<String, Value>| keywords.get("uniqueItems") == Some(&Value::Bool(true));
        if unique(is) && !unique(was) {
            differ(differences, path, "items have to be unique, and had not");
        }
    }
}

/// What an object or an array takes beside what it names.
struct Content<'s> {
    takes_others: bool,
    others: Option<Node<'s>>,
    patterns: Vec<(&'s str, Node<'s>)>,
}

impl<'s> Content<'s> {
    fn of(node: Node<'s>, word: Option<&'s Value>) -> Content<'s> {
        Content {
            takes_others: word != Some(&Value::Bool(false)),
            others: word.filter(|word| word.is_object()).map(|word| node.inner(word)),
            patterns: Vec::new(),
        }
    }

    fn of_object(node: Node<'s>, keywords: &'s Map<String, Value>) -> Content<'s> {
        let patterns = object(keywords, "patternProperties").iter();
        Content {
            patterns: patterns
                .map(|(pattern, schema)| (pattern.as_str(), node.inner(schema)))
                .collect(),
            ..Content::of(node, keywords.get("additionalProperties"))
        }
    }

    /// Whether it takes others of any kind.
    fn is_open(&self) -> bool {
        self.takes_others && self.others.is_none() && self.patterns.is_empty()
    }

    /// What others of this name have to be. A pattern that cannot be read matches none.
    fn of_name(&self, name: &str) -> Option<Node<'s>> {
        let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(name));
        let found = self.patterns.iter().find(|(pattern, _)| matches(pattern));
        found.map(|(_, schema)| *schema).or(self.others)
    }
}

/// What the items of an array are.
struct Items<'s> {
    each: Option<Node<'s>>,
    first: Vec<Node<'s>>,
    rest: Content<'s>,
}

impl<'s> Items<'s> {
    /// Since draft 2020-12 the first items stand in `prefixItems`, and all others in `items`.
    fn of(node: Node<'s>, keywords: &'s Map<String, Value>) -> Items<'s> {
        let items = keywords.get("items");
        let (first, rest) = match (keywords.get("prefixItems"), items) {
            (Some(Value::Array(first)), rest) => (Some(first), rest),
            (_, Some(Value::Array(first))) => (Some(first), keywords.get("additionalItems")),
            _ => (None, keywords.get("additionalItems")),
        };
        let each = items.filter(|items| first.is_none() && !items.is_array());
        Items {
            each: each.map(|schema| node.inner(schema)),
            first: first
                .into_iter()
                .flatten()
                .map(|schema| node.inner(schema))
                .collect(),
            rest: Content::of(node, rest),
        }
    }
}

fn object<'s>(keywords: &'s Map<String, Value>, word: &str) -> &'s Map<String, Value> {
    static NONE: std::sync::OnceLock<Map<String, Value>> = std::sync::OnceLock::new();
    let found = keywords.get(word).and_then(Value::as_object);
    found.unwrap_or_else(|| NONE.get_or_init(Map::new))
}

fn requires(keywords: &Map<String, Value>, name: &str) -> bool {
    let required = keywords.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|required| required == name))
}

fn texts(old: &Map<String, Value>, new: &Map<String, Value>, path: &str, differences: &mut Differences) {
    limits(old, new, &["maxLength"], &["minLength"], path, differences);
    if let Some(pattern) = new.get("pattern")
        && old.get("pattern") != Some(pattern)
    {
        differ(differences, &format!("{path}/pattern"), "it is new, or another");
    }
}

fn numbers(old: &Map<String, Value>, new: &Map<String, Value>, path: &str, differences: &mut Differences) {
    let (uppers, lowers) = (["maximum", "exclusiveMaximum"], ["minimum", "exclusiveMinimum"]);
    limits(old, new, &uppers, &lowers, path, differences);
    let multiple = |keywords: &Map<String, Value>| keywords.get("multipleOf").and_then(Value::as_f64);
    let is_fine = match (multiple(old), multiple(new)) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(old), Some(new)) => old % new == 0.0,
    };
    if !is_fine {
        differ(
            differences,
            &format!("{path}/multipleOf"),
            "it is new, or does not divide what it was",
        );
    }
}

/// Limits may be gone, or wider than they were.
fn limits(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    uppers: &[&str],
    lowers: &[&str],
    path: &str,
    differences: &mut Differences,
) {
    for (words, is_upper) in [(uppers, true), (lowers, false)] {
        for word in words {
            let limit = |keywords: &Map<String, Value>| keywords.get(*word).and_then(Value::as_f64);
            let is_fine = match (limit(old), limit(new)) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(old), Some(new)) if is_upper => new >= old,
                (Some(old), Some(new)) => new <= old,
            };
            if !is_fine {
                differ(
                    differences,
                    &format!("{path}/{word}"),
                    "it is new, or narrower than it was",
                );
            }
        }
    }
}

fn distinct<'s>(nodes: &[Node<'s>]) -> Vec<Node<'s>> {
    let mut distinct: Vec<Node<'s>> = Vec::new();
    for node in nodes {
        if !distinct.contains(node) {
            distinct.push(*node);
        }
    }
    distinct
}

/// How many can have a counterpart of their own at most; `fits` says for each which ones do.
fn matching(fits: &[Vec<usize>], others: usize) -> usize {
    /// Finds one for `left`, and moves those that have one if it must.
    fn place(left: usize, fits: &[Vec<usize>], tried: &mut [bool], taken: &mut [Option<usize>]) -> bool {
        fits[left].iter().any(|&right| {
            if std::mem::replace(&mut tried[right], true) {
                return false;
            }
            let is_free = match taken[right] {
                None => true,
                Some(holder) => place(holder, fits, tried, taken),
            };
            if is_free {
                taken[right] = Some(left);
            }
            is_free
        })
    }
    let mut taken = vec![None; others];
    let placed = (0..fits.len()).filter(|left| place(*left, fits, &mut vec![false; others], &mut taken));
    placed.count()
}
