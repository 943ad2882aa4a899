//! The part for programs; the fields are in `docs/report-schema.md`.

use heap::js::{Collection, JsHeap, JsSite, Mark, Usage};
use heap::{COLLECTION_NAMES, Trend};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A heap.
#[derive(Clone, Serialize)]
pub struct JsonJsHeap {
    thread: u32,
    limit: u64,
    first: Value,
    last: Value,
    most: Value,
    usage: Vec<Value>,
    collections: Map<String, Value>,
    collection_events: Vec<Value>,
    growth: Option<JsonTrend>,
    marks: Vec<Value>,
    sites: Vec<JsonSite>,
}

#[derive(Clone, Serialize)]
struct JsonTrend {
    grows: bool,
    from: u64,
    to: u64,
    /// `null` in JSON if it began with nothing.
    factor: f64,
    bytes_per_second: f64,
    steps_up: u32,
    steps: u32,
    p: f64,
    figures: usize,
    span_ns: u64,
}

#[derive(Clone, Serialize)]
struct JsonSite {
    bytes: u64,
    objects: u64,
    by_mark: Vec<u64>,
    growth: Option<JsonTrend>,
    frames: Vec<JsonFrame>,
}

#[derive(Clone, Serialize)]
struct JsonFrame {
    function: Option<String>,
    file: Option<String>,
    line: Option<u64>,
    column: Option<u64>,
}

impl From<&Trend> for JsonTrend {
    fn from(trend: &Trend) -> JsonTrend {
        JsonTrend {
            grows: trend.grows,
            from: trend.from.0,
            to: trend.to.0,
            factor: trend.factor,
            bytes_per_second: trend.per_second,
            steps_up: trend.ups,
            steps: trend.steps,
            p: trend.p,
            figures: trend.figures,
            span_ns: trend.span.0,
        }
    }
}

impl From<&JsHeap> for JsonJsHeap {
    fn from(heap: &JsHeap) -> JsonJsHeap {
        let sums = heap.collections.iter().zip(COLLECTION_NAMES);
        JsonJsHeap {
            thread: heap.thread.0,
            limit: heap.limit.0,
            first: figures(heap, &heap.first),
            last: figures(heap, &heap.last),
            most: figures(heap, &heap.most),
            usage: heap.usages.iter().map(point).collect(),
            collections: sums
                .map(|((count, pause), name)| {
                    let sum = json!({"count": count, "pause_ns": pause.0});
                    (name.to_owned(), sum)
                })
                .collect(),
            collection_events: heap.told.iter().map(event).collect(),
            growth: heap.trend.as_ref().map(JsonTrend::from),
            marks: heap.marks.iter().map(mark).collect(),
            sites: heap.sites.iter().map(|one| site(heap, one)).collect(),
        }
    }
}

fn figures(heap: &JsHeap, usage: &Usage) -> Value {
    let spaces = heap.spaces.iter().zip(&usage.spaces);
    let spaces: Map<String, Value> = spaces
        .map(|(name, (size, used))| (name.clone(), json!({"size": size.0, "used": used.0})))
        .collect();
    json!({
        "time_ns": usage.time.0,
        "rss": usage.rss.map(|bytes| bytes.0),
        "heap_total": usage.heap_total.0,
        "heap_used": usage.heap_used.0,
        "external": usage.external.0,
        "array_buffers": usage.array_buffers.map(|bytes| bytes.0),
        "malloced": usage.malloced.0,
        "detached_contexts": usage.detached_contexts,
        "spaces": spaces,
    })
}

/// A point of the time line: an array, because there are many.
fn point(usage: &Usage) -> Value {
    json!([
        usage.time.0,
        usage.rss.map(|bytes| bytes.0),
        usage.heap_total.0,
        usage.heap_used.0,
        usage.external.0,
        usage.array_buffers.map(|bytes| bytes.0),
    ])
}

fn event(one: &Collection) -> Value {
    json!([
        COLLECTION_NAMES[one.kind],
        one.time.0,
        one.pause.0,
        one.before.0,
        one.after.0,
    ])
}

fn mark(mark: &Mark) -> Value {
    json!({
        "time_ns": mark.time.0,
        "live_bytes": mark.live.0,
        "interval": mark.interval.0,
        "collected": mark.collected,
        "at_end": mark.at_end,
    })
}

fn site(heap: &JsHeap, site: &JsSite) -> JsonSite {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let frames = heap.stack(site);
    JsonSite {
        bytes: site.bytes.0,
        objects: site.objects,
        by_mark: site.by_mark.iter().map(|bytes| bytes.0).collect(),
        growth: site.trend.as_ref().map(JsonTrend::from),
        frames: frames
            .map(|frame| JsonFrame {
                function: text(&frame.function),
                file: text(super::path(frame)),
                line: frame.line,
                column: frame.column,
            })
            .collect(),
    }
}
