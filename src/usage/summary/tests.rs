use super::*;

fn row(day: &str, model: &str, requests: u64, times: Option<(&str, &str)>) -> UsageDay {
    let millis = |text: &str| text.parse::<Timestamp>().unwrap().get().timestamp_millis();
    let (first_ms, last_ms) = times.map(|(first, last)| (millis(first), millis(last))).unzip();
    let sums = Sums { requests, first_ms, last_ms, ..Sums::default() };
    UsageDay { day: day.parse().unwrap(), model: model.parse().unwrap(), sums }
}

fn at(now: &str, days: u64, rows: Vec<UsageDay>) -> Summary {
    arrange(rows, Vec::new(), now.parse().unwrap(), days)
}

fn names(models: &[(ModelName, Sums)]) -> Vec<String> {
    models.iter().map(|(model, sums)| format!("{model} {}", sums.requests)).collect()
}

#[test]
fn days_are_listed_from_today_on_with_the_most_used_model_first() {
    let rows = vec![
        row("2026-06-22", "old", 9, None),
        row("2026-06-23", "a", 1, None),
        row("2026-06-25", "b", 2, None),
        row("2026-06-25", "c", 5, None),
    ];
    let summary = at("2026-06-25T12:00:00Z", 3, rows);
    let days: Vec<_> = summary.days.iter().map(|day| format!("{} {}", day.day, day.sums.requests)).collect();
    assert_eq!(days, ["2026-06-25 7", "2026-06-24 0", "2026-06-23 1"]);
    assert_eq!(summary.totals.requests, 8);
    assert_eq!(names(&summary.models), ["c 5", "b 2", "a 1"]);
    assert_eq!(names(&summary.today_models), ["c 5", "b 2"]);
    assert_eq!(names(&summary.days[2].models), ["a 1"]);
}

#[test]
fn a_day_that_has_begun_at_the_source_is_today() {
    let rows = || vec![row("2026-06-26", "a", 1, None)];
    assert_eq!(at("2026-06-25T22:00:00Z", 1, rows()).today.to_string(), "2026-06-26");
    assert_eq!(at("2026-06-25T22:00:00Z", 1, rows()).totals.requests, 1);
    let early = at("2026-06-24T22:00:00Z", 1, rows());
    assert_eq!((early.today.to_string().as_str(), early.totals.requests), ("2026-06-24", 0), "no day is two ahead");
    assert_eq!(at("2026-06-25T22:00:00Z", 1, Vec::new()).today.to_string(), "2026-06-25");
}

#[test]
fn the_last_24_hours_are_exact_only_where_a_day_is_wholly_within_them() {
    let rows = vec![
        row("2026-06-24", "gone", 1, Some(("2026-06-24T01:00:00Z", "2026-06-24T11:59:59Z"))),
        row("2026-06-24", "within", 2, Some(("2026-06-24T12:00:00Z", "2026-06-24T23:00:00Z"))),
        row("2026-06-25", "within", 3, Some(("2026-06-25T01:00:00Z", "2026-06-25T12:00:30Z"))),
        row("2026-06-24", "partly", 7, Some(("2026-06-24T01:00:00Z", "2026-06-24T13:00:00Z"))),
        row("2026-06-25", "partly", 1, Some(("2026-06-25T01:00:00Z", "2026-06-25T02:00:00Z"))),
        row("2026-06-25", "timeless", 1, None),
        row("2026-06-25", "ahead", 1, Some(("2026-06-25T12:01:01Z", "2026-06-25T13:00:00Z"))),
    ];
    let recent = at("2026-06-25T12:00:00Z", 1, rows).recent;
    let told: Vec<_> = recent.iter().map(|it| (it.model.as_str(), it.sums.requests, it.exact)).collect();
    assert_eq!(told, [("partly", 8, false), ("within", 5, true)]);
}
