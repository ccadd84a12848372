// SPDX-License-Identifier: Apache-2.0
//! The part of libbinder_ndk's public header that AOSP's `binder` crate calls, in place of the
//! bindings that it makes from an NDK, which is not to be had everywhere. For type checks only:
//! nothing here is ever linked.
#![no_std]
#![allow(bad_style, missing_docs, clippy::all)]

pub type binder_status_t = i32;
pub const FIRST_CALL_TRANSACTION: u32 = 1;
pub const LAST_CALL_TRANSACTION: u32 = 0x00ff_ffff;
pub const FLAG_ONEWAY: u32 = 1;
pub const FLAG_CLEAR_BUF: u32 = 0x20;
pub const FLAG_PRIVATE_LOCAL: u32 = 0;
pub const APERSISTABLEBUNDLE_KEY_NOT_FOUND: i32 = -1;
pub const APERSISTABLEBUNDLE_ALLOCATOR_FAILED: i32 = -2;

use core::ffi::{c_char, c_void};
use core::fmt;

macro_rules! opaque { ($($name:ident)*) => { $(#[derive(Debug)] pub enum $name {})* } }
opaque! {
    AIBinder AIBinder_Class AIBinder_DeathRecipient AIBinder_Weak AParcel AStatus
    APersistableBundle ABinderRpc_Accessor ABinderRpc_AccessorProvider ABinderRpc_ConnectionInfo
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum android_c_interface_StatusCode {
    OK = 0, UNKNOWN_ERROR = i32::MIN, NO_MEMORY = -12, INVALID_OPERATION = -38, BAD_VALUE = -22,
    BAD_TYPE = i32::MIN + 1, NAME_NOT_FOUND = -2, PERMISSION_DENIED = -1, NO_INIT = -19,
    ALREADY_EXISTS = -17, DEAD_OBJECT = -32, FAILED_TRANSACTION = i32::MIN + 2, BAD_INDEX = -75,
    NOT_ENOUGH_DATA = -61, WOULD_BLOCK = -11, TIMED_OUT = -110, UNKNOWN_TRANSACTION = -74,
    FDS_NOT_ALLOWED = i32::MIN + 7, UNEXPECTED_NULL = i32::MIN + 8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum android_c_interface_ExceptionCode {
    NONE = 0, SECURITY = -1, BAD_PARCELABLE = -2, ILLEGAL_ARGUMENT = -3, NULL_POINTER = -4,
    ILLEGAL_STATE = -5, NETWORK_MAIN_THREAD = -6, UNSUPPORTED_OPERATION = -7, SERVICE_SPECIFIC = -8,
    PARCELABLE = -9, TRANSACTION_FAILED = -129,
}

impl core::error::Error for android_c_interface_StatusCode {}
impl fmt::Display for android_c_interface_StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Debug::fmt(self, f) }
}
impl core::error::Error for android_c_interface_ExceptionCode {}
impl fmt::Display for android_c_interface_ExceptionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Debug::fmt(self, f) }
}

#[repr(u32)]
pub enum AServiceManager_PermissionType {
    CHECK_ACCESS_PERMISSION_FIND = 0, CHECK_ACCESS_PERMISSION_LIST = 1,
    CHECK_ACCESS_PERMISSION_ADD = 2,
}

type Fn1 = Option<unsafe extern "C" fn(*mut c_void)>;
type OnCreate = Option<unsafe extern "C" fn(*mut c_void) -> *mut c_void>;
type OnTransact = Option<
    unsafe extern "C" fn(*mut AIBinder, u32, *const AParcel, *mut AParcel) -> binder_status_t,
>;
type OnDump =
    Option<unsafe extern "C" fn(*mut AIBinder, i32, *mut *const c_char, u32) -> binder_status_t>;
type OnShell = Option<
    unsafe extern "C" fn(*mut AIBinder, i32, i32, i32, *mut *const c_char, u32) -> binder_status_t,
>;
type Strings = Option<unsafe extern "C" fn(*mut c_void, i32, *mut *mut c_char) -> bool>;
type WriteElement = Option<unsafe extern "C" fn(*mut AParcel, *const c_void, usize) -> i32>;
type ReadElement = Option<unsafe extern "C" fn(*const AParcel, *mut c_void, usize) -> i32>;
type Length = Option<unsafe extern "C" fn(*mut c_void, i32) -> bool>;
type Key = Option<unsafe extern "C" fn(i32, *mut c_void) -> *mut c_char>;

macro_rules! arrays {
    ($($read:ident $write:ident $read_all:ident $write_all:ident $type:ty;)*) => { unsafe extern "C" { $(
        pub fn $read(from: *const AParcel, value: *mut $type) -> i32;
        pub fn $write(to: *mut AParcel, value: $type) -> i32;
        pub fn $read_all(from: *const AParcel, data: *mut c_void,
            allocate: Option<unsafe extern "C" fn(*mut c_void, i32, *mut *mut $type) -> bool>) -> i32;
        pub fn $write_all(to: *mut AParcel, data: *const $type, length: i32) -> i32;
    )* } };
}
arrays! {
    AParcel_readByte AParcel_writeByte AParcel_readByteArray AParcel_writeByteArray i8;
    AParcel_readChar AParcel_writeChar AParcel_readCharArray AParcel_writeCharArray u16;
    AParcel_readInt32 AParcel_writeInt32 AParcel_readInt32Array AParcel_writeInt32Array i32;
    AParcel_readUint32 AParcel_writeUint32 AParcel_readUint32Array AParcel_writeUint32Array u32;
    AParcel_readInt64 AParcel_writeInt64 AParcel_readInt64Array AParcel_writeInt64Array i64;
    AParcel_readUint64 AParcel_writeUint64 AParcel_readUint64Array AParcel_writeUint64Array u64;
    AParcel_readFloat AParcel_writeFloat AParcel_readFloatArray AParcel_writeFloatArray f32;
    AParcel_readDouble AParcel_writeDouble AParcel_readDoubleArray AParcel_writeDoubleArray f64;
}

macro_rules! bundles {
    ($($put:ident $get:ident $put_all:ident $get_all:ident $type:ty;)*) => { unsafe extern "C" { $(
        pub fn $put(to: *mut APersistableBundle, key: *const c_char, value: $type);
        pub fn $get(from: *const APersistableBundle, key: *const c_char, value: *mut $type) -> bool;
        pub fn $put_all(to: *mut APersistableBundle, key: *const c_char, data: *const $type, n: i32);
        pub fn $get_all(from: *const APersistableBundle, key: *const c_char, data: *mut $type, bytes: i32) -> i32;
    )* } };
}
bundles! {
    APersistableBundle_putBoolean APersistableBundle_getBoolean APersistableBundle_putBooleanVector APersistableBundle_getBooleanVector bool;
    APersistableBundle_putInt APersistableBundle_getInt APersistableBundle_putIntVector APersistableBundle_getIntVector i32;
    APersistableBundle_putLong APersistableBundle_getLong APersistableBundle_putLongVector APersistableBundle_getLongVector i64;
    APersistableBundle_putDouble APersistableBundle_getDouble APersistableBundle_putDoubleVector APersistableBundle_getDoubleVector f64;
}

macro_rules! keys {
    ($($name:ident)*) => { unsafe extern "C" { $(
        pub fn $name(from: *const APersistableBundle, keys: *mut *mut c_char, bytes: i32, allocate: Key, context: *mut c_void) -> i32;
    )* } };
}
keys! {
    APersistableBundle_getBooleanKeys APersistableBundle_getBooleanVectorKeys
    APersistableBundle_getDoubleKeys APersistableBundle_getDoubleVectorKeys
    APersistableBundle_getIntKeys APersistableBundle_getIntVectorKeys
    APersistableBundle_getLongKeys APersistableBundle_getLongVectorKeys
    APersistableBundle_getStringKeys APersistableBundle_getStringVectorKeys
    APersistableBundle_getPersistableBundleKeys
}

unsafe extern "C" {
    pub fn APersistableBundle_new() -> *mut APersistableBundle;
    pub fn APersistableBundle_dup(of: *const APersistableBundle) -> *mut APersistableBundle;
    pub fn APersistableBundle_delete(of: *mut APersistableBundle);
    pub fn APersistableBundle_isEqual(a: *const APersistableBundle, b: *const APersistableBundle) -> bool;
    pub fn APersistableBundle_readFromParcel(from: *const AParcel, out: *mut *mut APersistableBundle) -> i32;
    pub fn APersistableBundle_writeToParcel(of: *const APersistableBundle, to: *mut AParcel) -> i32;
    pub fn APersistableBundle_size(of: *const APersistableBundle) -> i32;
    pub fn APersistableBundle_erase(of: *mut APersistableBundle, key: *const c_char) -> i32;
    pub fn APersistableBundle_putString(to: *mut APersistableBundle, key: *const c_char, value: *const c_char);
    pub fn APersistableBundle_putStringVector(to: *mut APersistableBundle, key: *const c_char, data: *const *const c_char, n: i32);
    pub fn APersistableBundle_putPersistableBundle(to: *mut APersistableBundle, key: *const c_char, value: *const APersistableBundle);
    pub fn APersistableBundle_getString(from: *const APersistableBundle, key: *const c_char, value: *mut *mut c_char, allocate: Key, context: *mut c_void) -> i32;
    pub fn APersistableBundle_getStringVector(from: *const APersistableBundle, key: *const c_char, data: *mut *mut c_char, bytes: i32, allocate: Key, context: *mut c_void) -> i32;
    pub fn APersistableBundle_getPersistableBundle(from: *const APersistableBundle, key: *const c_char, value: *mut *mut APersistableBundle) -> bool;

    pub fn ABinderProcess_joinThreadPool();
    pub fn ABinderProcess_setThreadPoolMaxThreadCount(count: u32) -> bool;
    pub fn ABinderProcess_startThreadPool();

    pub fn ABinderRpc_Accessor_new(instance: *const c_char, provider: Option<unsafe extern "C" fn(*const c_char, *mut c_void) -> *mut ABinderRpc_ConnectionInfo>, data: *mut c_void, delete: Fn1) -> *mut ABinderRpc_Accessor;
    pub fn ABinderRpc_Accessor_fromBinder(instance: *const c_char, binder: *mut AIBinder) -> *mut ABinderRpc_Accessor;
    pub fn ABinderRpc_Accessor_asBinder(of: *mut ABinderRpc_Accessor) -> *mut AIBinder;
    pub fn ABinderRpc_Accessor_delete(of: *mut ABinderRpc_Accessor);
    pub fn ABinderRpc_Accessor_delegateAccessor(instance: *const c_char, binder: *mut AIBinder, out: *mut *mut AIBinder) -> i32;
    pub fn ABinderRpc_ConnectionInfo_new(address: *const libc::sockaddr, length: libc::socklen_t) -> *mut ABinderRpc_ConnectionInfo;
    pub fn ABinderRpc_registerAccessorProvider(provider: Option<unsafe extern "C" fn(*const c_char, *mut c_void) -> *mut ABinderRpc_Accessor>, instances: *const *const c_char, count: usize, data: *mut c_void, delete: Fn1) -> *mut ABinderRpc_AccessorProvider;
    pub fn ABinderRpc_unregisterAccessorProvider(provider: *mut ABinderRpc_AccessorProvider);

    pub fn AIBinder_Class_define(name: *const c_char, create: OnCreate, destroy: Fn1, transact: OnTransact) -> *mut AIBinder_Class;
    pub fn AIBinder_Class_getDescriptor(of: *const AIBinder_Class) -> *const c_char;
    pub fn AIBinder_Class_setHandleShellCommand(of: *mut AIBinder_Class, handle: OnShell);
    pub fn AIBinder_Class_setOnDump(of: *mut AIBinder_Class, dump: OnDump);
    pub fn AIBinder_DeathRecipient_delete(of: *mut AIBinder_DeathRecipient);
    pub fn AIBinder_DeathRecipient_new(died: Fn1) -> *mut AIBinder_DeathRecipient;
    pub fn AIBinder_DeathRecipient_setOnUnlinked(of: *mut AIBinder_DeathRecipient, unlinked: Fn1);
    pub fn AIBinder_Weak_clone(of: *const AIBinder_Weak) -> *mut AIBinder_Weak;
    pub fn AIBinder_Weak_delete(of: *mut AIBinder_Weak);
    pub fn AIBinder_Weak_lt(a: *const AIBinder_Weak, b: *const AIBinder_Weak) -> bool;
    pub fn AIBinder_Weak_new(of: *mut AIBinder) -> *mut AIBinder_Weak;
    pub fn AIBinder_Weak_promote(of: *mut AIBinder_Weak) -> *mut AIBinder;
    pub fn AIBinder_associateClass(of: *mut AIBinder, class: *const AIBinder_Class) -> bool;
    pub fn AIBinder_decStrong(of: *mut AIBinder);
    pub fn AIBinder_dump(of: *mut AIBinder, fd: i32, arguments: *mut *const c_char, count: u32) -> i32;
    pub fn AIBinder_getCallingPid() -> i32;
    pub fn AIBinder_getCallingSid() -> *const c_char;
    pub fn AIBinder_getCallingUid() -> u32;
    pub fn AIBinder_getClass(of: *mut AIBinder) -> *const AIBinder_Class;
    pub fn AIBinder_getExtension(of: *mut AIBinder, out: *mut *mut AIBinder) -> i32;
    pub fn AIBinder_getUserData(of: *mut AIBinder) -> *mut c_void;
    pub fn AIBinder_incStrong(of: *mut AIBinder);
    pub fn AIBinder_isAlive(of: *const AIBinder) -> bool;
    pub fn AIBinder_isHandlingTransaction() -> bool;
    pub fn AIBinder_isRemote(of: *const AIBinder) -> bool;
    pub fn AIBinder_isSystemStable(of: *mut AIBinder) -> bool;
    pub fn AIBinder_isVendorStable(of: *mut AIBinder) -> bool;
    pub fn AIBinder_linkToDeath(of: *mut AIBinder, recipient: *mut AIBinder_DeathRecipient, cookie: *mut c_void) -> i32;
    pub fn AIBinder_lt(a: *const AIBinder, b: *const AIBinder) -> bool;
    pub fn AIBinder_markSystemStability(of: *mut AIBinder);
    pub fn AIBinder_markVendorStability(of: *mut AIBinder);
    pub fn AIBinder_markVintfStability(of: *mut AIBinder);
    pub fn AIBinder_new(class: *const AIBinder_Class, data: *mut c_void) -> *mut AIBinder;
    pub fn AIBinder_ping(of: *mut AIBinder) -> i32;
    pub fn AIBinder_prepareTransaction(of: *mut AIBinder, parcel: *mut *mut AParcel) -> i32;
    pub fn AIBinder_requiresVintfDeclaration(of: *mut AIBinder) -> bool;
    pub fn AIBinder_setExtension(of: *mut AIBinder, extension: *mut AIBinder) -> i32;
    pub fn AIBinder_setInheritRt(of: *mut AIBinder, inherit: bool);
    pub fn AIBinder_setRequestingSid(of: *mut AIBinder, requesting: bool);
    pub fn AIBinder_transact(of: *mut AIBinder, code: u32, data: *mut *mut AParcel, reply: *mut *mut AParcel, flags: u32) -> i32;
    pub fn AIBinder_unlinkToDeath(of: *mut AIBinder, recipient: *mut AIBinder_DeathRecipient, cookie: *mut c_void) -> i32;

    pub fn AParcel_appendFrom(from: *const AParcel, to: *mut AParcel, start: i32, size: i32) -> i32;
    pub fn AParcel_create() -> *mut AParcel;
    pub fn AParcel_delete(of: *mut AParcel);
    pub fn AParcel_getDataPosition(of: *const AParcel) -> i32;
    pub fn AParcel_getDataSize(of: *const AParcel) -> i32;
    pub fn AParcel_markSensitive(of: *const AParcel);
    pub fn AParcel_marshal(of: *const AParcel, buffer: *mut u8, start: usize, length: usize) -> i32;
    pub fn AParcel_unmarshal(of: *mut AParcel, buffer: *const u8, length: usize) -> i32;
    pub fn AParcel_readBool(from: *const AParcel, value: *mut bool) -> i32;
    pub fn AParcel_writeBool(to: *mut AParcel, value: bool) -> i32;
    pub fn AParcel_readParcelFileDescriptor(from: *const AParcel, fd: *mut i32) -> i32;
    pub fn AParcel_writeParcelFileDescriptor(to: *mut AParcel, fd: i32) -> i32;
    pub fn AParcel_readParcelableArray(from: *const AParcel, data: *mut c_void, allocate: Length, read: ReadElement) -> i32;
    pub fn AParcel_writeParcelableArray(to: *mut AParcel, data: *const c_void, length: i32, write: WriteElement) -> i32;
    pub fn AParcel_readStatusHeader(from: *const AParcel, status: *mut *mut AStatus) -> i32;
    pub fn AParcel_writeStatusHeader(to: *mut AParcel, status: *const AStatus) -> i32;
    pub fn AParcel_readString(from: *const AParcel, data: *mut c_void, allocate: Strings) -> i32;
    pub fn AParcel_writeString(to: *mut AParcel, text: *const c_char, length: i32) -> i32;
    pub fn AParcel_readStrongBinder(from: *const AParcel, binder: *mut *mut AIBinder) -> i32;
    pub fn AParcel_writeStrongBinder(to: *mut AParcel, binder: *mut AIBinder) -> i32;
    pub fn AParcel_setDataPosition(of: *const AParcel, position: i32) -> i32;

    pub fn AServiceManager_addService(binder: *mut AIBinder, instance: *const c_char) -> i32;
    pub fn AServiceManager_checkService(instance: *const c_char) -> *mut AIBinder;
    pub fn AServiceManager_checkServiceAccess(sid: *const c_char, pid: i32, uid: u32, instance: *const c_char, permission: AServiceManager_PermissionType) -> bool;
    pub fn AServiceManager_forEachDeclaredInstance(interface: *const c_char, context: *mut c_void, each: Option<unsafe extern "C" fn(*const c_char, *mut c_void)>);
    pub fn AServiceManager_forceLazyServicesPersist(persist: bool);
    pub fn AServiceManager_getService(instance: *const c_char) -> *mut AIBinder;
    pub fn AServiceManager_isDeclared(instance: *const c_char) -> bool;
    pub fn AServiceManager_registerLazyService(binder: *mut AIBinder, instance: *const c_char) -> i32;
    pub fn AServiceManager_waitForService(instance: *const c_char) -> *mut AIBinder;

    pub fn AStatus_delete(of: *mut AStatus);
    pub fn AStatus_deleteDescription(of: *const c_char);
    pub fn AStatus_fromExceptionCode(code: i32) -> *mut AStatus;
    pub fn AStatus_fromExceptionCodeWithMessage(code: i32, message: *const c_char) -> *mut AStatus;
    pub fn AStatus_fromServiceSpecificError(code: i32) -> *mut AStatus;
    pub fn AStatus_fromServiceSpecificErrorWithMessage(code: i32, message: *const c_char) -> *mut AStatus;
    pub fn AStatus_fromStatus(status: i32) -> *mut AStatus;
    pub fn AStatus_getDescription(of: *const AStatus) -> *const c_char;
    pub fn AStatus_getExceptionCode(of: *const AStatus) -> i32;
    pub fn AStatus_getServiceSpecificError(of: *const AStatus) -> i32;
    pub fn AStatus_getStatus(of: *const AStatus) -> i32;
    pub fn AStatus_isOk(of: *const AStatus) -> bool;
    pub fn AStatus_newOk() -> *mut AStatus;
}
