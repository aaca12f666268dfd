//! CSV.

use super::{Batches, TableConfig, open};
use csv::{ByteRecord, ReaderBuilder};
use mlx_core::{
    Error,
    arrow::{
        array::timezone::Tz,
        compute::kernels::cast_utils::{Parser, string_to_datetime},
        csv::reader::Format,
        datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampNanosecondType},
    },
    diagnostics::{Code, Diagnostic, Location, Source},
    prelude::*,
};
use regex::Regex;
use std::{
    collections::HashSet,
    io::{Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

/// Malformed places reported at once.
const REPORTED: usize = 20;

/// Infers the columns' types from the whole file, and checks that every record is well-formed.
///
/// # Errors
/// [`Invalid`](mlx_core::ErrorKind::Invalid) with the line and column of everything that is malformed.
pub(super) fn schema(config: &TableConfig) -> Result<SchemaRef> {
    let path = &config.path;
    // Short records are accepted here and reported by the check, which knows where they are.
    let inferred = format(config)?.with_truncated_rows(true).infer_schema(open(path)?, None);
    let mut schema = match &inferred {
        Ok((schema, _)) => named(schema),
        Err(_) => Schema::empty(),
    };
    check(config, &mut schema)?;
    inferred.map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?;
    if schema.fields().is_empty() {
        return Err(Error::invalid(format!("{} is empty: nothing tells its columns", path.display())));
    }
    Ok(Arc::new(schema))
}

/// The rows.
pub(super) fn batches(config: &TableConfig, schema: &SchemaRef) -> Result<Batches> {
    let builder = mlx_core::arrow::csv::ReaderBuilder::new(schema.clone()).with_format(format(config)?);
    let path = config.path.clone();
    let batches = builder.with_batch_size(8192).build(open(&path)?)?;
    Ok(Box::new(
        batches.map(move |batch| batch.map_err(|error| Error::invalid(format!("{}: {error}", path.display())))),
    ))
}

fn format(config: &TableConfig) -> Result<Format> {
    let nulls: Vec<String> = config.null_values.iter().map(|text| regex::escape(text)).collect();
    // An empty list means that every text is a value: an expression that matches nothing.
    let nulls = if nulls.is_empty() { r"\z\A.".to_owned() } else { format!(r"\A(?:{})\z", nulls.join("|")) };
    let nulls = Regex::new(&nulls).map_err(|error| Error::invalid(format!("null_values: {error}")))?;
    Ok(Format::default().with_header(config.header).with_delimiter(config.separator()).with_null_regex(nulls))
}

impl TableConfig {
    fn separator(&self) -> u8 {
        let by_extension = if self.extension() == "tsv" { b'\t' } else { b',' };
        self.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok()).unwrap_or(by_extension)
    }
}

/// The schema with a name for each column: a file that was written with an index has none for the first.
fn named(schema: &Schema) -> Schema {
    let name = |(index, field): (usize, &Arc<Field>)| match field.name().as_str() {
        "" => Arc::new(field.as_ref().clone().with_name(format!("column_{}", index + 1))),
        _ => field.clone(),
    };
    Schema::new(schema.fields().iter().enumerate().map(name).collect::<Vec<_>>())
}

/// Looks at every record: it must have as many fields as the first, in UTF-8, with quotes that are closed. A column
/// with a value that only looks like its type, such as the date 2024-02-30, becomes text.
fn check(config: &TableConfig, schema: &mut Schema) -> Result<()> {
    let path = &config.path;
    let mut malformed = Malformed { path, source: Source::new(path.to_string_lossy(), ""), found: Vec::new() };
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(config.separator()).from_reader(open(path)?);
    let mut types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    let mut record = ByteRecord::new();
    let mut width = None;
    let mut last = (0, 1);
    while malformed.found.len() < REPORTED {
        let start = (reader.position().byte(), reader.position().line());
        let more = reader.read_byte_record(&mut record);
        if !more.map_err(|error| Error::invalid(format!("{}: {error}", path.display())))? {
            break;
        }
        last = start;
        let end = reader.position().byte();
        let heading = width.is_none() && config.header;
        let expected = *width.get_or_insert(record.len());
        if record.len() != expected {
            let message = format!("the record has {} values, and the first has {expected}", record.len());
            malformed.report(message, start, end, config.separator(), Place::Field(record.len().min(expected)))?;
            continue;
        }
        let mut names = HashSet::new();
        for (index, field) in record.iter().enumerate() {
            let Ok(text) = std::str::from_utf8(field) else {
                let message = "the value is not UTF-8".to_owned();
                malformed.report(message, start, end, config.separator(), Place::Field(index))?;
                continue;
            };
            if heading && !text.is_empty() && !names.insert(text.to_ascii_lowercase()) {
                let message = format!("the column `{text}` appears twice; SQL ignores case");
                malformed.report(message, start, end, config.separator(), Place::Field(index))?;
            }
            if !heading
                && let Some(data_type) = types.get_mut(index)
                && !config.null_values.iter().any(|null| null == text)
                && !fits(text, data_type)
            {
                *data_type = DataType::Utf8;
            }
        }
    }
    if malformed.found.len() < REPORTED {
        // A quote that is never closed swallows the rest of the file into one value of the last record.
        let end = reader.position().byte();
        let message = "the quote is never closed".to_owned();
        malformed.report(message, last, end, config.separator(), Place::OpenQuote)?;
    }
    if !malformed.found.is_empty() {
        return Err(Error::from_diagnostics(path.display(), malformed.found));
    }
    let fields = schema.fields().iter().zip(types).map(|(field, t)| field.as_ref().clone().with_data_type(t));
    *schema = Schema::new(fields.collect::<Vec<_>>());
    Ok(())
}

/// Whether the reader will be able to read the text as the type that was inferred from its shape.
fn fits(text: &str, data_type: &DataType) -> bool {
    match data_type {
        DataType::Int64 => Int64Type::parse(text).is_some(),
        DataType::Float64 => Float64Type::parse(text).is_some(),
        DataType::Date32 => mlx_core::arrow::datatypes::Date32Type::parse(text).is_some(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => TimestampNanosecondType::parse(text).is_some(),
        DataType::Timestamp(..) => "+00:00".parse::<Tz>().is_ok_and(|utc| string_to_datetime(&utc, text).is_ok()),
        _ => true,
    }
}

/// Something in a record.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// A field by its number from 0; beyond the last it is the record's end.
    Field(usize),
    /// A quote that is not closed, if there is one.
    OpenQuote,
}

struct Malformed<'p> {
    path: &'p Path,
    /// Without the text, so that no report shows private data.
    source: Arc<Source>,
    found: Vec<Diagnostic>,
}

impl Malformed<'_> {
    /// Reports a place in the record that reaches from a byte, on a line, up to another byte.
    fn report(&mut self, message: String, start: (u64, u64), end: u64, separator: u8, place: Place) -> Result<()> {
        let mut file = open(self.path)?;
        file.seek(SeekFrom::Start(start.0))?;
        let mut raw = Vec::new();
        file.take(end.saturating_sub(start.0)).read_to_end(&mut raw)?;
        if let Some((lines, column)) = locate(&raw, separator, place) {
            let line = u32::try_from(start.1).unwrap_or(u32::MAX).saturating_add(lines);
            let location = Location { source: self.source.clone(), line, column, length: 1 };
            self.found.push(Diagnostic::error(Code::Syntax, message).at(&location));
        }
        Ok(())
    }
}

/// Where something is in a record's bytes: how many lines further, and in which column, in characters from 1.
fn locate(raw: &[u8], separator: u8, place: Place) -> Option<(u32, u32)> {
    let (mut line, mut column, mut field) = (0, 1, 0);
    // Whether a field begins here; and the place of the quote that the field is in.
    let (mut fresh, mut quote) = (true, None);
    let mut before = 0;
    let blank = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    for (index, &byte) in raw.iter().enumerate() {
        if index >= blank && fresh && quote.is_none() && place == Place::Field(field) {
            return Some((line, column));
        }
        match byte {
            b'\r' | b'\n' if index >= blank && quote.is_none() => break,
            b'\n' => (line, column) = (line + 1, 0),
            b'"' if quote.is_some() => quote = None,
            // Elsewhere in a field a quote is an ordinary character, but doubled it stays inside.
            b'"' if fresh || before == b'"' => quote = Some((line, column)),
            _ => {}
        }
        fresh = index < blank || (byte == separator && quote.is_none());
        field += usize::from(fresh && index >= blank);
        // The further bytes of a character in UTF-8, and a return before a new line, take no column.
        column += u32::from(byte & 0xC0 != 0x80 && !(byte == b'\r' && index < blank));
        before = byte;
    }
    match place {
        Place::OpenQuote => quote,
        Place::Field(_) => Some((line, column)),
    }
}
