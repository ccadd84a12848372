// SPDX-License-Identifier: Apache-2.0
//! Who asks: callers, and the classes that the policy file puts them in.
//!
//! A class is a set of uids and of SELinux domains; a caller is in it by either,
//! and may be in several. Uids are those of Android's first user: what counts is
//! the rest of a division by 100000, which is the app's whichever user runs it.

use std::fmt;
use std::ops::RangeInclusive;

use dmaheap_aidl::binder::Caller;

/// Uids of one of Android's users.
pub(super) const UIDS_OF_A_USER: u32 = 100_000;

/// The most classes a policy may have.
pub(super) const MOST: usize = u64::BITS as usize;

/// What Android's own uids mean (`android_filesystem_config.h`). Of apps: those
/// that are installed, the sandboxes of their SDKs, and isolated processes,
/// which draw as well (a browser's).
const BUILT_IN: [(&str, &[(u32, u32)]); 5] = [
    ("system", &[(1000, 1000)]),
    ("graphics", &[(1003, 1003)]),
    ("cameraserver", &[(1047, 1047)]),
    (APPS, &[(10_000, 19_999), (20_000, 29_999), (90_000, 99_999)]),
    ("isolated", &[(90_000, 99_999)]),
];

/// The class of everything that was installed.
pub const APPS: &str = "apps";

/// A class of callers.
#[derive(Debug, Clone)]
pub struct Class {
    /// Its name in the policy file.
    pub name: String,
    /// Its uids, as of Android's first user.
    pub uids: Vec<RangeInclusive<u32>>,
    /// Its SELinux domains.
    pub domains: Vec<String>,
}

/// Which of a policy's classes: its place among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassId(pub(crate) usize);

/// Some of a policy's classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassSet(u64);

/// All classes of a policy: those that are built in, and then the file's own.
#[derive(Debug, Clone)]
pub struct Classes(Vec<Class>);

/// The callers that a key of the policy file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callers {
    /// Their classes.
    pub classes: ClassSet,
    pub(super) names: Vec<String>,
}

/// A caller, and what it is to a policy.
#[derive(Debug, Clone, Copy)]
pub struct Who<'c> {
    /// Its uid and context.
    pub caller: &'c Caller,
    /// The classes that it is in.
    pub classes: ClassSet,
}

impl ClassSet {
    /// Whether this class is one of them.
    pub fn has(self, class: ClassId) -> bool {
        u32::try_from(class.0).ok().and_then(|place| self.0.checked_shr(place)).unwrap_or(0) & 1
            != 0
    }

    /// Whether all of these are among them.
    pub fn contains(self, others: ClassSet) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether they have a class in common.
    pub fn intersects(self, other: ClassSet) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromIterator<ClassId> for ClassSet {
    fn from_iter<I: IntoIterator<Item = ClassId>>(classes: I) -> ClassSet {
        let bit = |class: ClassId| 1u64.checked_shl(u32::try_from(class.0).ok()?);
        ClassSet(classes.into_iter().filter_map(bit).fold(0, |all, bit| all | bit))
    }
}

impl Class {
    fn has(&self, uid: u32, domain: Option<&[u8]>) -> bool {
        let uid = uid.checked_rem(UIDS_OF_A_USER).unwrap_or(uid);
        self.uids.iter().any(|uids| uids.contains(&uid))
            || domain.is_some_and(|domain| self.domains.iter().any(|own| own.as_bytes() == domain))
    }
}

impl Classes {
    /// The built-in ones and these, of which there are not too many.
    pub(super) fn new(own: impl IntoIterator<Item = Class>) -> Classes {
        let built_in = BUILT_IN.iter().map(|(name, uids)| Class {
            name: (*name).to_owned(),
            uids: uids.iter().map(|(first, last)| *first..=*last).collect(),
            domains: Vec::new(),
        });
        Classes(built_in.chain(own).take(MOST).collect())
    }

    /// Whether a class of this name is built in.
    pub(super) fn is_built_in(name: &str) -> bool {
        BUILT_IN.iter().any(|(known, _)| *known == name)
    }

    /// All, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        (0..).map(ClassId).zip(&self.0)
    }

    /// The class of this name.
    pub fn named(&self, name: &str) -> Option<ClassId> {
        self.iter().find(|(_, class)| class.name == name).map(|(id, _)| id)
    }

    /// The name of a class, which must be one of the same policy.
    pub fn name(&self, class: ClassId) -> &str {
        self.0.get(class.0).map_or("", |class| &class.name)
    }

    /// The names of these.
    pub fn names(&self, classes: ClassSet) -> Vec<String> {
        self.iter().filter(|(id, _)| classes.has(*id)).map(|(_, c)| c.name.clone()).collect()
    }

    /// The classes of a caller.
    pub fn of(&self, caller: &Caller) -> ClassSet {
        let domain = caller.context.as_deref().and_then(domain);
        self.iter().filter(|(_, class)| class.has(caller.uid, domain)).map(|(id, _)| id).collect()
    }
}

/// The domain in a context, `untrusted_app` in `u:r:untrusted_app:s0:c1,c2`.
fn domain(context: &str) -> Option<&[u8]> {
    context.as_bytes().split(|byte| *byte == b':').nth(2)
}

impl Callers {
    /// The names of their classes, as in the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl fmt::Display for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(uid: u32, context: Option<&str>) -> Vec<String> {
        let own = [
            Class { name: "oem".into(), uids: vec![2900..=2999], domains: vec![] },
            Class { name: "hal".into(), uids: vec![], domains: vec!["hal_camera_default".into()] },
        ];
        let classes = Classes::new(own);
        let caller = Caller { uid, context: context.map(str::to_owned) };
        classes.names(classes.of(&caller))
    }

    #[test]
    fn a_class_is_that_of_an_app_whichever_user_runs_it() {
        assert_eq!(names(10_123, None), ["apps"]);
        assert_eq!(names(1_010_123, None), ["apps"]);
        assert_eq!(names(1_090_000, None), ["apps", "isolated"]);
        assert_eq!(names(1000, None), ["system"]);
        assert_eq!(names(1_101_047, None), ["cameraserver"]);
        assert_eq!(names(1_102_900, None), ["oem"]);
    }

    #[test]
    fn ranges_have_both_of_their_ends() {
        let is_app = |uid| names(uid, None).contains(&"apps".to_owned());
        let edges = [9_999, 10_000, 29_999, 30_000, 89_999, 90_000, 99_999, 100_000];
        assert_eq!(edges.map(is_app), [false, true, true, false, false, true, true, false]);
    }

    #[test]
    fn a_domain_is_the_type_of_a_context() {
        assert_eq!(names(0, Some("u:r:hal_camera_default:s0")), ["hal"]);
        assert_eq!(names(1047, Some("u:r:hal_camera_default:s0:c1,c2")), ["cameraserver", "hal"]);
        assert_eq!(names(0, Some("u:r:hal_camera_default_x:s0")), [""; 0]);
        assert_eq!(names(0, Some("hal_camera_default")), [""; 0]);
    }
}
