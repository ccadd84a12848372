// SPDX-License-Identifier: Apache-2.0
//! A service that dies and comes back: init starts it again, and clients go on.

use std::sync::mpsc;
use std::time::Duration;

use dmaheap_aidl::binder;
use dmaheap_buffer::Usage;
use libtest_mimic::Trial;

use crate::harness::Outcome;
use crate::imapper::{Mapper, RawHandle};
use crate::service::{connect, good, restart_service, restarting};

pub fn trials() -> Vec<Trial> {
    vec![
        restarting("restart::old_buffers_stay_valid", old_buffers_stay_valid),
        restarting("restart::clients_are_told_and_find_the_new_service", clients_are_told),
    ]
}

fn old_buffers_stay_valid() -> Outcome {
    let pattern = |offset: usize| (offset * 7 + offset / 251) as u8;
    let mapper = Mapper::load()?;
    let native = connect()?.allocate2(&good(), 1)?.buffers.pop().ok_or("no buffer, no error")?;
    let raw = RawHandle::from_binder(native);
    let old = mapper.import(&raw)?;
    old.with_pixels(Usage::CPU_WRITE_OFTEN, |pixels| {
        pixels.iter_mut().enumerate().for_each(|(offset, byte)| *byte = pattern(offset));
    })?;
    restart_service()?;
    // The mapping that there was, and one made now.
    for buffer in [&old, &mapper.import(&raw)?] {
        let holds = |pixels: &mut [u8]| {
            pixels.iter().enumerate().all(|(offset, byte)| *byte == pattern(offset))
        };
        assert!(buffer.with_pixels(Usage::CPU_READ_OFTEN, holds)?, "the content is another");
    }
    Ok(())
}

fn clients_are_told() -> Outcome {
    let old = connect()?;
    let (tell, told) = mpsc::channel();
    let _watch = binder::on_death(&old, move || {
        // Who no longer listens has heard enough.
        let _ = tell.send(());
    })?;
    restart_service()?;
    told.recv_timeout(Duration::from_secs(10)).map_err(|_| "no notice of the service's death")?;
    assert!(old.isSupported(&good()).is_err(), "the dead one answers");
    assert_eq!(connect()?.allocate2(&good(), 1)?.buffers.len(), 1);
    Ok(())
}
