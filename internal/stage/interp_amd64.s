#include "textflag.h"

// The interpreter: fetch six arguments, make the call, store its result, go
// on, make the call again, or go to the op's failure label. It uses no stack,
// and keeps its whole state in R12 (the ops), BX (the current op), and the
// op's own count of what is left of its tries.
//
// op: 0 nr u16 | 2 loads u8 | 3 again u8 | 4 ignore u16 | 6 onerr u16 | 8 dst u32 | 12 args 6*i32
TEXT ·interpreter_(SB), NOSPLIT|NOFRAME, $0-0
	MOVL	$0x400200, R12    // dataBase+opsOff; op 0 is the failure record
	LEAQ	36(R12), BX
exec:
	MOVBLZX	2(BX), CX
	MOVLQSX	12(BX), DI
	TESTB	$1, CX
	JEQ	2(PC)
	MOVLQSX	(DI), DI
	MOVLQSX	16(BX), SI
	TESTB	$2, CX
	JEQ	2(PC)
	MOVLQSX	(SI), SI
	MOVLQSX	20(BX), DX
	TESTB	$4, CX
	JEQ	2(PC)
	MOVLQSX	(DX), DX
	MOVLQSX	24(BX), R10
	TESTB	$8, CX
	JEQ	2(PC)
	MOVLQSX	(R10), R10
	MOVLQSX	28(BX), R8
	TESTB	$16, CX
	JEQ	2(PC)
	MOVLQSX	(R8), R8
	MOVLQSX	32(BX), R9
	TESTB	$32, CX
	JEQ	2(PC)
	MOVLQSX	(R9), R9
	MOVWLZX	(BX), AX
	CMPL	AX, $0xffff
	JEQ	assert
	SYSCALL
	MOVL	8(BX), CX
	TESTL	CX, CX
	JEQ	2(PC)
	MOVL	AX, (CX)
	CMPQ	AX, $-4095
	JCS	next
	NEGL	AX
	CMPL	AX, $11    // EAGAIN
	JNE	fail
	CMPB	3(BX), $0
	JEQ	fail
	DECB	3(BX)
	JMP	exec
fail:
	MOVWLZX	4(BX), CX
	CMPL	AX, CX
	JEQ	next
	MOVL	BX, 0(R12)
	MOVL	AX, 4(R12)
	MOVWLZX	6(BX), CX
	IMULQ	$36, CX
	LEAQ	(R12)(CX*1), BX
	JMP	exec
assert:
	MOVL	R10, AX
	ANDQ	SI, DI
	CMPQ	DI, DX
	JNE	fail
	MOVL	8(BX), CX
	TESTL	CX, CX
	JEQ	2(PC)
	MOVL	DI, (CX)
next:
	ADDQ	$36, BX
	JMP	exec
	BYTE $0x0f; BYTE $0x0b    // ud2
	QUAD $0x21444e4547415453  // endMark

TEXT ·interpreterAddress(SB), NOSPLIT, $0-8
	LEAQ	·interpreter_(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
