#include "textflag.h"

// See forward_amd64.s.
TEXT ·handler_(SB), NOSPLIT|NOFRAME, $0-0
	MOV	X10, X11
	MOV	$·forwardTo(SB), X5
	MOVW	(X5), X10
	BLTZ	X10, keep
	MOV	$0, X12
	MOV	$0, X13
	MOV	$424, X17
	ECALL
	RET
keep:
	MOV	$1, X6
	SLL	X11, X6, X6
	MOV	$·pending(SB), X5
	AMOORD	X6, (X5), X0
	RET

TEXT ·handlerAddress(SB), NOSPLIT, $0-8
	MOV	$·handler_(SB), X5
	MOV	X5, ret+0(FP)
	RET
