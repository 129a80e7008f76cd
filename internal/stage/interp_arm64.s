#include "textflag.h"

// The interpreter; see interp_amd64.s. R19 holds the ops, R20 the current one.
TEXT ·interpreter_(SB), NOSPLIT|NOFRAME, $0-0
	MOVD	$0x400200, R19
	ADD	$36, R19, R20
exec:
	MOVBU	2(R20), R21
	MOVW	12(R20), R0
	TBZ	$0, R21, 2(PC)
	MOVW	(R0), R0
	MOVW	16(R20), R1
	TBZ	$1, R21, 2(PC)
	MOVW	(R1), R1
	MOVW	20(R20), R2
	TBZ	$2, R21, 2(PC)
	MOVW	(R2), R2
	MOVW	24(R20), R3
	TBZ	$3, R21, 2(PC)
	MOVW	(R3), R3
	MOVW	28(R20), R4
	TBZ	$4, R21, 2(PC)
	MOVW	(R4), R4
	MOVW	32(R20), R5
	TBZ	$5, R21, 2(PC)
	MOVW	(R5), R5
	MOVHU	(R20), R8
	MOVD	$0xffff, R9
	CMP	R9, R8
	BEQ	assert
	SVC
	MOVWU	8(R20), R9
	CBZ	R9, 2(PC)
	MOVW	R0, (R9)
	CMN	$4095, R0
	BCC	next
	NEG	R0, R0
	CMPW	$11, R0    // EAGAIN
	BNE	fail
	MOVBU	3(R20), R9
	CBZ	R9, fail
	SUB	$1, R9
	MOVB	R9, 3(R20)
	B	exec
fail:
	MOVHU	4(R20), R9
	CMPW	R9, R0
	BEQ	next
	MOVW	R20, (R19)
	MOVW	R0, 4(R19)
	MOVHU	6(R20), R9
	MOVD	$36, R10
	MADD	R10, R19, R9, R20
	B	exec
assert:
	AND	R1, R0, R10
	MOVD	R3, R0
	CMP	R2, R10
	BNE	fail
	MOVWU	8(R20), R9
	CBZ	R9, 2(PC)
	MOVW	R10, (R9)
next:
	ADD	$36, R20
	B	exec
	UNDEF
	WORD $0x47415453
	WORD $0x21444e45

TEXT ·interpreterAddress(SB), NOSPLIT, $0-8
	MOVD	$·interpreter_(SB), R0
	MOVD	R0, ret+0(FP)
	RET
