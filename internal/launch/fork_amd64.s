#include "go_asm.h"
#include "textflag.h"

// func clone(f *fork) (pid uintptr)
//
// Parent and child have the same stack pointer, and the child leaves the stack
// as it is. The kernel keeps every register but AX, CX and R11.
TEXT ·clone(SB), NOSPLIT, $0-16
	MOVQ	f+0(FP), R12
	MOVQ	(fork_calls)(R12), R13
	MOVQ	(fork_calls+8)(R12), BX
	LEAQ	(fork_args)(R12), DI
	MOVQ	$cloneArgs__size, SI
	MOVQ	$435, AX    // clone3
	SYSCALL
	TESTQ	AX, AX
	JEQ	next
	MOVQ	AX, pid+8(FP)
	RET
next:
	MOVQ	(call_args)(R13), DI
	MOVQ	(call_args+8)(R13), SI
	MOVQ	(call_args+16)(R13), DX
	MOVQ	(call_args+24)(R13), R10
	MOVQ	(call_args+32)(R13), R8
	MOVQ	(call_number)(R13), AX
	SYSCALL
	CMPQ	AX, $-4095
	JCS	succeeded
	CMPQ	(call_mayFail)(R13), $0
	JNE	done
	NEGQ	AX
	MOVQ	AX, (fork_errno)(R12)
	JMP	exit
succeeded:
	MOVQ	(call_result)(R13), DI
	TESTQ	DI, DI
	JEQ	done
	MOVQ	AX, (DI)
done:
	ADDQ	$call__size, R13
	DECQ	BX
	JNE	next
exit:
	XORL	DI, DI
	MOVQ	$60, AX    // exit
	SYSCALL
	JMP	exit
