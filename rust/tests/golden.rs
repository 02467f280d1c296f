//! The core packs the bytes that pymilvus packs: the files of `tests/golden/`, which also hold how they were made.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field as ArrowField, Schema};
use headrace_core::{Names, Packer, Request, bind_field};
use serde_json::Value;

fn golden_files(prefix: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name.starts_with(prefix) && path.extension().is_some_and(|extension| extension == "json") {
            files.push((name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()));
        }
    }
    assert!(!files.is_empty(), "no golden file {prefix}*");
    files
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn pack(file: &Value, column: &ArrayRef) -> String {
    let field = common::field_of(&file["field"]);
    hex(&bind_field(&field, column.as_ref()).unwrap().to_vec().unwrap())
}

#[test]
fn packs_the_golden_bytes_of_every_field() {
    for (name, file) in golden_files("field_") {
        let column = common::column_of(&file["field"], file["values"].as_array().unwrap());
        assert_eq!(pack(&file, &column), file["hex"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn packs_the_golden_bytes_from_the_middle_of_a_longer_column() {
    for (name, file) in golden_files("field_") {
        let values = file["values"].as_array().unwrap();
        let longer = [&values[1..], values, &values[..1]].concat();
        let column = common::column_of(&file["field"], &longer).slice(values.len() - 1, values.len());
        assert_eq!(pack(&file, &column), file["hex"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn packs_the_golden_bytes_of_every_request() {
    for (name, file) in golden_files("request_") {
        let text = |key: &str| file["request"][key].as_str().unwrap_or("").to_owned();
        let names =
            Names { collection: text("collection_name"), partition: text("partition_name"), ..Names::default() };
        let facts = file["fields"].as_array().unwrap();
        let packer = Packer::new(facts.iter().map(common::field_of).collect(), &names).unwrap();
        let request = Request {
            schema_timestamp: file["request"]["schema_timestamp"].as_u64().unwrap_or(0),
            partial_update: file["request"]["partial_update"].as_bool().unwrap_or(false),
        };
        let columns: Vec<_> = facts
            .iter()
            .map(|fact| {
                let name = fact["name"].as_str().unwrap();
                let column = common::column_of(fact, file["columns"][name].as_array().unwrap());
                (ArrowField::new(name, column.data_type().clone(), true), column)
            })
            .collect();
        let schema = Schema::new(columns.iter().map(|(field, _)| field.clone()).collect::<Vec<_>>());
        let batch =
            RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column)| column).collect()).unwrap();
        assert_eq!(hex(&packer.pack(&batch, request).unwrap()), file["hex"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn names_the_arrow_version_that_is_built_in() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let binding = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("rust/py.rs")).unwrap();
    let version = lock.split("name = \"arrow-array\"\nversion = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(binding.contains(&format!("const ARROW_VERSION: &str = \"{version}\";")), "arrow-array is {version}");
}

#[test]
fn only_the_binding_names_pyo3_and_unsafe_is_where_it_has_a_reason() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("rust")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("tests") {
                    folders.push(path);
                }
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            seen += 1;
            assert!(path.ends_with("py.rs") || !source.contains("pyo3"), "{} names pyo3", path.display());
            // Memory that is not initialised: `fill_vec` in wire/sink.rs, `pack_bytes` in py.rs (3). Numbers of a list that
            // are not counted: `put_number` in py.rs.
            let allowed = if path.ends_with("py.rs") { 4 } else { usize::from(path.ends_with("wire/sink.rs")) };
            let blocks = source.matches("unsafe {").count();
            assert_eq!(blocks, allowed, "{} has {blocks} unsafe blocks", path.display());
        }
    }
    assert!(seen > 10);
}
