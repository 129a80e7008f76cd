#include "textflag.h"

// See forward_amd64.s.
TEXT ·handler_(SB), NOSPLIT|NOFRAME, $0-0
	MOVW	R0, R1
	MOVD	$·forwardTo(SB), R9
	MOVW	(R9), R0
	TBNZ	$31, R0, keep
	MOVD	$0, R2
	MOVD	$0, R3
	MOVD	$424, R8
	SVC
	RET
keep:
	MOVD	$1, R2
	LSL	R1, R2, R2
	MOVD	$·pending(SB), R9
again:
	LDAXR	(R9), R3
	ORR	R2, R3, R3
	STLXR	R3, (R9), R4
	CBNZ	R4, again
	RET

TEXT ·handlerAddress(SB), NOSPLIT, $0-8
	MOVD	$·handler_(SB), R0
	MOVD	R0, ret+0(FP)
	RET
