use super::*;

fn posted(run: u32, text: &[u8]) -> Posted {
    Posted {
        run,
        text: text.to_vec(),
        finish: "stop".into(),
        prompt_tokens: 5,
        new_tokens: 7,
        posted_at: 1_700_000_100,
        text_root: format!("0x{}", "ab".repeat(32)),
        tx: "0x02".into(),
    }
}

fn ranked(ranker: &str, places: &[u8], all_bad: bool) -> Ranked {
    Ranked {
        ranker: ranker.into(),
        ranked_at: 1_700_000_200,
        sequence: 1,
        all_bad,
        places: places.to_vec(),
        tx: "0x03".into(),
    }
}

fn record() -> PromptExport {
    PromptExport {
        input_id: 4,
        author: "0xA1".into(),
        asked_at: 1_700_000_000,
        segments: vec![PromptSegment::Text(b"Say \"hi\"\tand\nbye".to_vec())],
        params: Params {
            n_runs: 3,
            max_new_tokens: 64,
            max_total_tokens: 0,
            temperature_milli: 800,
            top_k: 0,
            top_p_ppm: 1_000_000,
            min_p_ppm: 0,
        },
        model: Model {
            id: "0xid".into(),
            name: "fable-2m".into(),
            version: "1".into(),
            license: "Apache-2.0".into(),
            license_uri: String::new(),
        },
        responses: vec![
            posted(0, b"zero"),
            posted(1, "één".as_bytes()),
            posted(2, b"two"),
        ],
        rankings: vec![
            ranked("0xB1", &[2, 1, 2], false),
            ranked("0xB2", &[1, 2, 3], false),
            ranked("0xB3", &[1, 1, 1], true),
        ],
        provenance: Provenance {
            chain_id: 31337,
            inbox: "0x1b".into(),
            prompts: "0xCC".into(),
            ask_tx: "0x01".into(),
            claim_id: "0xc1".into(),
            epoch: 9,
            claim_root: "0xc2".into(),
            proposer: "0xd1".into(),
        },
    }
}

fn write(
    kind: Kind,
    format: Format,
    strict_columns: bool,
    records: &[PromptExport],
) -> (String, Summary) {
    let mut out = Vec::new();
    let mut writer = Writer::new(
        &mut out,
        Options {
            kind,
            format,
            strict_columns,
        },
    )
    .unwrap();
    for record in records {
        writer.push(record).unwrap();
    }
    let summary = writer.finish().unwrap();
    (String::from_utf8(out).unwrap(), summary)
}

#[test]
fn pairs_are_strict_preferences_only() {
    let rows = dpo_rows(&record(), true);
    let pairs: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row.chosen.as_str(), row.rejected.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("één", "zero"),
            ("één", "two"),
            ("zero", "één"),
            ("zero", "two"),
            ("één", "two")
        ]
    );
    let (_, summary) = write(Kind::Dpo, Format::Jsonl, false, &[record()]);
    let expected = Summary {
        prompts: 1,
        rows: 5,
        rankings: 3,
        skipped_ties: 1,
        skipped_all_bad: 1,
        skipped_equal_texts: 0,
        skipped_ill_formed: 0,
    };
    assert_eq!(summary, expected);
}

#[test]
fn equal_and_ill_formed_texts_give_no_pair() {
    let mut equal = record();
    equal.responses[1].text = b"zero".to_vec();
    equal.rankings.truncate(1);
    let (_, summary) = write(Kind::Dpo, Format::Jsonl, false, &[equal]);
    assert_eq!(
        (
            summary.rows,
            summary.skipped_equal_texts,
            summary.skipped_ties
        ),
        (1, 1, 1)
    );
    let mut ill = record();
    ill.responses[1].text = vec![0xff, b'a'];
    ill.rankings.truncate(1);
    let (text, summary) = write(Kind::Dpo, Format::Jsonl, false, &[ill.clone()]);
    assert_eq!((text.as_str(), summary.skipped_ill_formed), ("", 2));
    let row = conversation_row(&ill);
    assert_eq!(
        (
            row.responses[1].text.as_str(),
            row.responses[1].text_hex.as_str()
        ),
        ("\u{fffd}a", "ff61")
    );
    assert_eq!(row.responses[0].text_hex, "");
    let mut control = record();
    control.segments.insert(0, PromptSegment::Control(7));
    assert!(
        dpo_rows(&control, false).is_empty(),
        "a control token cannot be told in plain text"
    );
}

#[test]
fn missing_responses_and_short_places_do_no_harm() {
    let mut partial = record();
    partial.responses.remove(0);
    partial.rankings[1].places = vec![1];
    let rows = dpo_rows(&partial, true);
    assert_eq!(
        rows.len(),
        1,
        "only één above two of the first ranker: {rows:?}"
    );
}

#[test]
fn strict_columns_are_exactly_three() {
    let (text, _) = write(Kind::Dpo, Format::Jsonl, true, &[record()]);
    for line in text.lines() {
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        assert_eq!(
            row.keys().collect::<Vec<_>>(),
            ["chosen", "prompt", "rejected"]
        );
    }
    let (text, _) = write(Kind::Dpo, Format::Tsv, true, &[record()]);
    assert_eq!(text.lines().next(), Some("prompt\tchosen\trejected"));
}

/// Type of a JSON value as a schema reader sees it.
fn shape(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => format!("[{}]", items.first().map_or("?".into(), shape)),
        Value::Object(fields) => format!(
            "{{{}}}",
            fields
                .iter()
                .map(|(key, value)| format!("{key}:{}", shape(value)))
                .collect::<Vec<_>>()
                .join(",")
        ),
    }
}

#[test]
fn every_row_has_the_same_schema_without_nulls() {
    let mut other = record();
    other.input_id = 5;
    other.segments = vec![PromptSegment::Control(3), PromptSegment::Text(vec![0xc3])];
    other.responses = vec![posted(0, &[0xfe])];
    other.rankings.truncate(1);
    other.provenance.claim_id = String::new();
    for kind in [Kind::Dpo, Kind::Conversations] {
        let (text, _) = write(kind, Format::Jsonl, false, &[record(), other.clone()]);
        let shapes: std::collections::BTreeSet<String> = text
            .lines()
            .map(|line| shape(&serde_json::from_str(line).unwrap()))
            .collect();
        assert_eq!(shapes.len(), 1, "{shapes:#?}");
        assert!(
            !shapes.iter().any(|shape| shape.contains("null")),
            "{shapes:#?}"
        );
    }
}

#[test]
fn unranked_prompts_come_last() {
    let mut unranked = record();
    unranked.input_id = 1;
    unranked.rankings.clear();
    let mut records = [unranked, record()];
    sort(&mut records);
    assert_eq!(records.map(|record| record.input_id), [4, 1]);
}

#[test]
fn json_and_jsonl_hold_the_same_rows() {
    for kind in [Kind::Dpo, Kind::Conversations] {
        let (lines, _) = write(kind, Format::Jsonl, false, &[record(), record()]);
        let (array, _) = write(kind, Format::Json, false, &[record(), record()]);
        let lines: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            serde_json::from_str::<Vec<serde_json::Value>>(&array).unwrap(),
            lines
        );
    }
    assert_eq!(write(Kind::Dpo, Format::Json, false, &[]).0, "[]\n");
}

#[test]
fn tsv_reads_back() {
    for (kind, columns) in [(Kind::Dpo, 4), (Kind::Conversations, 11)] {
        let (text, summary) = write(kind, Format::Tsv, false, &[record()]);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(b'\t')
            .from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().len(), columns);
        let prompt = reader
            .headers()
            .unwrap()
            .iter()
            .position(|name| name == "prompt")
            .unwrap();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len() as u64, summary.rows);
        assert!(
            rows.iter()
                .all(|row| &row[prompt] == "Say \"hi\"\tand\nbye"),
            "tabs, quotes and line ends survive"
        );
    }
}

/// The files are an interface: a change of these lines is a change for everyone who reads them.
#[test]
fn golden_rows() {
    let (text, _) = write(Kind::Dpo, Format::Jsonl, false, &[record()]);
    assert_eq!(
        text.lines().next(),
        Some(include_str!("golden/dpo.jsonl").trim_end())
    );
    let (text, _) = write(Kind::Conversations, Format::Jsonl, false, &[record()]);
    assert_eq!(text, include_str!("golden/conversations.jsonl"));
    let (text, _) = write(Kind::Dpo, Format::Tsv, true, &[record()]);
    assert_eq!(text, include_str!("golden/dpo_strict.tsv"));
}
