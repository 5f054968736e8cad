use super::*;

const ALL: Policy = Policy {
    announce_to_all_trackers: true,
    announce_to_all_tiers: true,
    min_announce_interval_s: 300,
    tracker_backoff: 250,
};
const TIERS: Policy = Policy { announce_to_all_trackers: false, ..ALL };
const TRACKERS: Policy = Policy { announce_to_all_tiers: false, ..ALL };
const ONE: Policy = Policy { announce_to_all_trackers: false, announce_to_all_tiers: false, ..ALL };

fn at(s: u64) -> Time {
    Time::from_millis(s * 1000)
}

/// One tracker a URL; tiers of single trackers are never shuffled, so the order is known.
fn trackers(tiers: &[&[&str]]) -> Trackers {
    let mut all = Trackers::new(&[], &mut fastrand::Rng::with_seed(1));
    for (tier, urls) in (0..).zip(tiers) {
        for url in *urls {
            all.add(&format!("http://{url}/announce"), tier).expect("added");
        }
    }
    all
}

fn names(jobs: &[AnnounceJob]) -> Vec<(String, AnnounceEvent)> {
    jobs.iter()
        .map(|j| (j.url.trim_start_matches("http://").trim_end_matches("/announce").to_owned(), j.event))
        .collect()
}

fn urls(jobs: &[AnnounceJob]) -> Vec<String> {
    names(jobs).into_iter().map(|n| n.0).collect()
}

fn reply(interval_s: u32) -> AnnounceReply {
    AnnounceReply { interval_s, ..AnnounceReply::default() }
}

fn answer(t: &mut Trackers, now: Time, jobs: &[AnnounceJob], interval_s: u32) {
    for job in jobs {
        t.reply(now, job.tracker, &reply(interval_s));
    }
}

#[test]
fn policies_reach_what_they_say() {
    // a, b in tier 0; c, d in tier 1; `fail`: what has failed before
    let cases: &[(&Policy, &[&str], &[&str])] = &[
        (&ALL, &[], &["a", "b", "c", "d"]),
        (&TIERS, &[], &["a", "c"]),
        (&TRACKERS, &[], &["a", "b"]),
        (&ONE, &[], &["a"]),
        (&TIERS, &["a"], &["a", "b", "c"]),
        (&TRACKERS, &["a"], &["a", "b"]),
        (&TRACKERS, &["a", "b"], &["a", "b", "c", "d"]),
        (&ONE, &["a"], &["a", "b"]),
        (&ONE, &["a", "b"], &["a", "b", "c"]),
        (&ONE, &["a", "b", "c", "d"], &["a", "b", "c", "d"]),
    ];
    for (policy, fail, want) in cases {
        let mut t = trackers(&[&["a", "b"], &["c", "d"]]);
        for tracker in &mut t.trackers {
            if fail.iter().any(|f| tracker.url.contains(&format!("//{f}/"))) {
                tracker.fails = 1;
            }
        }
        let jobs = t.poll(at(0), policy);
        assert_eq!(urls(&jobs), *want, "{policy:?} with {fail:?} failing");
        assert!(jobs.iter().all(|j| j.event == AnnounceEvent::Started));
        assert!(t.poll(at(0), policy).is_empty(), "all under way");
    }
}

#[test]
fn falls_over_to_the_next_at_once_and_retries_the_dead_one() {
    let mut t = trackers(&[&["a", "b"]]);
    let a = t.poll(at(0), &ONE);
    assert_eq!(urls(&a), ["a"]);
    assert_eq!(t.next_timeout(), None, "waiting for a");
    assert_eq!(t.failed(at(10), a[0].tracker, "no route", None), 1);
    let b = t.poll(at(10), &ONE);
    assert_eq!(urls(&b), ["b"]);
    // 5 + 1 * 5 * 2.5 seconds
    assert_eq!(t.next_timeout(), Some(at(27)));
    assert!(t.poll(at(26), &ONE).is_empty());
    let again = t.poll(at(27), &ONE);
    assert_eq!(urls(&again), ["a"]);
    answer(&mut t, at(28), &b, 1800);
    // b works and is first now; a is out of reach as soon as its try has ended
    assert_eq!(t.failed(at(30), again[0].tracker, "no route", None), 2);
    assert_eq!(t.next_timeout(), Some(at(28 + 1800)));
    assert_eq!(t.current(), Some("http://b/announce"));
    assert_eq!(t.status(at(30))[0].url, "http://b/announce");
    assert_eq!(t.status(at(30))[1].next_announce_ms, -1);
}

#[test]
fn back_off_grows_to_its_ceiling() {
    let mut t = trackers(&[&["a"]]);
    let mut now = 0;
    let mut delays = Vec::new();
    for _ in 0..20 {
        let jobs = t.poll(at(now), &ONE);
        t.failed(at(now), jobs[0].tracker, "x", None);
        let next = t.next_timeout().expect("a retry").micros() / 1_000_000;
        delays.push(next - now);
        now = next;
    }
    assert_eq!(&delays[..4], [17, 55, 117, 205]);
    assert_eq!(delays[19], 3600);
}

#[test]
fn intervals_are_bounded_both_ways() {
    // (interval, min interval) of the tracker -> (regular, forced) announce after seconds
    let cases = [
        ((1800, 900), (1800, 900)),
        ((0, 0), (1800, 5)),
        ((10, 0), (300, 5)),
        ((10, 1), (300, 5)),
        ((600, 1200), (1200, 1200)),
        ((u32::MAX, u32::MAX), (86400, 86400)),
    ];
    for ((interval_s, min_interval_s), (regular, forced)) in cases {
        let mut t = trackers(&[&["a"]]);
        let jobs = t.poll(at(0), &ONE);
        t.reply(at(0), jobs[0].tracker, &AnnounceReply { interval_s, min_interval_s, ..AnnounceReply::default() });
        assert_eq!(t.next_timeout(), Some(at(regular)), "{interval_s} {min_interval_s}");
        t.force_reannounce(at(1), false);
        assert_eq!(t.next_timeout(), Some(at(forced)), "{interval_s} {min_interval_s}");
        t.force_reannounce(at(2), true);
        assert_eq!(names(&t.poll(at(2), &ONE)), [("a".to_owned(), AnnounceEvent::None)]);
    }
}

#[test]
fn completed_goes_once_to_each_that_was_told_started() {
    let mut t = trackers(&[&["a"], &["b"]]);
    let jobs = t.poll(at(0), &ONE);
    t.reply(at(0), jobs[0].tracker, &AnnounceReply { interval_s: 1800, min_interval_s: 900, ..Default::default() });
    t.completed(at(10));
    assert_eq!(t.next_timeout(), Some(at(10)), "not held up by the minimum interval");
    let jobs = t.poll(at(10), &ONE);
    assert_eq!(names(&jobs), [("a".to_owned(), AnnounceEvent::Completed)], "b was never announced to");
    answer(&mut t, at(11), &jobs, 1800);
    t.completed(at(12));
    assert!(t.poll(at(100), &ONE).is_empty());
    assert_eq!(names(&t.poll(at(11 + 1800), &ONE)), [("a".to_owned(), AnnounceEvent::None)]);
    // not even after a restart
    t.stop();
    t.restart(at(3000));
    let jobs = t.poll(at(3000), &ONE);
    assert_eq!(names(&jobs), [("a".to_owned(), AnnounceEvent::Started)]);
    answer(&mut t, at(3000), &jobs, 1800);
    t.completed(at(3001));
    assert!(t.poll(at(3002), &ONE).is_empty());
}

#[test]
fn completed_while_started_is_under_way_follows_it() {
    let mut t = trackers(&[&["a"]]);
    let jobs = t.poll(at(0), &ONE);
    t.completed(at(1));
    assert!(t.poll(at(1), &ONE).is_empty());
    answer(&mut t, at(2), &jobs, 1800);
    assert_eq!(t.next_timeout(), Some(at(2)));
    assert_eq!(names(&t.poll(at(2), &ONE)), [("a".to_owned(), AnnounceEvent::Completed)]);
}

#[test]
fn completed_reaches_a_tracker_behind_a_working_one() {
    let mut t = trackers(&[&["a"], &["b"]]);
    let jobs = t.poll(at(0), &TIERS);
    answer(&mut t, at(0), &jobs, 1800);
    t.completed(at(1));
    assert_eq!(urls(&t.poll(at(1), &ONE)), ["a", "b"]);
}

#[test]
fn a_failed_completed_is_repeated_after_the_back_off() {
    let mut t = trackers(&[&["a"]]);
    let jobs = t.poll(at(0), &ONE);
    answer(&mut t, at(0), &jobs, 1800);
    t.completed(at(1));
    let jobs = t.poll(at(1), &ONE);
    t.failed(at(1), jobs[0].tracker, "x", None);
    assert!(t.poll(at(17), &ONE).is_empty());
    assert_eq!(names(&t.poll(at(18), &ONE)), [("a".to_owned(), AnnounceEvent::Completed)]);
}

#[test]
fn stop_tells_those_that_know_us_and_silences_the_rest() {
    let mut t = trackers(&[&["a"], &["b"], &["c"]]);
    let jobs = t.poll(at(0), &ALL);
    t.reply(at(0), jobs[0].tracker, &AnnounceReply { tracker_id: Some(b"tid".to_vec()), ..Default::default() });
    t.failed(at(0), jobs[1].tracker, "x", None);
    let goodbye = t.stop();
    assert_eq!(names(&goodbye), [("a".to_owned(), AnnounceEvent::Stopped)]);
    assert_eq!(goodbye[0].tracker_id.as_deref(), Some(&b"tid"[..]));
    assert!(t.stop().is_empty());
    assert!(t.poll(at(9999), &ALL).is_empty());
    assert_eq!(t.next_timeout(), None);
    // late answers from before, and to the goodbye, change nothing
    t.reply(at(1), jobs[2].tracker, &reply(60));
    t.reply(at(1), goodbye[0].tracker, &reply(60));
    assert!(t.status(at(1)).iter().all(|s| !s.updating && s.next_announce_ms == -1));
    t.restart(at(2));
    t.reply(at(2), jobs[2].tracker, &reply(60));
    assert_eq!(t.failed(at(2), jobs[1].tracker, "x", None), 0);
    let jobs = t.poll(at(2), &ALL);
    assert_eq!(urls(&jobs), ["a", "b", "c"]);
    assert!(jobs.iter().all(|j| j.event == AnnounceEvent::Started));
}

#[test]
fn bep_31_retry_in() {
    let mut t = trackers(&[&["a"]]);
    let jobs = t.poll(at(0), &ONE);
    t.failed(at(0), jobs[0].tracker, "busy", Some(RetryIn::After(Duration::from_secs(600))));
    assert_eq!(t.next_timeout(), Some(at(600)));
    let jobs = t.poll(at(600), &ONE);
    t.failed(at(600), jobs[0].tracker, "busy", Some(RetryIn::After(Duration::ZERO)));
    assert_eq!(t.next_timeout(), Some(at(655)), "never sooner than the back-off");
    let jobs = t.poll(at(655), &ONE);
    t.failed(at(655), jobs[0].tracker, "not registered", Some(RetryIn::Never));
    assert_eq!(t.next_timeout(), None);
    let status = &t.status(at(700))[0];
    assert!(!status.enabled);
    assert_eq!((status.message.as_str(), status.next_announce_ms), ("not registered", -1));
    t.force_reannounce(at(800), false);
    assert_eq!(t.poll(at(800), &ONE).len(), 1);
}

#[test]
fn add_and_replace() {
    let mut t = trackers(&[&["a"], &["b"]]);
    let b = t.add("http://b/announce", 5).expect("known");
    assert_eq!(t.len(), 2);
    t.add("  http://c/announce ", 0).expect("added");
    assert_eq!(
        t.tiers(),
        [["http://a/announce", "http://c/announce"].map(String::from).to_vec(), vec!["http://b/announce".to_owned()]]
    );
    let jobs = t.poll(at(0), &ALL);
    answer(&mut t, at(0), &jobs, 1800);
    let goodbye = t.replace(
        &[vec!["http://b/announce".to_owned()], vec!["udp://d:1".to_owned()]],
        &mut fastrand::Rng::with_seed(1),
    );
    let mut left = urls(&goodbye);
    left.sort();
    assert_eq!(left, ["a", "c"]);
    assert!(goodbye.iter().all(|j| j.event == AnnounceEvent::Stopped));
    let status = t.status(at(1));
    assert_eq!((status[0].tier, status[0].verified, status[1].verified), (0, true, false));
    assert_eq!(t.trackers[0].id, b, "same tracker, same state");
    assert_eq!(t.poll(at(1), &ALL).len(), 1, "only the new one");
}

#[test]
fn bounds() {
    let mut t = Trackers::new(&[], &mut fastrand::Rng::with_seed(1));
    assert!(t.add("", 0).is_err());
    assert!(t.add(&format!("http://{}", "x".repeat(MAX_URL_LEN)), 0).is_err());
    for i in 0..MAX_TRACKERS {
        t.add(&format!("http://t{i}"), 0).expect("room");
    }
    assert!(t.add("http://one-more", 0).is_err());
    let many: Vec<Vec<String>> = vec![(0..1000).map(|i| format!("http://t{i}")).collect()];
    assert_eq!(Trackers::new(&many, &mut fastrand::Rng::with_seed(1)).len(), MAX_TRACKERS);
    t.poll(at(0), &ONE);
    let id = t.trackers[0].id;
    t.reply(at(0), id, &AnnounceReply { tracker_id: Some(vec![0; 1000]), ..Default::default() });
    assert_eq!(t.trackers[0].tracker_id, None);
}

#[test]
fn tiers_are_shuffled_and_kept_apart() {
    let tiers: Vec<Vec<String>> = vec![(0..20).map(|i| format!("http://a{i}")).collect(), vec!["http://b".to_owned()]];
    let shuffled = Trackers::new(&tiers, &mut fastrand::Rng::with_seed(7)).tiers();
    assert_ne!(shuffled, tiers);
    assert_eq!(shuffled[1], tiers[1]);
    let mut sorted = shuffled[0].clone();
    sorted.sort_by_key(|u| u.trim_start_matches("http://a").parse::<u32>().expect("a number"));
    assert_eq!(sorted, tiers[0]);
}

#[test]
fn unsupported_protocols_are_kept_but_disabled() {
    let mut t = Trackers::new(&[], &mut fastrand::Rng::with_seed(1));
    for (url, enabled, message) in [
        ("http://a", true, ""),
        ("HTTPS://a", true, ""),
        ("udp://a:80", true, ""),
        ("wss://a", false, "WebTorrent trackers are not supported"),
        ("ftp://a", false, "unsupported tracker protocol"),
        ("dht://a", false, "unsupported tracker protocol"),
        ("a.example", false, "not a URL"),
    ] {
        t.add(url, 0).expect("kept");
        let status = t.status(at(0)).pop().expect("a row");
        assert_eq!((status.enabled, status.message.as_str()), (enabled, message), "{url}");
    }
    assert_eq!(t.poll(at(0), &ALL).len(), 3);
}

#[test]
fn status_tells_what_happened() {
    let mut t = trackers(&[&["a"]]);
    let row = |t: &Trackers, s| t.status(at(s)).remove(0);
    assert_eq!((row(&t, 0).num_peers, row(&t, 0).scrape_complete, row(&t, 0).next_announce_ms), (-1, -1, 0));
    let jobs = t.poll(at(0), &ONE);
    assert!(row(&t, 0).updating);
    t.failed(at(1), jobs[0].tracker, "timed out", None);
    let s = row(&t, 1);
    assert_eq!((s.fails, s.last_error.as_str(), s.next_announce_ms, s.verified), (1, "timed out", 17_000, false));
    let jobs = t.poll(at(18), &ONE);
    let full = AnnounceReply {
        interval_s: 1800,
        peers: vec!["1.2.3.4:5".parse().expect("an address")],
        complete: Some(7),
        incomplete: Some(8),
        warning: Some("be nice".to_owned()),
        ..Default::default()
    };
    t.reply(at(18), jobs[0].tracker, &full);
    let s = row(&t, 18);
    assert_eq!((s.fails, s.last_error.as_str(), s.message.as_str()), (0, "", "be nice"));
    assert_eq!((s.num_peers, s.scrape_complete, s.scrape_incomplete, s.next_announce_ms), (1, 7, 8, 1_800_000));
    assert!(s.verified);
    assert_eq!(t.swarm_size(), (Some(7), Some(8)));
}

/// Whatever happens in whatever order: nobody is asked twice at once, and a timeout that lies in the past means work.
#[test]
fn random_walk() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let tiers: Vec<Vec<String>> =
            (0..rng.usize(1..4)).map(|t| (0..rng.usize(1..4)).map(|i| format!("http://t{t}{i}")).collect()).collect();
        let mut t = Trackers::new(&tiers, &mut rng);
        let policy = [ALL, TIERS, TRACKERS, ONE][rng.usize(..4)];
        let mut under_way: Vec<AnnounceJob> = Vec::new();
        let mut now = at(0);
        for _ in 0..200 {
            match rng.u32(..8) {
                0 => now = now + Duration::from_secs(rng.u64(..600)),
                1 => now = t.next_timeout().unwrap_or(now).max(now),
                2 | 3 => {
                    let due = t.next_timeout().is_some_and(|due| due <= now);
                    let jobs = t.poll(now, &policy);
                    // the first poll only makes the policy known
                    assert!(!due || !jobs.is_empty() || t.policy != policy, "seed {seed}: woken for nothing");
                    for job in jobs {
                        assert!(under_way.iter().all(|u| u.tracker != job.tracker), "seed {seed}");
                        under_way.push(job);
                    }
                }
                4 | 5 if !under_way.is_empty() => {
                    let job = under_way.swap_remove(rng.usize(..under_way.len()));
                    if rng.bool() {
                        t.reply(now, job.tracker, &reply(rng.u32(..4000)));
                    } else {
                        t.failed(now, job.tracker, "x", None);
                    }
                }
                6 => t.force_reannounce(now, rng.bool()),
                7 if rng.u32(..10) == 0 => {
                    t.stop();
                    under_way.clear();
                    t.restart(now);
                }
                _ => t.completed(now),
            }
        }
    }
}

const PUT_OFF: Option<RetryIn> = Some(RetryIn::After(Duration::from_secs(900)));

/// When it is asked within ten minutes of somebody's waiting without a break.
fn hurries(by: Hurried, min_interval_s: u32, fails: bool, retry_in: Option<RetryIn>) -> Vec<u64> {
    let mut t = trackers(&[&["a"]]);
    let first = t.poll(at(0), &ALL);
    t.reply(at(0), first[0].tracker, &AnnounceReply { min_interval_s, ..reply(1800) });
    let mut asked = Vec::new();
    for second in 1000..1600 {
        t.hurry(at(second), by, second == 1000);
        for job in t.poll(at(second), &ALL) {
            asked.push(second - 1000);
            if fails {
                t.failed(at(second), job.tracker, "no", retry_in);
            } else {
                t.reply(at(second), job.tracker, &AnnounceReply { min_interval_s, ..reply(1800) });
            }
        }
    }
    asked
}

#[test]
fn who_waits_hurries_a_tracker_less_and_less_and_no_more_than_it_allows() {
    let by_read = |min_interval_s, fails| hurries(Hurried::ByRead, min_interval_s, fails, PUT_OFF);
    assert_eq!(by_read(0, false)[..5], [0, 10, 30, 70, 130]);
    assert_eq!(by_read(40, false)[..5], [0, 40, 80, 120, 180]);
    assert_eq!(by_read(900, false)[..4], [0, 60, 120, 180]);
    assert_eq!(by_read(0, true), [0], "it has named a time");
}

/// One reads from five seconds after the first announce on, and nobody is there.
#[test]
fn a_read_keeps_to_what_the_tracker_asks_for() {
    let retry_in = |s| Some(RetryIn::After(seconds(s)));
    for (min_interval_s, retry_in, want) in [
        (900, None, &[0, 60, 120, 180][..]),
        (30, None, &[0, 30, 60, 90]),
        (0, retry_in(90), &[0, 90, 180, 270]),
        (0, retry_in(120), &[0, 120, 240, 360]),
        (0, retry_in(MAX_INTERVAL_S), &[0, 3600]),
    ] {
        let mut t = trackers(&[&["a"]]);
        let mut asked = Vec::new();
        for second in 0..2 * 3600 {
            if second >= 5 {
                t.hurry(at(1000 + second), Hurried::ByRead, second == 5);
            }
            for job in t.poll(at(1000 + second), &ALL) {
                asked.push(second);
                if retry_in.is_some() {
                    t.failed(at(1000 + second), job.tracker, "not now", retry_in);
                } else {
                    let reply = AnnounceReply { min_interval_s, ..reply(1800) };
                    t.reply(at(1000 + second), job.tracker, &reply);
                }
            }
        }
        assert_eq!(asked[..want.len()], *want, "{min_interval_s} {retry_in:?}");
    }
}

#[test]
fn one_that_does_not_answer_is_hurried_every_ten_seconds_and_later_after_minutes() {
    let asked = hurries(Hurried::ByRead, 900, true, None);
    assert!(asked[..29].windows(2).all(|w| w[1] - w[0] <= 10), "{asked:?}");
    assert!(asked[30..].windows(2).all(|w| w[1] - w[0] == 20), "{asked:?}");
    assert!(asked.windows(2).all(|w| w[1] - w[0] >= 5), "{asked:?}");
}

/// A silent tracker fails after a while. It rests, so that it does not keep a place from others all the time.
#[test]
fn a_silent_tracker_is_not_hurried_as_soon_as_it_has_failed() {
    let mut t = trackers(&[&["a"]]);
    let job = t.poll(at(1000), &ALL).remove(0);
    t.failed(at(1030), job.tracker, "silent", None);
    let asked = (1030..1100).find(|second| {
        t.hurry(at(*second), Hurried::ByRead, false);
        !t.poll(at(*second), &ALL).is_empty()
    });
    assert_eq!(asked, Some(1035));
}

#[test]
fn where_all_failed_the_first_that_answers_has_all_asked_at_once() {
    for (works, others) in [(false, vec!["b", "c"]), (true, vec![])] {
        let mut t = trackers(&[&["a"], &["b"], &["c"], &["d"], &["e"]]);
        let mut asked = 0;
        // All fail, or one does not; one names the time itself.
        for second in 1000..1200 {
            for job in t.poll(at(second), &ALL) {
                asked += 1;
                match &job.url[7..8] {
                    "d" => drop(t.failed(at(second), job.tracker, "no", PUT_OFF)),
                    "e" if works => t.reply(at(second), job.tracker, &reply(1800)),
                    _ => drop(t.failed(at(second), job.tracker, "no", None)),
                }
            }
        }
        assert!(asked >= 10);
        t.hurry(at(1200), Hurried::ByRead, true);
        let jobs = t.poll(at(1200), &ONE);
        let first = jobs.iter().find(|j| j.url.contains("//a")).expect("it is hurried");
        for job in jobs.iter().filter(|j| j.tracker != first.tracker) {
            match &job.url[7..8] {
                "e" if works => t.reply(at(1200), job.tracker, &reply(1800)),
                "d" => drop(t.failed(at(1200), job.tracker, "no", PUT_OFF)),
                _ => drop(t.failed(at(1200), job.tracker, "no", None)),
            }
        }
        t.reply(at(1201), first.tracker, &reply(1800));
        let mut soon = urls(&t.poll(at(1206), &ALL));
        soon.retain(|url| url == "b" || url == "c" || url == "d");
        assert_eq!(soon, others, "works {works}");
    }
}

/// A magnet whose peers are none or mute: nobody may be watching, and it may stay so for ever.
#[test]
fn who_waits_for_metadata_hurries_it_ever_less_and_keeps_to_its_minimum() {
    let by_metadata = |min_interval_s, fails| hurries(Hurried::Gently, min_interval_s, fails, PUT_OFF);
    assert_eq!(by_metadata(0, false), [0, 10, 30, 70, 150, 310]);
    assert_eq!(by_metadata(40, false), [0, 40, 80, 120, 200, 360]);
    assert_eq!(by_metadata(400, false), [0, 400]);
    assert_eq!(by_metadata(0, true), [0]);
}
