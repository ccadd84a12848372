// SPDX-License-Identifier: Apache-2.0
//! Two names of musl's that its build of LLVM's unwinder asks for, as Android's C library has them.
#![no_std]

core::arch::global_asm!(
    r#"
    .section .text.__errno_location, "ax", %progbits
    .globl __errno_location
    .hidden __errno_location
    .type __errno_location, %function
__errno_location:
    bti c
    b __errno
    .size __errno_location, . - __errno_location

    // (expression, file, line, function) there, (file, line, function, expression) here.
    .section .text.__assert_fail, "ax", %progbits
    .globl __assert_fail
    .hidden __assert_fail
    .type __assert_fail, %function
__assert_fail:
    bti c
    mov x4, x0
    mov x0, x1
    mov w1, w2
    mov x2, x3
    mov x3, x4
    b __assert2
    .size __assert_fail, . - __assert_fail
"#
);
