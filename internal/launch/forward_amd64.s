#include "textflag.h"

// The handler of forwarded signals, in the C calling convention, on the
// signal stack: pidfd_send_signal(forwardTo, signal, NULL, 0), or a bit in
// pending.
TEXT ·handler_(SB), NOSPLIT|NOFRAME, $0-0
	MOVL	DI, SI
	MOVL	·forwardTo(SB), DI
	TESTL	DI, DI
	JLT	keep
	XORL	DX, DX
	XORL	R10, R10
	MOVL	$424, AX
	SYSCALL
	RET
keep:
	LOCK
	BTSQ	SI, ·pending(SB)
	RET

TEXT ·restorer_(SB), NOSPLIT|NOFRAME, $0-0
	MOVL	$15, AX    // rt_sigreturn
	SYSCALL
	INT	$3

TEXT ·handlerAddress(SB), NOSPLIT, $0-8
	LEAQ	·handler_(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·restorerAddress(SB), NOSPLIT, $0-8
	LEAQ	·restorer_(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
