// SPDX-License-Identifier: Apache-2.0
//! The memory map in a real browser, Debian's Chromium without a window: strips, colours and words are
//! there, in light and dark and on a phone, without a script, an error, or a look at the network.

use std::cell::Cell;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use board::source;
use dmaheap_see::{Picture, Snapshot, page};
use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn Error>>;

/// What a board said while three clients held buffers.
const RECORDED: &str = include_str!("page/board.txt");

/// A phone's width, and a desk's.
const PHONE: u32 = 390;
const DESK: u32 = 1280;

/// A browser that is spoken to through pipes, by the protocol of its developer tools: a JSON object and
/// a NUL for each message.
struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Value,
    next: Cell<u64>,
    /// What it told unasked.
    events: Vec<Value>,
}

impl Browser {
    fn start(profile: &Path) -> Result<Browser, Box<dyn Error>> {
        source::browser()?;
        // It reads from 3 and writes to 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"])
            .args(["chromium-headless-shell", "--no-sandbox", "--disable-gpu"])
            .args(["--remote-debugging-pipe", "--no-first-run", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take().ok_or("the input is piped")?;
        let from = BufReader::new(child.stdout.take().ok_or("the output is piped")?);
        let (session, next, events) = (Value::Null, Cell::new(1), Vec::new());
        let mut browser = Browser { child, to, from, session, next, events };
        let tab = browser.ask("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": tab["targetId"], "flatten": true });
        browser.session = browser.ask("Target.attachToTarget", attach)?["sessionId"].take();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<Value, Box<dyn Error>> {
        let id = self.next.replace(self.next.get() + 1);
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        write!(self.to, "{message}\0")?;
        loop {
            let mut message = self.read()?;
            match message["id"] == id {
                true if message["error"].is_null() => return Ok(message["result"].take()),
                true => return Err(format!("{method}: {}", message["error"]).into()),
                false => self.events.push(message),
            }
        }
    }

    fn read(&mut self) -> Result<Value, Box<dyn Error>> {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes)?;
        bytes.pop().ok_or("the browser ended")?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Opens a page so wide, in light or dark, and waits until it is there.
    fn open(&mut self, file: &Path, width: u32, scheme: &str) -> Outcome {
        let metrics = json!({
            "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE,
        });
        self.ask("Emulation.setDeviceMetricsOverride", metrics)?;
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.ask("Emulation.setEmulatedMedia", json!({ "features": [feature] }))?;
        self.events.clear();
        self.ask("Page.navigate", json!({ "url": format!("file://{}", file.display()) }))?;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.read()?;
            self.events.push(event);
        }
        Ok(())
    }

    /// The value of an expression.
    fn value(&mut self, expression: &str) -> Result<Value, Box<dyn Error>> {
        let params = json!({ "expression": expression, "returnByValue": true });
        let mut answer = self.ask("Runtime.evaluate", params)?;
        match answer["exceptionDetails"].is_null() {
            true => Ok(answer["result"]["value"].take()),
            false => Err(format!("{expression}: {answer}").into()),
        }
    }

    /// What it told of this kind since the page was opened.
    fn told(&self, method: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["method"] == method).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn map_is_seen_in_light_and_dark_and_on_a_phone() -> Outcome {
    let here = tempfile::tempdir()?;
    let picture = Picture::new(&Snapshot::parse(RECORDED)?);
    let file = here.path().join("map.html");
    std::fs::write(&file, page::html("a board, as it was recorded", &picture)?)?;
    let mut browser = Browser::start(&here.path().join("profile"))?;
    let mut papers = Vec::new();
    for (width, scheme) in [(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")] {
        browser.open(&file, width, scheme)?;
        strips_are_drawn_to_scale(&mut browser, &picture)?;
        holders_have_colours_of_their_own(&mut browser, &picture)?;
        details_are_told_to_whoever_taps(&mut browser)?;
        // Nothing is wider than the page; tables scroll by themselves.
        assert_eq!(browser.value("document.documentElement.scrollWidth")?, width, "{scheme}");
        papers.push(browser.value("getComputedStyle(document.body).backgroundColor")?);
        for silent in ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"] {
            assert!(browser.told(silent).is_empty(), "{:?}", browser.told(silent));
        }
        let requests = browser.told("Network.requestWillBeSent");
        let urls: Vec<_> = requests.iter().map(|told| &told["params"]["request"]["url"]).collect();
        assert_eq!(urls, [&json!(format!("file://{}", file.display()))]);
    }
    assert_eq!((&papers[0], &papers[1]), (&papers[2], &papers[3]));
    assert_ne!(papers[0], papers[1], "light is as dark as dark");
    Ok(())
}

/// A strip as wide as the page for each region, and in it each piece where and as long as it is.
fn strips_are_drawn_to_scale(browser: &mut Browser, picture: &Picture) -> Outcome {
    let drawn = browser.value(
        "[...document.querySelectorAll('.strip')].map(strip => { \
            const box = strip.getBoundingClientRect(); \
            const share = piece => { const p = piece.getBoundingClientRect(); \
                return [100 * (p.left - box.left) / box.width, p.width, 100 * p.width / box.width, p.height]; }; \
            return [box.width, [...strip.children].map(share)]; })",
    )?;
    let strips = drawn.as_array().ok_or("no strips")?;
    assert_eq!(strips.len(), picture.regions.len());
    for (strip, region) in strips.iter().zip(&picture.regions) {
        assert!(strip[0].as_f64() > Some(340.0), "{}: {strip}", region.name);
        let pieces = strip[1].as_array().ok_or("no pieces")?;
        assert_eq!(pieces.len(), region.pieces.len(), "{}", region.name);
        for (drawn, piece) in pieces.iter().zip(&region.pieces) {
            let number = |at: usize| drawn[at].as_f64().unwrap_or_default();
            let (left, width) = region.place(piece);
            assert!((number(0) - left).abs() < 1.0, "{piece:?} is drawn at {drawn}");
            // However short it is, it is to be seen.
            assert!(number(1) >= 1.9 && number(3) > 40.0, "{piece:?} is drawn as {drawn}");
            assert!(number(1) < 2.1 || (number(2) - width).abs() < 1.0, "{piece:?}: {drawn}");
        }
    }
    Ok(())
}

/// The same in all strips and in the table, and another for everybody else.
fn holders_have_colours_of_their_own(browser: &mut Browser, picture: &Picture) -> Outcome {
    let keys = browser.value(
        "[...document.querySelectorAll('.holders .key[class*=h]')]\
            .map(key => getComputedStyle(key).backgroundColor)",
    )?;
    let keys = keys.as_array().ok_or("no keys")?;
    assert_eq!(keys.len(), picture.holders.len());
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{keys:?}");
        let drawn = format!(
            "[...document.querySelectorAll('.strip .h{at}')]\
                .every(piece => getComputedStyle(piece).backgroundColor == {key})"
        );
        assert_eq!(browser.value(&drawn)?, true, "holder {at}");
    }
    let text = browser.value("document.body.innerText")?;
    let text = text.as_str().ok_or("no text")?;
    for holder in &picture.holders {
        assert!(text.contains(&holder.name) && text.contains(&holder.uid.to_string()), "{text}");
    }
    for region in &picture.regions {
        assert!(text.contains(&region.name), "{text}");
    }
    assert!(text.contains("largest hole"), "{text}");
    Ok(())
}

/// Hidden before, and then within the page.
fn details_are_told_to_whoever_taps(browser: &mut Browser) -> Outcome {
    let tip = "document.querySelector('.strip .buffer .tip')";
    assert_eq!(browser.value(&format!("{tip}.offsetParent === null && {tip}.offsetWidth"))?, 0);
    browser.value("document.querySelector('.strip .buffer').focus()")?;
    let text = browser.value(&format!("{tip}.innerText"))?;
    assert!(text.as_str().is_some_and(|text| text.contains("inode ")), "{text}");
    let shown = browser.value(&format!(
        "(box => box.width > 300 && box.left >= 0 && box.right <= innerWidth && box.bottom <= innerHeight)\
            ({tip}.getBoundingClientRect())"
    ))?;
    assert_eq!(shown, true, "what is told is not within the page");
    Ok(())
}
