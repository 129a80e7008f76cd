#include "textflag.h"

// The interpreter; see interp_amd64.s. X18 holds the ops, X19 the current one.
TEXT ·interpreter_(SB), NOSPLIT|NOFRAME, $0-0
	MOV	$0x400200, X18
	ADD	$36, X18, X19
exec:
	MOVBU	2(X19), X20
	MOVW	12(X19), X10
	AND	$1, X20, X5
	BEQZ	X5, 2(PC)
	MOVW	(X10), X10
	MOVW	16(X19), X11
	AND	$2, X20, X5
	BEQZ	X5, 2(PC)
	MOVW	(X11), X11
	MOVW	20(X19), X12
	AND	$4, X20, X5
	BEQZ	X5, 2(PC)
	MOVW	(X12), X12
	MOVW	24(X19), X13
	AND	$8, X20, X5
	BEQZ	X5, 2(PC)
	MOVW	(X13), X13
	MOVW	28(X19), X14
	AND	$16, X20, X5
	BEQZ	X5, 2(PC)
	MOVW	(X14), X14
	MOVW	32(X19), X15
	AND	$32, X20, X5
	BEQZ	X5, 2(PC)
	MOVW	(X15), X15
	MOVHU	(X19), X17
	MOV	$0xffff, X5
	BEQ	X17, X5, assert
	ECALL
	MOVWU	8(X19), X5
	BEQZ	X5, 2(PC)
	MOVW	X10, (X5)
	MOV	$-4096, X5
	BGEU	X5, X10, next
	NEG	X10, X10
	MOV	$11, X5    // EAGAIN
	BNE	X10, X5, fail
	MOVBU	3(X19), X5
	BEQZ	X5, fail
	ADD	$-1, X5
	MOVB	X5, 3(X19)
	JMP	exec
fail:
	MOVHU	4(X19), X5
	BEQ	X10, X5, next
	MOVW	X19, (X18)
	MOVW	X10, 4(X18)
	MOVHU	6(X19), X5
	MOV	$36, X6
	MUL	X6, X5, X5
	ADD	X5, X18, X19
	JMP	exec
assert:
	AND	X11, X10, X6
	MOV	X13, X10
	BNE	X6, X12, fail
	MOVWU	8(X19), X5
	BEQZ	X5, 2(PC)
	MOVW	X6, (X5)
next:
	ADD	$36, X19
	JMP	exec
	EBREAK
	WORD $0x47415453
	WORD $0x21444e45

TEXT ·interpreterAddress(SB), NOSPLIT, $0-8
	MOV	$·interpreter_(SB), X5
	MOV	X5, ret+0(FP)
	RET
