#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts vendor/ onto a device by adb, as a person would: root, remount, push, restorecon, restart.
#
#   install.sh           install; what was there before is kept on the device
#   install.sh --undo    give back what was there before
#
# ANDROID_SERIAL chooses among devices. It cannot install on a device whose boot loader is locked or
# whose build is a user build: their /vendor is read-only, and verity would not start a changed one;
# there vendor/ goes into the device's image. It cannot add types to the device's SELinux policy
# either: sepolicy/ goes into the device's tree. It starts no driver: kernel/ goes into its kernel.
set -eu
cd "$(dirname "$0")"

service=vendor.graphics.allocator
undo=/data/local/tmp/dmaheap-undo
# Files that are the device's own, and are added to; all others are ours alone.
shared="etc/ueventd.rc etc/selinux/vendor_file_contexts"

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

on_device() {
    adb shell "$1"
}

files() {
    (cd vendor && find . -type f | sed 's,^\./,,' | sort)
}

is_shared() {
    case " $shared " in *" $1 "*) true ;; *) false ;; esac
}

become_root() {
    adb get-state >/dev/null || fail "no device: connect one, and allow debugging on it"
    adb root >/dev/null || true
    adb wait-for-device
    [ "$(on_device 'id -u')" = 0 ] ||
        fail "adb is not root on this device: it has a user build. Put vendor/ into its image instead"
}

remount() {
    [ "$(on_device 'getprop ro.boot.flash.locked')" != 1 ] ||
        fail "the boot loader is locked: what is changed on /vendor would not start. Unlock it, which
erases the device, or put vendor/ into its image"
    if ! adb remount || ! can_write; then
        echo "install.sh: the device restarts, so that verity lets /vendor be written"
        adb reboot
        adb wait-for-device
        become_root
        adb remount || true
        can_write ||
            fail "/vendor cannot be written: is verity on? 'adb disable-verity' and a restart may help"
    fi
}

can_write() {
    on_device "touch /vendor/dmaheap-probe && rm /vendor/dmaheap-probe" 2>/dev/null
}

refuse_a_second_allocator() {
    other=$(on_device "grep -ls 'android.hardware.graphics.allocator' /vendor/etc/vintf/manifest.xml /vendor/etc/vintf/manifest/*.xml" |
        grep -v service.dmaheap.xml || true)
    [ -z "$other" ] || fail "another allocator is declared on this device, and there can be one of an
instance's name. Take its <hal> out of:
$other"
}

keep() {
    on_device "mkdir -p $undo/$(dirname "$1")
        if [ ! -e $undo/$1 ] && [ ! -e $undo/$1.none ]; then
            if [ -e /vendor/$1 ]; then cp -p /vendor/$1 $undo/$1; else touch $undo/$1.none; fi
        fi"
}

install() {
    become_root
    refuse_a_second_allocator
    remount
    for file in $(files); do
        keep "$file"
        on_device "mkdir -p /vendor/$(dirname "$file")"
        if is_shared "$file"; then
            # Our lines, behind the device's own as they were before any installation.
            adb push "vendor/$file" "$undo/$file.ours" >/dev/null
            on_device "{ cat $undo/$file 2>/dev/null; cat $undo/$file.ours; } >/vendor/$file"
        else
            adb push "vendor/$file" "/vendor/$file" >/dev/null
        fi
        mode=644
        [ ! -x "vendor/$file" ] || mode=755
        on_device "chmod $mode /vendor/$file"
    done
    for file in $(files); do
        on_device "restorecon /vendor/$file" ||
            fail "/vendor/$file has no label: the device's policy lacks its type. sepolicy/ has it"
    done
    adb push tests/. /data/local/tmp/ >/dev/null
    restart
    on_device "getprop init.svc.$service | grep -q running" ||
        echo "install.sh: $service does not run; 'adb logcat -s dmaheap-allocator' says why. After a
first installation it takes a restart of the device: 'adb reboot'"
}

restore() {
    become_root
    remount
    on_device "[ -d $undo ]" || fail "nothing to undo: $undo is not on the device"
    on_device "setprop ctl.stop $service"
    for file in $(files); do
        on_device "if [ -e $undo/$file ]; then cp -p $undo/$file /vendor/$file && restorecon /vendor/$file
            elif [ -e $undo/$file.none ]; then rm -f /vendor/$file; fi"
    done
    on_device "rm -rf $undo; rmdir /vendor/etc/dmaheap 2>/dev/null || true"
    for test in tests/*; do
        on_device "rm -f /data/local/tmp/$(basename "$test")"
    done
    restart
}

restart() {
    on_device "setprop ctl.restart $service"
}

command -v adb >/dev/null || fail "adb is not here; it is in the platform tools of the Android SDK"
case "${1-}" in
"") install ;;
--undo) restore ;;
*) fail "takes nothing, or --undo" ;;
esac
