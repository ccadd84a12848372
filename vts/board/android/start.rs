// SPDX-License-Identifier: Apache-2.0
//! Where a program for Android begins. Its C library is given the stack as the kernel left it, `main`,
//! and lists of functions that Rust's programs have not: zeros, whichever layout a version reads.
#![no_std]

core::arch::global_asm!(
    r#"
    .section .text._start, "ax", %progbits
    .globl _start
    .hidden _start
    .type _start, %function
_start:
    .cfi_startproc
    .cfi_undefined x30
    bti j
    mov x29, xzr
    mov x30, xzr
    mov x0, sp
    mov x1, xzr
    adrp x2, main
    add x2, x2, :lo12:main
    adrp x3, 1f
    add x3, x3, :lo12:1f
    b __libc_init
    .cfi_endproc
    .size _start, . - _start

    .section .rodata._start, "a", %progbits
    .balign 8
1:  .zero 64
"#
);
