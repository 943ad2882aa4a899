//! The header: what the fields of a row are called, and what its numbers mean.
//!
//! V8 adds fields and types from version to version, so everything is looked up by name; what is
//! not known is skipped.

use serde::Deserialize;

use crate::error::Fault;
use crate::numbers::MAX_FIELDS;
use crate::sections::Widths;

/// The value of `snapshot` in the file.
#[derive(Debug, Deserialize)]
struct Header {
    meta: RawMeta,
    node_count: Option<u64>,
    edge_count: Option<u64>,
    #[serde(default)]
    trace_function_count: u64,
    #[serde(default)]
    root_index: u64,
    #[serde(default)]
    extra_native_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct RawMeta {
    node_fields: Vec<String>,
    node_types: Vec<Types>,
    edge_fields: Vec<String>,
    edge_types: Vec<Types>,
    #[serde(default)]
    location_fields: Vec<String>,
    #[serde(default)]
    trace_function_info_fields: Vec<String>,
    #[serde(default)]
    trace_node_fields: Vec<String>,
    #[serde(default)]
    sample_fields: Vec<String>,
}

/// The types of a field: the names of an enumeration, or one name such as `number`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Types {
    Names(Vec<String>),
    Plain(serde::de::IgnoredAny),
}

/// Where the fields are in a row of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeFields {
    pub(crate) count: usize,
    pub(crate) kind: usize,
    pub(crate) name: usize,
    pub(crate) id: usize,
    pub(crate) self_size: usize,
    pub(crate) edge_count: usize,
    pub(crate) detachedness: Option<usize>,
    pub(crate) stack: Option<usize>,
}

/// Where the fields are in a row of an edge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EdgeFields {
    pub(crate) count: usize,
    pub(crate) kind: usize,
    pub(crate) name: usize,
    pub(crate) to: usize,
}

/// Where the fields are in a row of a location.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocationFields {
    pub(crate) count: usize,
    pub(crate) object: usize,
    pub(crate) script: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Where the fields are in what a snapshot has of allocation stacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StackFields {
    /// In a row of a function.
    pub(crate) functions: usize,
    pub(crate) name: usize,
    pub(crate) file: usize,
    pub(crate) script: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// In a row of the tree.
    pub(crate) count: usize,
    pub(crate) id: usize,
    pub(crate) function: usize,
    pub(crate) objects: usize,
    pub(crate) bytes: usize,
    pub(crate) children: usize,
    /// In a row of a moment: when, and the last id.
    pub(crate) moments: usize,
    pub(crate) moment: Option<[usize; 2]>,
}

/// The types of nodes that have a meaning here; [`NodeKinds::NONE`] if this V8 has none such.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names are V8's")]
pub struct NodeKinds {
    pub hidden: u8,
    pub array: u8,
    pub string: u8,
    pub object: u8,
    pub code: u8,
    pub closure: u8,
    pub regexp: u8,
    pub number: u8,
    pub native: u8,
    pub synthetic: u8,
    pub concatenated: u8,
    pub sliced: u8,
    pub symbol: u8,
}

impl NodeKinds {
    /// Of no node.
    pub const NONE: u8 = u8::MAX;
}

/// The types of edges that have a meaning here.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names are V8's")]
pub struct EdgeKinds {
    pub context: u8,
    pub element: u8,
    pub property: u8,
    pub internal: u8,
    pub hidden: u8,
    pub shortcut: u8,
    pub weak: u8,
}

/// All of the header.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) node: NodeFields,
    pub(crate) edge: EdgeFields,
    pub(crate) location: Option<LocationFields>,
    /// If there are stacks.
    pub(crate) stack: Option<StackFields>,
    pub(crate) node_types: Vec<String>,
    pub(crate) edge_types: Vec<String>,
    pub(crate) node_kinds: NodeKinds,
    pub(crate) edge_kinds: EdgeKinds,
    pub(crate) node_count: Option<u64>,
    pub(crate) edge_count: Option<u64>,
    pub(crate) root: u64,
    pub(crate) extra_native_bytes: u64,
}

fn place(fields: &[String], name: &str) -> Option<usize> {
    fields.iter().position(|field| field == name)
}

fn needed(fields: &[String], list: &str, name: &str) -> Result<usize, Fault> {
    place(fields, name).ok_or_else(|| Fault::Meta {
        why: format!("{list} has no {name:?}"),
    })
}

fn names(types: Vec<Types>, field: usize, list: &str) -> Result<Vec<String>, Fault> {
    match types.into_iter().nth(field) {
        Some(Types::Names(names)) if names.len() < usize::from(NodeKinds::NONE) => Ok(names),
        _ => Err(Fault::Meta {
            why: format!("{list} has no names of types"),
        }),
    }
}

fn kind(types: &[String], name: &str) -> u8 {
    place(types, name).map_or(NodeKinds::NONE, |place| place as u8)
}

impl Meta {
    /// Values in the rows of the tables.
    pub(crate) fn widths(&self) -> Widths {
        Widths {
            nodes: self.node.count,
            edges: self.edge.count,
            locations: self.location.map_or(1, |fields| fields.count),
        }
    }

    /// How many nodes and edges there are, if a file of so many bytes can have as many: a value has two
    /// bytes at least.
    pub(crate) fn likely_counts(&self, bytes: usize) -> Option<(usize, usize)> {
        let fits = |count: u64, width: usize| {
            let count = usize::try_from(count).ok()?;
            (count <= bytes / 2 / width).then_some(count)
        };
        let nodes = fits(self.node_count?, self.node.count)?;
        Some((nodes, fits(self.edge_count?, self.edge.count)?))
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Meta, Fault> {
        let header: Header = serde_json::from_slice(json).map_err(|error| {
            let text = error.to_string();
            let why = text.split(" at line").next().unwrap_or_default().to_owned();
            Fault::Meta { why }
        })?;
        let raw = header.meta;
        for (list, fields) in [
            ("node_fields", &raw.node_fields),
            ("edge_fields", &raw.edge_fields),
            ("location_fields", &raw.location_fields),
            (
                "trace_function_info_fields",
                &raw.trace_function_info_fields,
            ),
            ("trace_node_fields", &raw.trace_node_fields),
            ("sample_fields", &raw.sample_fields),
        ] {
            if fields.len() > MAX_FIELDS {
                return Err(Fault::Meta {
                    why: format!("{list} has {} fields", fields.len()),
                });
            }
        }
        let fields = &raw.node_fields;
        let node = NodeFields {
            count: fields.len(),
            kind: needed(fields, "node_fields", "type")?,
            name: needed(fields, "node_fields", "name")?,
            id: needed(fields, "node_fields", "id")?,
            self_size: needed(fields, "node_fields", "self_size")?,
            edge_count: needed(fields, "node_fields", "edge_count")?,
            detachedness: place(fields, "detachedness"),
            stack: place(fields, "trace_node_id"),
        };
        let fields = &raw.edge_fields;
        let edge = EdgeFields {
            count: fields.len(),
            kind: needed(fields, "edge_fields", "type")?,
            name: needed(fields, "edge_fields", "name_or_index")?,
            to: needed(fields, "edge_fields", "to_node")?,
        };
        let fields = &raw.location_fields;
        let location = (|| {
            Some(LocationFields {
                count: fields.len(),
                object: place(fields, "object_index")?,
                script: place(fields, "script_id")?,
                line: place(fields, "line")?,
                column: place(fields, "column")?,
            })
        })();
        let stack = (|| {
            let (functions, tree) = (&raw.trace_function_info_fields, &raw.trace_node_fields);
            let moment = &raw.sample_fields;
            (header.trace_function_count > 0).then_some(())?;
            node.stack?;
            Some(StackFields {
                functions: functions.len(),
                name: place(functions, "name")?,
                file: place(functions, "script_name")?,
                script: place(functions, "script_id")?,
                line: place(functions, "line")?,
                column: place(functions, "column")?,
                count: tree.len(),
                id: place(tree, "id")?,
                function: place(tree, "function_info_index")?,
                objects: place(tree, "count")?,
                bytes: place(tree, "size")?,
                children: place(tree, "children")?,
                moments: moment.len(),
                moment: (|| {
                    Some([
                        place(moment, "timestamp_us")?,
                        place(moment, "last_assigned_id")?,
                    ])
                })(),
            })
        })();
        let node_types = names(raw.node_types, node.kind, "node_types")?;
        let edge_types = names(raw.edge_types, edge.kind, "edge_types")?;
        if !header.root_index.is_multiple_of(node.count as u64) {
            return Err(Fault::Meta {
                why: format!("root_index is {}", header.root_index),
            });
        }
        let nodes = |name| kind(&node_types, name);
        let edges = |name| kind(&edge_types, name);
        Ok(Meta {
            node_kinds: NodeKinds {
                hidden: nodes("hidden"),
                array: nodes("array"),
                string: nodes("string"),
                object: nodes("object"),
                code: nodes("code"),
                closure: nodes("closure"),
                regexp: nodes("regexp"),
                number: nodes("number"),
                native: nodes("native"),
                synthetic: nodes("synthetic"),
                concatenated: nodes("concatenated string"),
                sliced: nodes("sliced string"),
                symbol: nodes("symbol"),
            },
            edge_kinds: EdgeKinds {
                context: edges("context"),
                element: edges("element"),
                property: edges("property"),
                internal: edges("internal"),
                hidden: edges("hidden"),
                shortcut: edges("shortcut"),
                weak: edges("weak"),
            },
            node,
            edge,
            stack,
            location,
            node_types,
            edge_types,
            node_count: header.node_count,
            edge_count: header.edge_count,
            root: header.root_index / node.count as u64,
            extra_native_bytes: header.extra_native_bytes,
        })
    }
}
