//! The files of an index: which are new, changed or gone, and what is in them.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sha2::{Digest, Sha256};
use tantivy::TantivyError;

use super::super::document::{self, Kind, Parsed};
use super::super::inside::{self, NotRead, Stamp, TICK};
use super::super::shelf::Document;
use super::super::store::{Entry, Writer};
use super::super::watch::Looks;
use super::super::words;
use super::{COMMIT_EVERY, Keeper, Look};

/// Text that one index may hold, in bytes: what it takes in memory is a part of
/// that.
const MAX_TEXT_BYTES: u64 = 1 << 30;
/// However it is set, larger files are not read: offsets are 32 bits.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// What is known of a file.
#[derive(Debug)]
pub(super) struct File {
    stamp: Stamp,
    /// It was read, or is of no use, as it is.
    done: bool,
    /// The digest of what was read, if it is a document.
    content: Option<[u8; 32]>,
    /// The last pass that saw it.
    pass: u64,
}

impl Look<'_> {
    pub(super) fn found(&mut self, path: String, stamp: Stamp) {
        let keeper = &mut *self.keeper;
        let pass = keeper.pass;
        if let Some(file) = keeper.files.get_mut(path.as_str()) {
            file.pass = pass;
            file.done &= file.stamp == stamp;
            file.stamp = stamp;
            let fresh = keeper.fresh.get(path.as_str());
            if file.done && fresh.is_none_or(|read| read.elapsed() < TICK) {
                return;
            }
            self.changed.push(path.into());
        } else if keeper.files.len() >= keeper.settings.max_files {
            self.too_many += 1;
        } else {
            let path: Arc<str> = path.into();
            let file = File {
                stamp,
                done: false,
                content: None,
                pass,
            };
            keeper.files.insert(Arc::clone(&path), file);
            self.changed.push(path);
        }
    }
}

impl Keeper {
    /// Takes from the shelf what the look did not see where it looked.
    pub(super) fn forget_what_is_gone(&mut self, looks: &Looks) {
        let pass = self.pass;
        let mut gone: Vec<Arc<str>> = Vec::new();
        if looks.all {
            let unseen = self.files.iter().filter(|(_, file)| file.pass != pass);
            gone.extend(unseen.map(|(path, _)| Arc::clone(path)));
            self.forget_folders();
        } else {
            for path in &looks.paths {
                let below = format!("{path}/");
                let inside = self
                    .files
                    .range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded))
                    .take_while(|(path, _)| path.starts_with(&below));
                let itself = self.files.get_key_value(path.as_str());
                let unseen = inside.chain(itself).filter(|(_, file)| file.pass != pass);
                gone.extend(unseen.map(|(path, _)| Arc::clone(path)));
            }
        }
        for path in &gone {
            self.files.remove(path);
            self.fresh.remove(path);
        }
        let numbers = self.shared.shelf.take(gone.iter().map(|path| &**path));
        self.old.extend(numbers);
    }

    pub(super) fn too_many(&mut self, count: usize) {
        if count == 0 {
            self.said.too_many = false;
        } else if !std::mem::replace(&mut self.said.too_many, true) {
            tracing::warn!(
                index = self.shared.name,
                "{count} files are left out, since `max_files` is {}: raise it, or leave out others with `exclude`",
                self.settings.max_files,
            );
        }
    }

    /// Reads what is new or changed.
    pub(super) fn read(&mut self, root: &Path, changed: Vec<Arc<str>>) -> Result<(), TantivyError> {
        let mut published = Instant::now();
        for path in changed {
            if self.stop.is_cancelled() {
                break;
            }
            self.read_one(root, path)?;
            let first = {
                let mut status = self.shared.status();
                status.progress += 1;
                !status.read
            };
            // The first reading is not searched before its end.
            if !first && published.elapsed() >= COMMIT_EVERY {
                self.publish()?;
                published = Instant::now();
            }
        }
        Ok(())
    }

    fn read_one(&mut self, root: &Path, path: Arc<str>) -> Result<(), TantivyError> {
        let max = self.settings.max_file.min(MAX_FILE_BYTES);
        let (bytes, stamp) = match inside::read(root, &path, max) {
            Ok(read) => read,
            // It is being written: there will be another event, or another look.
            Err(NotRead::Changing) => return Ok(()),
            Err(NotRead::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                self.files.remove(&path);
                self.take_from_shelf(&path);
                return Ok(());
            }
            Err(error) => {
                self.leave_out(&path, &error.to_string());
                return Ok(());
            }
        };
        let content: [u8; 32] = Sha256::digest(&bytes).into();
        let Some(file) = self.files.get_mut(&path) else {
            return Ok(());
        };
        // What was read again because it was fresh is so no more.
        let again = file.done && file.stamp == stamp;
        file.stamp = stamp;
        file.done = true;
        if again || !stamp.is_fresh(SystemTime::now()) {
            self.fresh.remove(&path);
        } else {
            self.fresh.insert(Arc::clone(&path), Instant::now());
        }
        if file.content == Some(content) {
            return Ok(());
        }
        match document::parse(Kind::of(&path), bytes) {
            Err(error) => self.leave_out(&path, &error.to_string()),
            Ok(parsed) => {
                let held = self.shared.shelf.count().bytes + self.new_bytes;
                if held + parsed.text.len() as u64 > MAX_TEXT_BYTES {
                    self.leave_out(
                        &path,
                        "the index holds as much text as it may; split it into several",
                    );
                } else {
                    file.content = Some(content);
                    self.index(path, &parsed)?;
                }
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, path: &Arc<str>, reason: &str) {
        if let Some(file) = self.files.get_mut(path) {
            file.done = true;
            file.content = None;
        }
        self.take_from_shelf(path);
        self.say(path, reason);
    }

    fn take_from_shelf(&mut self, path: &Arc<str>) {
        self.fresh.remove(path);
        let numbers = self.shared.shelf.take([&**path]);
        self.old.extend(numbers);
    }

    fn index(&mut self, path: Arc<str>, parsed: &Parsed) -> Result<(), TantivyError> {
        let document = Document {
            number: self.shared.number(),
            title: parsed.title.clone().unwrap_or_default().into(),
            verbatim: parsed.verbatim,
            headings: parsed.headings.clone().into(),
            passages: parsed.passages.clone().into(),
            bytes: parsed.text.len() as u64,
            path,
        };
        add(self.writer()?, &document, &parsed.text)?;
        self.new_bytes += document.bytes;
        self.new.push(Arc::new(document));
        Ok(())
    }
}

fn add(writer: &Writer, document: &Document, text: &str) -> Result<(), TantivyError> {
    let path = document
        .path
        .rsplit_once('.')
        .map_or(&*document.path, |(stem, _)| stem);
    let title = format!("{} {path}", document.title);
    // Once for the document: they are only listed.
    let mut forms = words::forms(text);
    for (number, passage) in (0_u64..).zip(&document.passages) {
        let start = passage.offset as usize;
        let end = start.saturating_add(passage.len as usize);
        let mut above = document.headings_of(passage);
        let heading = above.pop().unwrap_or_default();
        writer.add(&Entry {
            document: document.number,
            passage: number,
            title: &title,
            above: &above.join(" "),
            heading,
            body: text.get(start..end).unwrap_or_default(),
            forms: &std::mem::take(&mut forms),
        })?;
    }
    Ok(())
}
