// SPDX-License-Identifier: Apache-2.0
//! Files and folders over the control channel, the same in both directions.
//!
//! The tar stream has one root entry, named [`ROOT`]: a file, or a folder with all below it. The
//! receiver puts the root at the path it was told, so a rename needs no special case.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use crate::wire::{self, DataReader, DataWriter, Frame};

const ROOT: &str = "root";

/// A file operation that failed, and on which file.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}", path = path.display())]
pub struct FileError {
    path: PathBuf,
    source: io::Error,
}

trait On<T> {
    fn on(self, path: &Path) -> Result<T, FileError>;
}

impl<T> On<T> for io::Result<T> {
    fn on(self, path: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError { path: path.to_owned(), source })
    }
}

/// Sends the file or folder at `path`, with the closing frame: `Failed` where it could not be
/// read whole. An `Err` means that the channel itself broke.
pub fn send_path(channel: &mut impl Write, path: &Path) -> io::Result<Result<(), FileError>> {
    let mut tar = tar::Builder::new(DataWriter(channel));
    let read = append(&mut tar, path, Path::new(ROOT));
    tar.finish()?;
    drop(tar);
    let closing = match &read {
        Ok(()) => Frame::End,
        Err(error) => Frame::Failed(error.to_string()),
    };
    wire::send(channel, &closing)?;
    Ok(read)
}

fn append(tar: &mut tar::Builder<impl Write>, path: &Path, name: &Path) -> Result<(), FileError> {
    let metadata = fs::symlink_metadata(path).on(path)?;
    let mut header = tar::Header::new_gnu();
    header.set_metadata(&metadata);
    if metadata.is_dir() {
        tar.append_data(&mut header, name, io::empty()).on(path)?;
        let mut children: Vec<_> =
            fs::read_dir(path).on(path)?.collect::<io::Result<_>>().on(path)?;
        children.sort_by_key(fs::DirEntry::file_name);
        for child in children {
            append(tar, &child.path(), &name.join(child.file_name()))?;
        }
        Ok(())
    } else if metadata.is_symlink() {
        let target = fs::read_link(path).on(path)?;
        header.set_size(0);
        tar.append_link(&mut header, name, target).on(path)
    } else if metadata.is_file() {
        // Read whole before the size is written: files of /proc and /sys say 0, logs still grow.
        let mut content = Vec::new();
        File::open(path).and_then(|mut f| f.read_to_end(&mut content)).on(path)?;
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_slice()).on(path)
    } else {
        Err(io::Error::other("neither a file, a folder nor a link")).on(path)
    }
}

/// Receives a stream sent by [`send_path`] and puts its root at `to`, with the modes it had.
/// Reads the stream to its end even when a file cannot be written; an `Err` means that the
/// channel itself broke.
pub fn receive_path(channel: &mut impl Read, to: &Path) -> io::Result<Result<(), FileError>> {
    let mut data = DataReader::new(channel);
    let written = unpack(&mut data, to);
    match data.drain() {
        Ok(()) => Ok(written),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(error),
        Err(error) => Ok(written.and(Err(error).on(to))),
    }
}

fn unpack(data: &mut impl Read, to: &Path) -> Result<(), FileError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).on(parent)?;
    }
    let mut archive = tar::Archive::new(data);
    let mut folders = Vec::new();
    for entry in archive.entries().on(to)? {
        let mut entry = entry.on(to)?;
        let path = target_of(&entry.path().on(to)?, to).on(to)?;
        if entry.header().entry_type().is_dir() {
            fs::create_dir_all(&path).on(&path)?;
            let mode = entry.header().mode().on(&path)?;
            folders.push((path, mode));
        } else if is_no_file(&path) {
            let mut node = File::options().write(true).open(&path).on(&path)?;
            io::copy(&mut entry, &mut node).on(&path)?;
        } else {
            entry.set_preserve_permissions(true);
            entry.unpack(&path).map_err(cause).on(&path)?;
        }
    }
    // Last, and innermost first: a folder may be read-only.
    for (path, mode) in folders.into_iter().rev() {
        fs::set_permissions(&path, Permissions::from_mode(mode)).on(&path)?;
    }
    Ok(())
}

/// Whether a device, a pipe or a socket is there, also behind a link: it is written to and stays.
fn is_no_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// The system's own answer, which the tar crate wraps into a sentence without it.
fn cause(error: io::Error) -> io::Error {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let answer = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    answer.map_or(error, io::Error::from_raw_os_error)
}

/// Where the entry `name` goes when the root goes to `to`.
fn target_of(name: &Path, to: &Path) -> io::Result<PathBuf> {
    let below = name.strip_prefix(ROOT).map_err(io::Error::other)?;
    if below.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(io::Error::other(format!("{} leads outside", name.display())));
    }
    // Joining the empty path would add a slash, and a file's name must not end in one.
    Ok(if below.as_os_str().is_empty() { to.to_owned() } else { to.join(below) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carry(from: &Path, to: &Path) -> Result<(), FileError> {
        let mut channel = Vec::new();
        let sent = send_path(&mut channel, from).unwrap();
        let received = receive_path(&mut channel.as_slice(), to).unwrap();
        sent.and(received)
    }

    #[test]
    fn a_folder_arrives_with_contents_modes_and_links() {
        let here = tempfile::tempdir().unwrap();
        let from = here.path().join("from");
        fs::create_dir_all(from.join("deep/er")).unwrap();
        fs::write(from.join("deep/tool"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(from.join("deep/tool"), Permissions::from_mode(0o751)).unwrap();
        std::os::unix::fs::symlink("tool", from.join("deep/link")).unwrap();
        fs::set_permissions(from.join("deep"), Permissions::from_mode(0o550)).unwrap();

        let to = here.path().join("new/to");
        carry(&from, &to).unwrap();
        let mode = |p: &str| fs::metadata(to.join(p)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("deep/tool"), 0o751);
        assert_eq!(mode("deep"), 0o550);
        assert!(to.join("deep/er").is_dir());
        assert_eq!(fs::read_link(to.join("deep/link")).unwrap(), Path::new("tool"));
        assert_eq!(fs::read(to.join("deep/tool")).unwrap(), b"#!/bin/sh\n");
    }

    #[test]
    fn a_file_whose_stat_says_zero_bytes_arrives_whole() {
        let here = tempfile::tempdir().unwrap();
        let to = here.path().join("version");
        carry(Path::new("/proc/version"), &to).unwrap();
        assert_eq!(fs::read(to).unwrap(), fs::read("/proc/version").unwrap());
    }

    /// As a device's node does, a pipe stays what it is: who pulls to /dev/null, as root most of all,
    /// does not want a file in its place.
    #[test]
    fn what_is_no_file_is_written_to_and_not_replaced() {
        let here = tempfile::tempdir().unwrap();
        let (from, pipe) = (here.path().join("from"), here.path().join("pipe"));
        fs::write(&from, "carried").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Both ends, so that neither side waits for the other.
        let mut ends = File::options().read(true).write(true).open(&pipe).unwrap();
        carry(&from, &pipe).unwrap();
        assert!(std::os::unix::fs::FileTypeExt::is_fifo(&fs::metadata(&pipe).unwrap().file_type()));
        let mut got = [0; 7];
        ends.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"carried");
    }

    #[test]
    fn a_missing_file_is_named() {
        let here = tempfile::tempdir().unwrap();
        let missing = here.path().join("missing");
        let error = carry(&missing, &here.path().join("to")).unwrap_err();
        assert!(error.to_string().contains("missing: No such file"), "{error}");
    }

    #[test]
    fn an_entry_cannot_leave_the_root() {
        assert!(target_of(Path::new("root/../../etc/passwd"), Path::new("/tmp/to")).is_err());
        assert!(target_of(Path::new("/etc/passwd"), Path::new("/tmp/to")).is_err());
    }
}
